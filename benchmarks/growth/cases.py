"""What can grow: the cases, their points, and the bounds that some of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOCAL, AMQP, STOMP = "Local", "AMQP", "STOMP"


@dataclass(frozen=True, slots=True)
class Case:
    """One panel of the plot.

    Attributes:
        key: What workers call it.
        title: What grows.
        axis: Its unit.
        lines: The curves; the first word is the provider.
        points: How many of what grows.
        messages: Events per point; less where one point has a number of its own.
        figure: Of what a worker returns: "cpu" (microseconds), "rate" (per second), ...
        unit: Of that figure.
        most: The last point may be at most this many times the first one, None where growth is natural.
        rounds: Interleaved repetitions, of which the median counts.
    """

    key: str
    title: str
    axis: str
    lines: tuple[str, ...]
    points: tuple[int, ...]
    messages: int
    figure: str
    unit: str
    most: float | None = None
    rounds: int = 3
    fewer: tuple[tuple[int, int], ...] = ()

    def count(self, point: int, scale: float) -> int:
        """Return the events of a point."""
        return max(10, round(dict(self.fewer).get(point, self.messages) * scale))


CASES = (
    Case(
        "listeners",
        "one listener, and others for events that nobody sends",
        "listeners",
        (LOCAL, AMQP),
        (1, 10, 100, 1_000),
        8_000,
        "cpu",
        "CPU µs per event",
        1.3,
    ),
    Case(
        "fanout",
        "listeners that all get the event",
        "listeners",
        (LOCAL, AMQP),
        (1, 10, 100, 1_000),
        10_000,
        "cpu",
        "CPU µs per delivery",
        1.0,
    ),
    Case(
        "types",
        "event types, sent in turn",
        "event types",
        (LOCAL, AMQP),
        (1, 10, 100),
        8_000,
        "cpu",
        "CPU µs per event",
        1.5,
    ),
    Case(
        "interceptors",
        "interceptors, on both sides",
        "interceptors",
        (LOCAL, AMQP),
        (0, 1, 5, 20),
        8_000,
        "cpu",
        "CPU µs per event",
    ),
    Case(
        "bodies",
        "size of the body",
        "bytes",
        (LOCAL, AMQP, STOMP),
        (200, 10_000, 1_000_000),
        8_000,
        "rate",
        "events per second",
        fewer=((10_000, 3_000), (1_000_000, 60)),
    ),
    Case(
        "concurrency",
        "handlers at once, each waits 5 ms",
        "concurrency",
        (LOCAL, AMQP, STOMP),
        (1, 10, 100),
        8_000,
        "rate",
        "events per second",
        rounds=2,
        fewer=((1, 300), (10, 2_500)),
    ),
    Case(
        "keys",
        "keys of order_by, ten workers (0: not ordered)",
        "keys",
        (LOCAL, AMQP),
        (0, 1, 100, 10_000),
        10_000,
        "cpu",
        "CPU µs per event",
    ),
    Case(
        "processes",
        "consumer processes at one queue",
        "processes",
        ("AMQP, no-op", "AMQP, 5 ms each"),
        (1, 2, 3, 4),
        20_000,
        "rate",
        "events per second",
        rounds=2,
    ),
    Case(
        "memory",
        "events through one process",
        "events",
        (LOCAL, AMQP, STOMP),
        (1_000_000,),
        1_000_000,
        "growth",
        "MB more than after a tenth",
        rounds=1,
    ),
    Case(
        "backlog",
        "messages that wait when a consumer starts",
        "messages waiting",
        (AMQP, STOMP),
        (100, 10_000, 1_000_000),
        1_000_000,
        "peak",
        "MB more than before",
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
        if case.key == "memory":
            said.append(
                _bounded(f"{line}: {last:.1f} MB more at the end", last <= MEMORY_BOUND, f"{MEMORY_BOUND:g} MB")
            )
        elif case.key == "backlog":
            # What attaching costs with a window's worth of messages, plus that window.
            allowed = first + CREDIT * MESSAGE_SIZE / 1e6
            said.append(
                _bounded(
                    f"{line}: {first:.1f} MB with {case.points[0]} waiting, {last:.1f} MB with {case.points[-1]:,}",
                    last <= allowed,
                    f"{allowed:.1f} MB",
                )
            )
        elif case.most is not None:
            said.append(
                _bounded(
                    f"{line}: {last / first:.2f} times from {case.points[0]} to {case.points[-1]:,}",
                    last / first <= case.most,
                    f"{case.most:g} times",
                )
            )
    return said


def _bounded(text: str, kept: bool, bound: str) -> str:
    return f"{text}; at most {bound}: {'kept' if kept else 'NOT kept'}"
