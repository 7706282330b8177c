"""Runs the parts of a stop in sequence, in bounded time, whatever each of them does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ...deadlines import within
from ...safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Seconds beyond the grace of handlers in which a stop ends, and the least that each of its parts gets.
_MARGIN, _MINIMUM = 3.0, 0.25
#: What a part does, for the log, and the call that does it.
Part = tuple[str, Callable[[], Awaitable[Any]]]


async def run_parts(parts: Iterable[Part], grace: float) -> None:
    """Run all *parts*; log and skip a part that fails or takes too long.

    Args:
        parts: In their order.
        grace: Seconds that handlers have to finish, within the first part.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + grace + _MARGIN
    for what, work in parts:
        try:
            await within(work(), max(_MINIMUM, end - loop.time()))
        except asyncio.TimeoutError:
            logger.warning("stopping the event manager: %s took too long and was given up", what)
        except Exception:  # the other parts must be stopped too
            logger.exception("stopping the event manager: %s failed", what)


async def finished(tasks: set[asyncio.Task[None]]) -> None:
    """Wait until all *tasks* are done."""
    if tasks:
        await asyncio.wait(tasks)
