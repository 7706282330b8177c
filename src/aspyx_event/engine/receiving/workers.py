"""`WorkerPool`: handles several deliveries of a subscription at once, those with the same ordering key in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextvars import ContextVar
from time import monotonic
from typing import cast

from ...log_fields import log_fields
from ...providers.base import Delivery
from ...safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Deliveries that a worker handles before it yields to the loop.
_BATCH = 32
#: Seconds before a worker that was cancelled by its handler is replaced.
_RESTART_DELAY = 0.05
HandleDelivery = Callable[[Delivery], Awaitable[None]]
#: The worker whose handler runs here, in a thread or in tasks that the handler started; None outside of handlers.
_current_worker: ContextVar[asyncio.Task[None] | None] = ContextVar("aspyx_event_worker", default=None)


class WorkerPool:
    """Workers of a subscription. Runs on the manager's loop.

    A single worker handles deliveries in the order of the queue. With several workers, the deliveries of an ordering
    key form a lane: the next waits until the one before is settled.

    Args:
        handle: Handles and settles a delivery; does not raise.
        concurrency: Number of workers.
        key_of: Returns the ordering key of a delivery, None without a lane.
        name: Name of the subscription, for worker tasks and log records.
    """

    def __init__(
        self,
        handle: HandleDelivery,
        concurrency: int = 1,
        key_of: Callable[[Delivery], Hashable | None] | None = None,
        name: str = "",
    ) -> None:
        self._handle, self._key_of = handle, key_of if concurrency > 1 else None
        self._ready: deque[tuple[Hashable | None, Delivery, float]] = deque()
        #: The lane of each ordering key being handled: the deliveries that wait for it.
        self._lanes: dict[Hashable, deque[Delivery]] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._closing, self._name = False, name
        self.running = 0
        self._loop = asyncio.get_running_loop()
        #: The workers, each with the delivery that it handles. In the order of their start, so that a stop releases in
        #: order.
        self._tasks: dict[asyncio.Task[None], Delivery | None] = {}
        for number in range(concurrency):
            self._start_worker(f"handle {name}-{number}")

    def put(self, delivery: Delivery) -> None:
        """Queue a delivery; a provider calls this as its `Consume`."""
        if self._closing:
            delivery.release()
            return
        if self._ready and self._ready[0][1].stale:
            self.drop_stale()
        key = self._key_of(delivery) if self._key_of is not None else None
        if key is not None:
            waiting = self._lanes.get(key)
            if waiting and waiting[0].stale:
                self.drop_stale()
                waiting = self._lanes.get(key)
            if waiting is not None:
                waiting.append(delivery)
                return
            self._lanes[key] = deque()
        self._ready.append((key, delivery, monotonic()))
        if self._idle:
            self._wake()

    @property
    def longest_wait(self) -> float:
        """Seconds that the next delivery has waited for a worker; 0.0 if none waits."""
        return monotonic() - self._ready[0][2] if self._ready else 0.0

    @property
    def waiting(self) -> int:
        """Deliveries queued and not yet being handled."""
        return len(self._ready) + sum(map(len, self._lanes.values()))

    def release_waiting(self) -> None:
        """Release the deliveries that are not being handled yet."""
        waiting = [delivery for _, delivery, _ in self._ready]
        waiting += [delivery for lane in self._lanes.values() for delivery in lane]
        for key, _, _ in self._ready:
            # No worker has begun with this lane, so no worker will end it.
            self._lanes.pop(key, None)
        self._ready.clear()
        for lane in self._lanes.values():
            lane.clear()
        for delivery in waiting:
            delivery.release()

    def drop_stale(self) -> None:
        """Drop the waiting deliveries that nobody can settle any more: their messages are delivered again."""
        stale: list[Delivery] = []
        for key, lane in self._lanes.items():
            if lane:
                stale += [delivery for delivery in lane if delivery.stale]
                self._lanes[key] = deque(delivery for delivery in lane if not delivery.stale)
        for _ in range(len(self._ready)):
            key, delivery, since = self._ready.popleft()
            if not delivery.stale:
                self._ready.append((key, delivery, since))
                continue
            stale.append(delivery)
            if key is not None:
                self._queue_next(key)
        for delivery in stale:
            delivery.release()  # frees its place in the window of its consumer

    @property
    def handles_here(self) -> bool:
        """True inside a handler of this pool, which must not wait for the pool to close."""
        return _current_worker.get() in self._tasks

    async def close(self, grace: float, *, all_but_here: bool = False) -> None:
        """Release waiting deliveries, let running handlers finish for *grace* seconds, then cancel them.

        The delivery of a cancelled handler is released, so that it is delivered again.

        Args:
            grace: Seconds.
            all_but_here: Leave out the worker whose handler makes this call; a further `close` waits for it.
        """
        here = _current_worker.get() if all_but_here else None
        self._closing = True
        self.release_waiting()
        while self._idle:
            self._wake()
        tasks = [task for task in self._tasks if task is not here]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task, delivery in list(self._tasks.items()):
                if task in late:
                    logger.warning(
                        "%s did not end within %.1f s: cancelled, its event is delivered again",
                        task.get_name(),
                        grace,
                        extra=None if delivery is None else log_fields(delivery.received, self._name),
                    )
                    task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    def cancel(self) -> None:
        """Cancel the running handlers that a `close` under way waits for."""
        if self._closing:
            for task in self._tasks:
                task.cancel()

    def _start_worker(self, name: str) -> None:
        if not self._closing:
            task = self._loop.create_task(self._work(), name=name)
            self._tasks[task] = None
            task.add_done_callback(self._worker_ended)

    @property
    def alive(self) -> int:
        """The number of workers that take deliveries."""
        return len(self._tasks)

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended: %s; it is replaced", task.get_name(), error, exc_info=error)
        if not self._closing:
            # A worker must not end by itself, or its subscription would stop consuming. Not replaced at once, because at
            # the end of a loop every task is cancelled: the loop is closed before the timer is due.
            self._loop.call_later(_RESTART_DELAY, self._start_worker, task.get_name())

    def _wake(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    async def _work(self) -> None:
        ready, tasks = self._ready, self._tasks
        this_task = cast("asyncio.Task[None]", asyncio.current_task())
        _current_worker.set(this_task)
        handled = 0
        while not self._closing:
            handled += 1
            if not handled % _BATCH:  # handlers that never wait would block the loop
                await asyncio.sleep(0)
                continue  # the pool may be closed now
            if not ready:
                idle = self._loop.create_future()
                self._idle.append(idle)
                await idle
                continue
            key, delivery, _ = ready.popleft()
            if delivery.stale:
                delivery.release()
                if key is not None:
                    self._queue_next(key)
                continue
            self.running += 1
            tasks[this_task] = delivery
            finished = True
            try:
                await self._handle(delivery)
            except (asyncio.CancelledError, GeneratorExit):
                finished = self._release_if_closing(key, delivery)
                raise
            except Exception as error:  # noqa: BLE001  a worker that ends would stop its subscription from consuming
                self._release(delivery, error)
            finally:
                self.running -= 1
                tasks[this_task] = None
                if key is not None and finished:
                    self._queue_next(key)
            if getattr(this_task, "_must_cancel", False):
                # The handler has cancelled its task and did not wait: that must not interrupt the next handler.
                await asyncio.sleep(0)

    def _release_if_closing(self, key: Hashable | None, delivery: Delivery) -> bool:
        """Release the delivery of a cancelled worker; False if no `close` has cancelled it, and it is queued again."""
        if self._closing:
            delivery.release()
        else:  # cancelled by its handler, or by whoever cancels all tasks: the next worker goes on with it
            self._ready.appendleft((key, delivery, monotonic()))
        return self._closing

    def _release(self, delivery: Delivery, error: Exception) -> None:
        logger.error(
            "a delivery was neither handled nor settled; it is delivered again: %s",
            error,
            exc_info=error,
            extra=log_fields(delivery.envelope, self._name),
        )
        try:
            delivery.release()
        except Exception:
            logger.exception("a delivery could not be released", extra=log_fields(delivery.envelope, self._name))

    def _queue_next(self, key: Hashable) -> None:
        lane = self._lanes[key]
        if lane:
            # Behind the other keys, so that a busy key does not occupy a worker.
            self._ready.append((key, lane.popleft(), monotonic()))
            self._wake()
        else:
            del self._lanes[key]
