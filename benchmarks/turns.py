"""Turns: the contenders of a group are there at the same time, and one of them works while the others wait.

What slows the machine for a second slows all of them alike, which it does not where each has its five seconds.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

#: The line by which a worker asks for its turn; any line on its stdin is the answer.
ASKS = "turn?"
#: Timed sends of one turn. Those at its beginning do not count: caches are cold after the turns of others.
SENDS, UNCOUNTED = 50, 5


def wait() -> None:
    """Ask for a turn, and return when it has come; for contenders that have threads of their own, or a loop that may stand still."""
    print(ASKS, flush=True)
    if not sys.stdin.readline():
        raise EOFError("whoever gives the turns is gone")


async def waiting() -> None:
    """Do the same in a loop that goes on meanwhile: what it has yet to write is written, heartbeats included."""
    await asyncio.get_running_loop().run_in_executor(None, wait)


def portions(count: int) -> Iterator[range]:
    """Yield the numbers from 0 to *count* - 1 in ranges of one turn each."""
    for start in range(0, count, SENDS):
        yield range(start, min(count, start + SENDS))
