"""Consumes the queues of a subscription, or of a chain of handlers: attaches them and runs the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from functools import partial

from ...providers.base import Binding, Consumer, Delivery, Provider
from ..failure.signature import SignatureCheck
from .dispatch import Dispatcher
from .workers import WorkerPool


class QueueConsumer:
    """Attaches, pauses and detaches the queues. Runs on the manager's loop.

    Args:
        bindings: The queues.
        dispatcher: Handles their deliveries.
        concurrency: Deliveries handled at once, of all queues together.
        key_of: Returns the ordering key of a delivery; None without an order between deliveries.
        name: Name of the worker tasks.
    """

    def __init__(
        self,
        bindings: tuple[Binding, ...],
        dispatcher: Dispatcher,
        concurrency: int,
        key_of: Callable[[Delivery], Hashable | None] | None,
        name: str,
    ) -> None:
        self.bindings, self.dispatcher = bindings, dispatcher
        self._concurrency, self._key_of, self._name = concurrency, key_of, name
        self._consumers: list[Consumer] = []
        self._workers: WorkerPool | None = None
        #: The workers that a `detach` under way waits for.
        self._closing_workers: WorkerPool | None = None
        #: The end of a detachment that was requested inside its own handler.
        self.finishing: asyncio.Task[None] | None = None
        #: Paused by the application.
        self.paused = False
        self._attaching = asyncio.Lock()
        self._state_changed = asyncio.Event()

    @property
    def attached(self) -> bool:
        """True while all queues are attached, also while paused; False while the connection is lost."""
        return bool(self._consumers) and all(consumer.attached for consumer in self._consumers)

    @property
    def in_use(self) -> bool:
        """True from the start of `attach` to the end of `detach`."""
        return bool(self._consumers) or self._attaching.locked() or self._closing_workers is not None

    @property
    def workers(self) -> int:
        """The number of workers that take deliveries; 0 while detached."""
        return 0 if self._workers is None else self._workers.alive

    @property
    def trouble(self) -> str:
        """Why deliveries are not settled now; "" if they are."""
        return self.dispatcher.unsettled.reason

    @property
    def load(self) -> tuple[int, int, float]:
        """Deliveries that wait for a worker, deliveries being handled, and the waiting time of the first, in seconds."""
        workers = self._workers
        return (0, 0, 0.0) if workers is None else (workers.waiting, workers.running, workers.longest_wait)

    async def attach(self, provider: Provider) -> None:
        """Start the workers and attach the queues. Idempotent.

        Raises:
            ProviderError: a queue was refused; then none is attached.
        """
        async with self._attaching:
            if self._consumers:
                return
            self.dispatcher.start()
            workers = WorkerPool(self.dispatcher.dispatch, self._concurrency, self._key_of, name=self._name)
            consumers: list[Consumer] = []
            try:
                for binding in self.bindings:
                    put = workers.put if len(self.bindings) == 1 else partial(_put, workers, binding)
                    consume = SignatureCheck(provider, binding, self.dispatcher.observed(put))
                    consumers.append(await provider.subscribe(binding, consume))
            except BaseException:
                await workers.close(0.0)
                for consumer in consumers:
                    await consumer.close()
                self._on_state_change()
                raise
            for consumer in consumers:
                consumer.on_reattach = self._on_state_change
            self._consumers, self._workers = consumers, workers
        self._on_state_change()

    async def wait_state_change(self) -> None:
        """Wait until a queue is attached or the connection is lost, or the consumer is attached or detached."""
        await self._state_changed.wait()

    def _on_state_change(self) -> None:
        self._state_changed.set()
        self._state_changed.clear()  # wakes only those who wait already

    @property
    def handles_here(self) -> bool:
        """True inside a handler of this consumer, which must not wait for the consumer to detach."""
        return any(pool is not None and pool.handles_here for pool in (self._workers, self._closing_workers))

    async def detach(self, grace: float = 10.0) -> bool:
        """Take no more deliveries, let handlers finish for *grace* seconds, detach. False if it was not attached.

        Called inside a handler of this consumer, it returns before that handler has finished; `finishing` is the rest.
        """
        consumers, workers = self._consumers, self._workers
        self._consumers, self._workers = [], None
        if not consumers or workers is None:
            return False
        self.dispatcher.stop()
        self._closing_workers = workers
        try:
            for consumer in consumers:
                await consumer.pause()
            await workers.close(grace, all_but_here=True)
        except BaseException:
            await self._close(consumers)
            raise
        if workers.handles_here:
            self.finishing = asyncio.get_running_loop().create_task(self._finish(workers, consumers, grace))
        else:
            await self._close(consumers)
        return True

    async def _finish(self, workers: WorkerPool, consumers: list[Consumer], grace: float) -> None:
        try:
            await workers.close(grace)
        finally:
            await self._close(consumers)

    async def _close(self, consumers: list[Consumer]) -> None:
        self._closing_workers = None
        self._on_state_change()
        await asyncio.gather(*(consumer.close() for consumer in consumers))

    def force_stop(self) -> None:
        """Cancel the handlers that a `detach` under way waits for; their events are delivered again."""
        if self._closing_workers is not None:
            self._closing_workers.cancel()

    async def pause(self) -> None:
        """Take no more deliveries, and release those that wait for a worker."""
        self.paused = True
        if self._workers is not None:
            for consumer in self._consumers:
                await consumer.pause()
            self._workers.release_waiting()

    def on_disconnect(self) -> None:
        """Drop the deliveries of the lost connection that wait for a worker."""
        if self._workers is not None:
            self._workers.drop_stale()
        self._on_state_change()

    async def resume(self) -> None:
        self.paused = False
        for consumer in self._consumers:
            await consumer.resume()


def _put(workers: WorkerPool, binding: Binding, delivery: Delivery) -> None:
    delivery.binding = binding
    workers.put(delivery)
