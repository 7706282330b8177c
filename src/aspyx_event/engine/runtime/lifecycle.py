"""`Lifecycle`: the state of a manager, and its transitions."""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from ...exceptions import StateError
from .loop import EventLoopRunner

#: Seconds that a start gets to undo what it has done, when a stop cancels it.
_ABORT_TIMEOUT = 5.0


class State(Enum):
    """State of a manager."""

    NEW = "not started"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    #: Its event loop ended before it was stopped: connections and running handlers are lost for good.
    LOST = "lost"


class Lifecycle:
    """Starts and stops once, however many callers ask at the same time. Runs on the manager's loop, but for
    `check_usable` and `forget_ended_loop`, which may be called from any thread.

    Args:
        start: Starts the engine. If it raises, a later call may try again.
        stop: Stops the engine; does not raise.
        loop: The manager's loop.
        start_grace: Seconds that a stop gives to a start in progress; 0.0 cancels it at once.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
        loop: EventLoopRunner,
        start_grace: Callable[[], float],
    ) -> None:
        self._start, self._stop, self._loop, self._start_grace = start, stop, loop, start_grace
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        #: A stop has cancelled the start in progress.
        self._aborted = False
        self.state = State.NEW

    @property
    def at_rest(self) -> bool:
        """True while the manager is neither started, nor starting, nor stopping."""
        return self.state in (State.NEW, State.STOPPED) and self._starting is None and self._ending is None

    @property
    def starting(self) -> bool:
        """True while a start is in progress."""
        return self._starting is not None and self._ending is None

    def reopen(self) -> None:
        """Take a stopped manager as new, so that it may be used while it starts."""
        if self.state is State.STOPPED:
            self.state = State.NEW

    def check_usable(self) -> None:
        """Check that the manager may be used, and started on demand.

        Raises:
            StateError: it was stopped, or lost its loop; or this process was forked from the one that started it.
        """
        self._loop.check_process()
        self._check_not_lost()
        if self.state is State.STOPPED:
            raise StateError("the event manager is stopped; call `await manager.start()` to use it again")
        self.forget_ended_loop()

    def forget_ended_loop(self) -> None:
        """Forget a loop that ended before the manager was started, so that the next start may use another loop."""
        # A start that failed leaves nothing on its loop.
        if self.state is State.NEW:
            self._loop.forget_ended()

    async def start(self) -> None:
        """Start, or join the start in progress.

        Raises:
            StateError: the manager is being stopped, or lost its loop.
        """
        if self.state is State.STARTED:
            return
        self._check_not_lost()
        if self._ending is not None:
            raise StateError("the event manager is being stopped; start it again when that is done")
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._run_start(), name="start event manager")
        # A caller that is cancelled must not cancel the start for the others.
        await asyncio.shield(self._starting)

    async def start_on_use(self) -> None:
        """Start because the manager is used. A loop in a thread of its own is stopped when the program ends.

        Raises:
            StateError: the manager is stopped or being stopped, or lost its loop.
        """
        self.check_usable()  # it may have been stopped since the caller checked
        await self.start()
        if self._loop.owns_loop:
            _call_at_exit(self._stop_at_exit)

    async def stop(self) -> None:
        """Stop, or join the stop in progress."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._run_stop(), name="stop event manager")
        await asyncio.shield(self._ending)

    def lose(self) -> None:
        """Give up a manager whose loop has ended."""
        self.state = State.LOST

    def _check_not_lost(self) -> None:
        if self.state is State.LOST:
            raise StateError(
                "the event loop of this manager ended before the manager was stopped; make a new manager with a new "
                "provider, and call `await environment.stop()` (or `await manager.stop()`) inside the loop"
            )

    async def _run_stop(self) -> None:
        try:
            if self._starting is not None:
                await self._end_start(self._starting)
            if self.state is State.STARTED:
                self.state = State.STOPPING
                await self._stop()
        finally:
            self._ending = None
            if self.state is not State.LOST:
                self.state = State.STOPPED

    async def _end_start(self, starting: asyncio.Task[None]) -> None:
        """Cancel the start in progress, unless events wait for it: they get the time that handlers would get."""
        grace = self._start_grace()
        if grace:
            await asyncio.wait({starting}, timeout=grace)
        if not starting.done():
            self._aborted = True
            starting.cancel()
            await asyncio.wait({starting}, timeout=_ABORT_TIMEOUT)

    async def _run_start(self) -> None:
        try:
            await self._start()
            self.state = State.STARTED
        except asyncio.CancelledError:
            if not self._aborted:
                raise
            raise StateError("the event manager was stopped while it started") from None
        finally:
            self._starting, self._aborted = None, False

    def _stop_at_exit(self) -> None:
        if self.state is State.STARTED and self._loop.owns_loop and not self._loop.is_inherited:
            self._loop.run(self.stop)
            self._loop.unbind()


def _call_at_exit(method: Any) -> None:
    """Call a bound method when the program ends, if its object still exists then.

    This happens before the interpreter shuts its worker threads down, because sync handlers need them to finish.
    """
    reference = weakref.WeakMethod(method)

    def at_exit() -> None:
        method = reference()
        if method is not None:
            method()

    # concurrent.futures uses the same hook. The name is private; without it the call only happens later.
    getattr(threading, "_register_atexit", atexit.register)(at_exit)
