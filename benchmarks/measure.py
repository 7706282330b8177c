"""Clocks and statistics."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .turns import UNCOUNTED


@dataclass(frozen=True, slots=True)
class Sample:
    """One kind of work, done once.

    Attributes:
        messages: How many.
        seconds: Wall clock.
        cpu_seconds: CPU of this process, all threads, user and system.
        single: Seconds of each send, in their order, in work where single sends are timed; else empty.
    """

    messages: int
    seconds: float
    cpu_seconds: float
    single: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    @property
    def cpu_micros(self) -> float:
        """CPU microseconds per message."""
        return self.cpu_seconds / self.messages * 1e6

    def percentile(self, percent: float) -> float | None:
        """Return a percentile of the single sends in seconds; None where they are not timed."""
        return percentile(self.single, percent) if self.single else None

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; the single times as whole microseconds in one string, as there are thousands."""
        return {
            "messages": self.messages,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "p50": self.percentile(50),
            "p99": self.percentile(99),
            "single_us": " ".join(f"{seconds * 1e6:.0f}" for seconds in self.single),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Sample:
        """Return the sample that `as_json` wrote.

        Raises:
            ValueError: it was written when only the percentiles of each round were kept.
        """
        if "single_us" not in found:
            raise ValueError("these results were written before the time of every single send was kept")
        single = tuple(int(micros) / 1e6 for micros in found["single_us"].split())
        return cls(found["messages"], found["seconds"], found["cpu_seconds"], single)


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
        return Sample(messages, seconds, cpu, tuple(single))


def joined(turns: Sequence[Sample]) -> Sample:
    """Return one sample for timed sends that were done in several turns; the first of each turn are not counted."""
    single = [seconds for turn in turns for seconds in turn.single[UNCOUNTED:] or turn.single]
    return Sample(
        sum(turn.messages for turn in turns),
        sum(turn.seconds for turn in turns),
        sum(turn.cpu_seconds for turn in turns),
        tuple(single),
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave.

    Attributes:
        middle: The median of the rounds; for a percentile, that of all their sends together (`pooled`).
        low, high: The range of the rounds.
    """

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def times(self, factor: float) -> Spread:
        """Return the same in another unit."""
        return Spread(self.middle * factor, self.low * factor, self.high * factor)


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


def pooled(samples: Sequence[Sample], percent: float) -> Spread:
    """Return a percentile of all single sends of all rounds together, and the range of that of each round, in seconds.

    In one round a handful of sends decide about a high percentile; together there are enough of them.

    Raises:
        ValueError: single sends were not timed.
    """
    each = [percentile(sample.single, percent) for sample in samples]
    together = [seconds for sample in samples for seconds in sample.single]
    return Spread(percentile(together, percent), min(each), max(each))


def pooled_ratio(samples: Sequence[Sample], others: Sequence[Sample], percent: float) -> Spread:
    """Return the ratio of two pooled percentiles, and the range of the ratios of each round.

    Raises:
        ValueError: the lists differ in length, or single sends were not timed.
    """
    rounds = paired_ratios(
        [percentile(sample.single, percent) for sample in samples],
        [percentile(sample.single, percent) for sample in others],
    )
    return Spread(pooled(samples, percent).middle / pooled(others, percent).middle, rounds.low, rounds.high)
