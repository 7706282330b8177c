"""Where a manager is in its life, and who may move it on."""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from ...exceptions import StateError


class State(Enum):
    """Life of a manager."""

    NEW = "not started"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    #: Its event loop ended before it was stopped: connections and handlers are gone, and cannot be had back.
    LOST = "lost"


class Lifecycle:
    """Starts once, however many ask for it at the same time. Runs on the manager's loop.

    Args:
        start: Does the starting; may raise, then a later call may try again.
        stop: Does the stopping; does not raise.
    """

    def __init__(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        self._start, self._stop = start, stop
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self.state = State.NEW

    @property
    def at_rest(self) -> bool:
        """True while it is neither started nor on the way to it or from it."""
        return self.state in (State.NEW, State.STOPPED) and self._starting is None and self._ending is None

    def check_usable(self) -> None:
        """Raise unless the manager may be used, and started by that use.

        Raises:
            StateError: it was stopped, or lost its loop.
        """
        self._check_not_lost()
        if self.state is State.STOPPED:
            raise StateError("the event manager is stopped; call `await manager.start()` to use it again")

    async def start(self) -> None:
        """Start, or join the start under way.

        Raises:
            StateError: it is just being stopped, or lost its loop.
        """
        if self.state is State.STARTED:
            return
        self._check_not_lost()
        if self._ending is not None:
            raise StateError("the event manager is being stopped; start it again when that is done")
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._run_start(), name="start event manager")
        # A caller that gives up must not take the start from the others.
        await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Stop, or join the stop under way."""
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
                await asyncio.gather(self._starting, return_exceptions=True)
            if self.state is State.STARTED:
                self.state = State.STOPPING
                await self._stop()
        finally:
            self._ending = None
            if self.state is not State.LOST:
                self.state = State.STOPPED

    async def _run_start(self) -> None:
        try:
            await self._start()
            self.state = State.STARTED
        finally:
            self._starting = None


def stop_at_exit(stop: Any) -> None:
    """Call the bound method *stop* when the program ends, if its object lives then.

    Before the worker threads of the interpreter are shut down, because sync listeners need them to finish.
    """
    reference = weakref.WeakMethod(stop)

    def at_exit() -> None:
        method = reference()
        if method is not None:
            method()

    # The hook that concurrent.futures uses itself; a private name, so its absence only costs the early moment.
    getattr(threading, "_register_atexit", atexit.register)(at_exit)
