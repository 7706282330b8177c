"""Does a process tell the truth about its readiness? Its samples, held against what it really did (I9)."""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from support_faults_ledger import HEALTH, Handling, Ledger, Pen
from support_faults_plan import Listening

from aspyx_event import EventManager

#: Seconds between two samples.
EVERY = 0.5
#: Seconds that a process may be wrong about its readiness.
WRONG = 10.0


async def sample_health(manager: EventManager, pen: Pen) -> None:
    """Write down what the manager says of itself, until cancelled."""
    while True:
        health = await manager.health()
        reasons = "; ".join(health.reasons).replace(" ", "_")[:200]
        pen.write(HEALTH, seq=int(health.ready), note=reasons or "-")
        await asyncio.sleep(EVERY)


@dataclass
class Cut:
    """A time in which some processes, or all, can reach no broker.

    Attributes:
        start: When it began.
        end: When it was over; None while it lasts.
        names: Of the processes; empty is all.
    """

    start: float
    end: float | None = None
    names: frozenset[str] = frozenset()


@dataclass
class Lie:
    """A process was wrong about its readiness.

    Attributes:
        process: Its name.
        said: "ready" or "not ready".
        seconds: For how long.
        at: When that began.
    """

    process: str
    said: str
    seconds: float
    at: float


Span = tuple[float, float]


def spans(samples: list[tuple[float, bool]], said: bool) -> Iterator[Span]:
    """Yield the times in which a process said so, over all samples in a row. Each holds until the next."""
    start = None
    for at, ready in samples:
        if ready is said and start is None:
            start = at
        elif ready is not said and start is not None:
            yield start, at
            start = None
    if start is not None:
        yield start, samples[-1][0]


def gaps(done: Iterable[float], due: Iterable[float]) -> Iterator[Span]:
    """Yield the times in which nothing was done although something was due.

    Args:
        done: When something was.
        due: When something became due.
    """
    done, due = sorted(done), sorted(due)
    for before, after in itertools.pairwise(done):
        first = bisect_right(due, before)
        if first < len(due) and due[first] < after:
            yield due[first], after


def without(span: Span, holes: Iterable[Span]) -> Iterator[Span]:
    """Yield what is left of a time without some others."""
    since, until = span
    for start, end in sorted(holes):
        if end > since and start < until:
            if start > since:
                yield since, start
            since = max(since, end)
    if since < until:
        yield since, until


class Truth:
    """What the ledger knows of every process.

    Args:
        ledger: Read to its end.
        listening: The listeners by name.
        members: Names of the listeners of each consumer process; a producer has none.
        cuts: When nothing could be reached.
    """

    def __init__(
        self, ledger: Ledger, listening: dict[str, Listening], members: dict[str, list[str]], cuts: list[Cut]
    ) -> None:
        self._ledger, self._listening, self._members, self._cuts = ledger, listening, members, cuts

    def lies(self) -> Iterator[Lie]:
        """Yield every time that a process was wrong, however short."""
        for name in self._members:
            samples = self._ledger.health[name]
            if samples:
                yield from self._said_ready(name, list(spans(samples, True)))
                yield from self._said_not_ready(name, list(spans(samples, False)))

    def returns(self) -> Iterator[float]:
        """Yield the seconds from the end of each cut until a process that was cut off said that it was ready."""
        for cut in self._cuts:
            for name, samples in self._ledger.health.items():
                if cut.end is None or (cut.names and name not in cut.names):
                    continue
                # A process that came later, or left meanwhile, tells nothing.
                if samples and samples[0][0] < cut.start and samples[-1][0] > cut.end:
                    back = next((at for at, ready in samples if ready and at >= cut.end), None)
                    # Cut off again before it could say so.
                    again = any(start < (back or 0.0) for start, _ in self._outages(name) if start > cut.end)
                    if back is not None and not again:
                        yield back - cut.end

    def _said_ready(self, name: str, ready: list[Span]) -> Iterator[Lie]:
        for start, end in [*self._outages(name), *self._idle(name)]:
            for since, until in ready:
                seconds = min(end, until) - max(start, since)
                if seconds > 0:
                    yield Lie(name, "ready", seconds, max(start, since))

    def _said_not_ready(self, name: str, not_ready: list[Span]) -> Iterator[Lie]:
        # What it has in hand when the broker goes away it may well finish.
        worked, outages = sorted(self._worked(name)), self._outages(name)
        for span in not_ready:
            for since, until in without(span, outages):
                inside = worked[bisect_right(worked, since) : bisect_right(worked, until)]
                if len(inside) > 1:
                    yield Lie(name, "not ready", inside[-1] - inside[0], inside[0])

    def _outages(self, name: str) -> list[Span]:
        return [
            (cut.start, cut.end) for cut in self._cuts if cut.end is not None and (not cut.names or name in cut.names)
        ]

    def _worked(self, name: str) -> list[float]:
        found = list(self._ledger.accepted_at[name])
        for listener in self._members[name]:
            found += self._ledger.listeners[listener].times[name]
        return found

    def _idle(self, name: str) -> Iterator[Span]:
        """Yield when a producer got nothing confirmed of what it sent, a listener nothing of what was confirmed."""
        if not self._members[name]:
            yield from gaps(self._ledger.accepted_at[name], self._ledger.sent_at[name])
        for listener in self._members[name]:
            one = self._listening[listener]
            if one.work or one.hangs:
                continue  # at work, not deaf
            handling = self._ledger.listeners[listener]
            times = [at for process in handling.times.values() for at in process]
            yield from gaps(times, self._waited_for(handling))

    def _waited_for(self, handling: Handling) -> Iterator[float]:
        """Yield when each event that a listener did not have by then was confirmed."""
        for event_id, at in self._ledger.accepted.items():
            key, number = self._ledger.sent[event_id]
            if handling.firsts[key].get(number, at + 1) > at:
                yield at
