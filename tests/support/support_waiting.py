"""Waiting for conditions with a deadline, with and without an event loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Seconds. A loaded machine is slow; only a test that fails waits for so long.
DEADLINE = 60.0
# Seconds between two looks: most conditions are true at once, and some ask a broker.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02


async def eventually(condition: Callable[[], Any], what: Any = "", timeout: float = DEADLINE) -> Any:
    """Return the first true result of *condition*, asked again and again; the loop runs meanwhile.

    Args:
        condition: Plain or async.
        what: What is waited for, or a function that tells it in the end, for the message.
        timeout: Seconds until this fails.
    """
    for pause in _pauses(timeout):
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        await asyncio.sleep(pause)
    raise AssertionError(_complaint(condition, what, timeout))


def soon(condition: Callable[[], Any], what: Any = "", timeout: float = DEADLINE) -> Any:
    """The same where there is no loop."""
    for pause in _pauses(timeout):
        if value := condition():
            return value
        time.sleep(pause)
    raise AssertionError(_complaint(condition, what, timeout))


def _pauses(timeout: float) -> Iterator[float]:
    end, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while time.monotonic() < end:
        yield pause
        pause = min(pause * 1.2, _LONGEST_PAUSE)
    # For a last look: this process may have stood still until now.
    yield 0.0


def _complaint(condition: Callable[[], Any], what: Any, timeout: float) -> str:
    return f"not within {timeout:g} s: {(what() if callable(what) else what) or condition}"
