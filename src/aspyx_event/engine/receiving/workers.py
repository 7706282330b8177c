"""How many deliveries of one subscription are handled at once, and which of them must wait for each other."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import cast

from ...log_fields import log_fields
from ...providers.base import Delivery

logger = logging.getLogger("aspyx.event")
#: Deliveries that a worker handles in one go, at most.
_TURN = 32
Handle = Callable[[Delivery], Awaitable[None]]


class WorkerPool:
    """Workers of one subscription. Runs on the manager's loop.

    With one worker, deliveries are handled in the order they come. With several and a key, those of one key stay in
    order: the next one waits until the one before is settled.

    Args:
        handle: Handles and settles one delivery; does not raise.
        concurrency: Workers.
        key_of: Gives the key of a delivery, None for one that waits for nobody.
        name: Of the subscription, for worker tasks and log records.
    """

    def __init__(
        self,
        handle: Handle,
        concurrency: int = 1,
        key_of: Callable[[Delivery], Hashable | None] | None = None,
        name: str = "",
    ) -> None:
        self._handle, self._key_of = handle, key_of if concurrency > 1 else None
        self._ready: deque[tuple[Hashable | None, Delivery, float]] = deque()
        #: Keys under way, each with the deliveries that wait for it.
        self._busy: dict[Hashable, deque[Delivery]] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._closing, self._name = False, name
        self.running = 0
        self._loop = asyncio.get_running_loop()
        #: Workers and what each has in hand. In the order they began, so that what a stop gives back goes back in order.
        self._tasks: dict[asyncio.Task[None], Delivery | None] = {}
        for number in range(concurrency):
            self._start_worker(f"handle {name}-{number}")

    def put(self, delivery: Delivery) -> None:
        """Take a delivery; a provider calls this as its `Consume`."""
        if self._closing:
            delivery.release()
            return
        key = self._key_of(delivery) if self._key_of is not None else None
        if key is not None:
            waiting = self._busy.get(key)
            if waiting is not None:
                waiting.append(delivery)
                return
            self._busy[key] = deque()
        self._ready.append((key, delivery, monotonic()))
        if self._idle:
            self._wake()

    @property
    def oldest(self) -> float:
        """Seconds that the delivery which is next has waited for a worker; 0.0 where none waits."""
        return monotonic() - self._ready[0][2] if self._ready else 0.0

    @property
    def waiting(self) -> int:
        """Deliveries taken and not yet being handled."""
        return len(self._ready) + sum(map(len, self._busy.values()))

    def give_back(self) -> None:
        """Release what is not being handled yet."""
        waiting = [delivery for _, delivery, _ in self._ready]
        waiting += [delivery for lane in self._busy.values() for delivery in lane]
        self._ready.clear()
        for lane in self._busy.values():
            lane.clear()
        for delivery in waiting:
            delivery.release()

    async def close(self, grace: float) -> None:
        """Give back what waits, let running handlers finish for *grace* seconds, then cancel them.

        A cancelled handler's delivery is released, so that it comes again.
        """
        self._closing = True
        self.give_back()
        while self._idle:
            self._wake()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task, delivery in list(self._tasks.items()):
                if task in late:
                    logger.warning(
                        "%s did not end within %.1f s: cancelled, its event comes again",
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

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not self._closing and task.cancelled():
            # A handler that cancels its own task must not leave the subscription deaf. Later, because at the end of a
            # loop every task is cancelled: the loop is closed before the timer is due.
            self._loop.call_later(0.05, self._start_worker, task.get_name())

    def _wake(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    async def _work(self) -> None:
        ready, tasks = self._ready, self._tasks
        myself = cast("asyncio.Task[None]", asyncio.current_task())
        handled = 0
        while not self._closing:
            handled += 1
            if not handled % _TURN:  # handlers that never wait would keep the loop from everything else
                await asyncio.sleep(0)
                continue  # it may be closed now
            if not ready:
                idle = self._loop.create_future()
                self._idle.append(idle)
                await idle
                continue
            key, delivery, _ = ready.popleft()
            self.running += 1
            tasks[myself] = delivery
            try:
                await self._handle(delivery)
            except Exception:  # a worker that ends would leave its subscription deaf
                logger.exception(
                    "a delivery was neither handled nor settled; it comes again", extra=log_fields(delivery.envelope)
                )
                delivery.release()
            finally:
                self.running -= 1
                tasks[myself] = None
                if key is not None:
                    self._next_of(key)

    def _next_of(self, key: Hashable) -> None:
        lane = self._busy[key]
        if lane:
            # To the end of the line, so that one busy key does not keep a worker from the others.
            self._ready.append((key, lane.popleft(), monotonic()))
            self._wake()
        else:
            del self._busy[key]
