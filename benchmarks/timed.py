"""What contenders of different kinds do alike: confirmed sends in turns, and many sends under way at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from . import turns
from .measure import Sample, Stopwatch, joined

Send = Callable[[int], Awaitable[object]]


async def confirmed(count: int, send: Send) -> Sample:
    """Send the numbers from 0 to *count* - 1 in turns, each when the one before it is confirmed."""
    done = []
    for numbers in turns.portions(count):
        await turns.waiting()
        watch, single = Stopwatch(), []
        for number in numbers:
            started = time.perf_counter()
            await send(number)
            single.append(time.perf_counter() - started)
        done.append(watch.stop(len(numbers), single))
    return joined(done)


def confirmed_blocking(count: int, send: Callable[[int], object]) -> Sample:
    """Do the same with a *send* that returns when it is confirmed."""
    done = []
    for numbers in turns.portions(count):
        turns.wait()
        watch, single = Stopwatch(), []
        for number in numbers:
            started = time.perf_counter()
            send(number)
            single.append(time.perf_counter() - started)
        done.append(watch.stop(len(numbers), single))
    return joined(done)


async def send_all(count: int, in_flight: int, send: Send) -> None:
    """Send the numbers from 0 to *count* - 1, so many of them unconfirmed at a time."""
    numbers = iter(range(count))
    await asyncio.gather(*(_send_from(numbers, send) for _ in range(min(in_flight, count))))


async def _send_from(numbers: Iterator[int], send: Send) -> None:
    for number in numbers:
        await send(number)
