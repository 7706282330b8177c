"""Delays by the manager's clock that end early when the subscription stops."""

from __future__ import annotations

import asyncio

from ...clock import Clock


class StoppableDelay:
    """Waits of a subscription. Runs on the manager's loop.

    Args:
        clock: Times them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopping = asyncio.Event()

    def reset(self) -> None:
        """Undo `stop`, before the first delivery."""
        # A new event, because the first wait binds it to its loop, and a restart may run on another loop.
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the waits under way, and those to come at once."""
        self._stopping.set()

    @property
    def stopped(self) -> bool:
        return self._stopping.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait *seconds* by the clock; True if a stop ended the wait or came before it."""
        if self._stopping.is_set():
            return True
        due = asyncio.Event()
        timer = self._clock.call_later(seconds, due.set)
        waits = [asyncio.ensure_future(due.wait()), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()
        return not due.is_set()
