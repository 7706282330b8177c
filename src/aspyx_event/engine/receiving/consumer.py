"""The queues of one subscription, or of a chain of them, attached to the provider, and the workers behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from functools import partial

from ...providers.base import Binding, Consumer, Delivery, Provider
from .dispatch import Dispatcher
from .workers import WorkerPool


class QueueConsumer:
    """Attaches, pauses and detaches. Runs on the manager's loop.

    Args:
        bindings: The queues.
        dispatcher: Handles what they deliver.
        concurrency: Deliveries handled at once, of all queues together.
        key_of: Gives a delivery its lane.
        name: Names the worker tasks.
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
        self._lanes: WorkerPool | None = None
        #: What a detach under way waits for.
        self._leaving: WorkerPool | None = None
        #: Paused by the program.
        self.paused = False
        self._attaching = asyncio.Lock()

    @property
    def attached(self) -> bool:
        """True while all queues are attached, also while paused; False while the connection is lost."""
        return bool(self._consumers) and all(consumer.attached for consumer in self._consumers)

    @property
    def in_use(self) -> bool:
        """True from the first step of attaching to the last of detaching."""
        return bool(self._consumers) or self._attaching.locked() or self._leaving is not None

    @property
    def load(self) -> tuple[int, int, float]:
        """Deliveries that wait for a worker, those being handled, and the seconds the first of the former has waited."""
        lanes = self._lanes
        return (0, 0, 0.0) if lanes is None else (lanes.waiting, lanes.running, lanes.oldest)

    async def attach(self, provider: Provider) -> None:
        """Start the workers and attach the queues; again is no error.

        Raises:
            ProviderError: one was refused; then none is attached.
        """
        async with self._attaching:
            if self._consumers:
                return
            self.dispatcher.begin()
            lanes = WorkerPool(self.dispatcher.dispatch, self._concurrency, self._key_of, name=self._name)
            consumers: list[Consumer] = []
            try:
                for binding in self.bindings:
                    put = lanes.put if len(self.bindings) == 1 else partial(_put, lanes, binding)
                    consumers.append(await provider.subscribe(binding, self.dispatcher.observed(put)))
            except BaseException:
                await lanes.close(0.0)
                for consumer in consumers:
                    await consumer.close()
                raise
            self._consumers, self._lanes = consumers, lanes

    async def detach(self, grace: float = 10.0) -> bool:
        """Stop taking, let handlers finish for *grace* seconds, detach. False if it was not attached."""
        consumers, lanes = self._consumers, self._lanes
        self._consumers, self._lanes = [], None
        if not consumers or lanes is None:
            return False
        self.dispatcher.stop()
        self._leaving = lanes
        try:
            for consumer in consumers:
                await consumer.pause()
            await lanes.close(grace)
        finally:
            self._leaving = None
            await asyncio.gather(*(consumer.close() for consumer in consumers))
        return True

    def hurry(self) -> None:
        """Cancel the handlers that a detach under way waits for; their events come again."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def pause(self) -> None:
        """Take nothing new, and give back what waits."""
        self.paused = True
        if self._lanes is not None:
            for consumer in self._consumers:
                await consumer.pause()
            self._lanes.give_back()

    async def resume(self) -> None:
        self.paused = False
        for consumer in self._consumers:
            await consumer.resume()


def _put(lanes: WorkerPool, binding: Binding, delivery: Delivery) -> None:
    delivery.binding = binding
    lanes.put(delivery)
