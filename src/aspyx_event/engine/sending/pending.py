"""Sends that interceptors take part in: run by whoever awaits them at once, and else in a task of their own.

Most sends are awaited where they are made. A task for each of them would be the dearest part of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any

from ...futures import outcome, settle
from ...pipeline import in_context

#: Sends an envelope as its event's descriptor says.
Run = Callable[[Any, Any], Coroutine[Any, Any, None]]


class PendingSend:
    """One send. To be used like a future; awaited at once it runs in the task of its caller.

    Either way it sees a copy of the context variables of its caller, so that what interceptors do to them stays theirs.

    Args:
        departures: Where it waits until it begins.
        run: Does the sending.
        envelope: What is sent.
        descriptor: Of its event.
    """

    __slots__ = ("_context", "_departures", "_descriptor", "_done", "_envelope", "_error", "_future", "_run")

    def __init__(self, departures: PendingSends, run: Run, envelope: Any, descriptor: Any) -> None:
        self._departures, self._envelope, self._descriptor = departures, envelope, descriptor
        self._run: Run | None = run
        self._context = copy_context()
        self._done = False
        self._error: BaseException | None = None
        #: The task that runs it; or what others wait for while their caller runs it.
        self._future: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[Any, Any, None]:
        departures, run = self._departures, self._run
        if run is not None and departures.depart(self):
            self._run = None
            steps = run(self._envelope, self._descriptor)
            try:
                # Most sends are over with their first step: those of which only the confirmation is still to come are not.
                waits_for = self._context.run(steps.send, None)
            except StopIteration:
                self._end(None)
                return
            except BaseException as error:
                self._end(error)
                raise
            try:
                yield from in_context(self._context, steps, waits_for)
            except BaseException as error:
                self._end(error)
                raise
            self._end(None)
        elif self._done:
            if self._error is not None:
                raise self._error
        else:
            yield from self.future().__await__()

    def begin(self) -> None:
        """Run in a task."""
        if self._run is not None:
            run, self._run = self._run, None
            # Through its context, because only from Python 3.11 on a task can be told which one to use.
            task = self._context.run(self._departures.loop.create_task, self._in_task(run))
            self._future = task
            task.add_done_callback(self._task_ended)

    def future(self) -> asyncio.Future[None]:
        """Return a future with the outcome."""
        if self._run is not None:
            self._departures.begin_all()
        if self._future is None:
            self._future = self._departures.loop.create_future()
            if self._done:
                self._tell(self._future)
        return self._future

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._departures.loop

    def done(self) -> bool:
        return self._done or (self._future is not None and self._future.done())

    def cancelled(self) -> bool:
        return self.future().cancelled()

    def result(self) -> None:
        return self.future().result()

    def exception(self) -> BaseException | None:
        return self.future().exception()

    def add_done_callback(self, callback: Callable[[asyncio.Future[None]], object]) -> None:
        self.future().add_done_callback(callback)

    async def _in_task(self, run: Run) -> None:
        self._departures.departed(self)
        await run(self._envelope, self._descriptor)

    def _task_ended(self, task: asyncio.Future[None]) -> None:
        self._departures.departed(self)  # one that was cancelled before it began never said so itself
        self._end(outcome(task))

    def _end(self, error: BaseException | None) -> None:
        self._done, self._error = True, error
        self._departures.running.discard(self)
        if self._future is not None and not self._future.done():
            self._tell(self._future)

    def _tell(self, future: asyncio.Future[None]) -> None:
        settle(future, asyncio.CancelledError() if isinstance(self._error, GeneratorExit) else self._error)
        if not future.cancelled():
            future.exception()  # marks it as retrieved: the task that ran the send has raised it


class PendingSends:
    """The sends of one manager that have not begun, which begin in the order they were made, and those under way.

    On one loop, that of the first send.
    """

    def __init__(self) -> None:
        self._waiting: deque[PendingSend] = deque()
        #: Those that have a task which did not begin yet: nobody may overtake them.
        self._beginning: set[PendingSend] = set()
        self.running: set[PendingSend] = set()
        self._scheduled = False
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # from the first send on

    def add(self, run: Run, envelope: Any, descriptor: Any) -> PendingSend:
        """Return a send that begins when it is awaited, and at the next turn of the loop at the latest."""
        underway = PendingSend(self, run, envelope, descriptor)
        self._waiting.append(underway)
        if not self._scheduled:
            self._scheduled = True
            self.loop = asyncio.get_running_loop()
            self.loop.call_soon(self._next_turn)
        return underway

    def depart(self, underway: PendingSend) -> bool:
        """Let one begin, if no send that was made before has yet to; False if it has to wait for its turn."""
        if self._beginning or not self._waiting or self._waiting[0] is not underway:
            return False
        self._waiting.popleft()
        self.running.add(underway)
        return True

    def departed(self, underway: PendingSend) -> None:
        """The task of one has begun, or will not."""
        self._beginning.discard(underway)

    def begin_all(self) -> None:
        """Give those that wait a task."""
        while self._waiting:
            underway = self._waiting.popleft()
            self._beginning.add(underway)
            self.running.add(underway)
            underway.begin()

    async def flush(self, timeout: float) -> None:
        """Wait for all, *timeout* seconds at most."""
        self.begin_all()
        if self.running:
            await asyncio.wait([underway.future() for underway in self.running], timeout=timeout)

    def _next_turn(self) -> None:
        self._scheduled = False
        self.begin_all()
