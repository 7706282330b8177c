"""Time limits for awaits that never lose a cancellation, as `asyncio.wait_for` does before Python 3.12."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import TypeVar

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["timeout", "within"]

T = TypeVar("T")


async def within(awaitable: Awaitable[T], seconds: float | None) -> T:
    """Await *awaitable*, which is cancelled after *seconds*; None does not limit it.

    A cancellation of the caller is never swallowed, also if it comes in the same turn of the loop as the result:
    https://github.com/python/cpython/issues/86296.

    Raises:
        asyncio.TimeoutError: the time is over.
    """
    async with timeout(seconds):
        return await awaitable
