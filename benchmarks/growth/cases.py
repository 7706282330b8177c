"""What can grow: the cases, their points, and the bounds that some of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

LOCAL, AMQP, STOMP = "Local", "AMQP", "STOMP"


@dataclass(frozen=True, slots=True)
class Case:
    """One panel of the plot.

    Attributes:
        key: What workers call it.
        title: What grows.
        axis: Its unit.
        points: How many of what grows.
        lines: The curves; the first word is the provider.
        messages: Events per point; less where one point has a number of its own.
        figure: Of what a worker returns: "cpu" (microseconds), "rate" (per second), ...
        unit: Of that figure.
        most: The last point may be at most this many times the first one, None where growth is natural.
        rounds: Interleaved repetitions, of which the median counts.
        fewer: Points with a number of events of their own, and that number.
    """

    key: str
    title: str
    axis: str
    points: tuple[int, ...]
    _: KW_ONLY
    lines: tuple[str, ...] = (LOCAL, AMQP)
    messages: int = 8_000
    figure: str = "cpu"
    unit: str = "CPU µs per event"
    most: float | None = None
    rounds: int = 3
    fewer: tuple[tuple[int, int], ...] = ()

    def count(self, point: int, scale: float) -> int:
        """Return the events of a point."""
        return max(10, round(dict(self.fewer).get(point, self.messages) * scale))


_PER_SECOND = "events per second"

CASES = (
    Case(
        "listeners",
        "one listener, and others for events that are never sent",
        "listeners",
        (1, 10, 100, 1_000),
        most=1.3,
    ),
    Case(
        "fanout",
        "listeners of the same event",
        "listeners",
        (1, 10, 100, 1_000),
        messages=10_000,
        unit="CPU µs per delivery",
        most=1.0,
    ),
    Case("types", "event types, sent in turn", "event types", (1, 10, 100), most=1.5),
    Case("interceptors", "interceptors, on both sides", "interceptors", (0, 1, 5, 20)),
    Case(
        "bodies",
        "size of the body",
        "bytes",
        (200, 10_000, 1_000_000),
        lines=(LOCAL, AMQP, STOMP),
        fewer=((10_000, 3_000), (1_000_000, 60)),
        figure="rate",
        unit=_PER_SECOND,
    ),
    Case(
        "concurrency",
        "concurrent handlers, each waits 5 ms",
        "concurrency",
        (1, 10, 100),
        lines=(LOCAL, AMQP, STOMP),
        rounds=2,
        fewer=((1, 300), (10, 2_500)),
        figure="rate",
        unit=_PER_SECOND,
    ),
    Case("keys", "keys of order_by, ten workers (0: unordered)", "keys", (0, 1, 100, 10_000), messages=10_000),
    Case(
        "processes",
        "consumer processes on one queue",
        "processes",
        (1, 2, 3, 4),
        lines=("AMQP, no-op", "AMQP, 5 ms each"),
        messages=20_000,
        rounds=2,
        figure="rate",
        unit=_PER_SECOND,
    ),
    Case(
        "memory",
        "events through one process",
        "events",
        (1_000_000,),
        lines=(LOCAL, AMQP, STOMP),
        messages=1_000_000,
        figure="growth",
        unit="MB more than after a tenth",
        rounds=1,
    ),
    Case(
        "backlog",
        "messages waiting when a consumer starts",
        "messages waiting",
        (100, 10_000, 1_000_000),
        lines=(AMQP, STOMP),
        messages=1_000_000,
        figure="peak",
        unit="MB more than before",
        rounds=1,
    ),
)
#: MB that a million events may leave behind in a process.
MEMORY_BOUND = 5.0
#: Bytes of one message of the benchmark on the wire, with its headers, generously.
MESSAGE_SIZE = 1_000
#: Deliveries that a consumer holds: the default of a subscription.
CREDIT = 100

Points = Mapping[str, Mapping[int, Mapping[str, float]]]


def verdicts(case: Case, points: Points) -> Sequence[str]:
    """Return what the figures of a case say about its bound, one line per curve."""
    said = []
    for line, figures in points.items():
        first, last = figures[case.points[0]][case.figure], figures[case.points[-1]][case.figure]
        found = _bound(case, first, last)
        if found is not None:
            text, kept, bound = found
            said.append(f"{line}: {text}; at most {bound}: {'kept' if kept else 'NOT kept'}")
    return said


def _bound(case: Case, first: float, last: float) -> tuple[str, bool, str] | None:
    """Return what the ends of a curve say, whether its bound is kept, and that bound; None where growth is natural."""
    if case.key == "memory":
        return f"{last:.1f} MB more at the end", last <= MEMORY_BOUND, f"{MEMORY_BOUND:g} MB"
    if case.key == "backlog":
        # What attaching costs with a window's worth of messages, plus that window.
        allowed = first + CREDIT * MESSAGE_SIZE / 1e6
        text = f"{first:.1f} MB with {case.points[0]} waiting, {last:.1f} MB with {case.points[-1]:,}"
        return text, last <= allowed, f"{allowed:.1f} MB"
    if case.most is not None:
        text = f"{last / first:.2f} times from {case.points[0]} to {case.points[-1]:,}"
        return text, last / first <= case.most, f"{case.most:g} times"
    return None
