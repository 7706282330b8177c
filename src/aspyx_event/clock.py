"""Time as the framework sees it, so that tests can advance it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Tells the time and calls back. Used on the manager's event loop."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call *callback* on the loop in *delay* seconds."""


class SystemClock:
    """The real time."""

    def time(self) -> float:
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


class ManualClock:
    """A time that stands still until a test advances it.

    Args:
        now: Where it starts, in seconds since the epoch.
    """

    def __init__(self, now: float = 1_000_000_000.0) -> None:
        self._now = now
        self._due: list[tuple[float, int, ManualTimer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = ManualTimer(callback)
        heapq.heappush(self._due, (self._now + delay, next(self._order), timer))
        return timer

    @property
    def waiting(self) -> int:
        """Calls that are due later and not cancelled."""
        return sum(1 for _, _, timer in self._due if timer.callback is not None)

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass: calls what falls due, in order, and lets the loop run after each call."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._due)
            if timer.callback is not None:
                timer.callback()
                await asyncio.sleep(0)
        self._now = end
        await asyncio.sleep(0)


class ManualTimer:
    """A call that a `ManualClock` makes."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None
