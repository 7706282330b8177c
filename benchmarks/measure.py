"""Clocks and statistics."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """One kind of work, done once.

    Attributes:
        messages: How many.
        seconds: Wall clock.
        cpu_seconds: CPU of this process, all threads, user and system.
        p50, p99: Seconds of one send, in work where single sends are timed; else None.
    """

    messages: int
    seconds: float
    cpu_seconds: float
    p50: float | None = None
    p99: float | None = None

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    @property
    def cpu_micros(self) -> float:
        """CPU microseconds per message."""
        return self.cpu_seconds / self.messages * 1e6


class Stopwatch:
    """Starts when it is made, after a garbage collection: what was before must not be paid for now."""

    def __init__(self) -> None:
        gc.collect()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self, messages: int, single: Sequence[float] = ()) -> Sample:
        """Return what was measured.

        Args:
            messages: How many were done.
            single: Seconds of each single send, if they were timed.
        """
        seconds, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        p50, p99 = (percentile(single, 50), percentile(single, 99)) if single else (None, None)
        return Sample(messages, seconds, cpu, p50, p99)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of what several rounds gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least *percent* of all values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or *percent* is not above 0 and at most 100.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"percentile {percent} of {len(values)} values")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def paired_ratios(values: Sequence[float], others: Sequence[float]) -> Spread:
    """Return the spread of value by value ratios: both lists are of the same rounds, so what slowed a whole round
    cancels out.

    Raises:
        ValueError: the lists differ in length.
    """
    return Spread.of([value / other for value, other in zip(values, others, strict=True)])
