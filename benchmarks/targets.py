"""What aspyx_event is to reach beside its peers, and whether it did in this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .measure import Sample, Spread, paired_ratios, pooled_ratio
from .settings import CONFIRM, CONSUME, END_TO_END, IMPORT, PACED, PUBLISH

RATE, TIME, P50, P99, EXTRA_MICROS, EXTRA_MILLIS = "rate", "time", "p50", "p99", "extra us", "extra ms"
_MARKS = {RATE: "x", TIME: "x", P50: "x", P99: "x", EXTRA_MICROS: " us", EXTRA_MILLIS: " ms"}
_EXTRA = {EXTRA_MICROS: 1e6, EXTRA_MILLIS: 1e3}

_WAITS = (
    "by CPU per event the target is met: less than a third of the reactor's. But the reactor's process is busy all the time, and "
    "this process waits for the broker an eighth of the time: both share two cores"
)
_TAIL = (
    "one send in a hundred waits for other work of the machine and the broker, for several times its own time, with every client: the bare "
    "engine's p99 in the table shows the client's share"
)
_FLOOR = (
    "an envelope with id, time and headers, an interceptor on both sides, a queue, a worker wake-up, a context and "
    "an acknowledgement: each of these costs half of the codec's time to all of it"
)
_NO_CALL = (
    "blinker calls a function; here an event gets id, time and headers, passes an interceptor on both sides, a queue and "
    "a worker, and is acknowledged"
)
_TEST_BROKER = (
    "to meet this goal, an event may cost at most five times the codec; the next line lists what else it pays for"
)
_THREADS = (
    "most of it is the cost of two Python threads that run on different cores and pass the interpreter lock back and forth: see the bare "
    "run_in_executor of the same run in the table, between the two listeners"
)


@dataclass(frozen=True, slots=True)
class Target:
    """One figure to reach, as a ratio to (or a difference from) a peer of the same run.

    Attributes:
        work: What is done, for the table.
        ours, peer: Keys of contenders.
        kind: Of work.
        figure: What is compared: rates, times per event, percentiles; or by how much the time of one event is longer.
        goal: To be reached at least (rates) or at most (the others); None where the figure only stands beside another.
        moonshot: The same, further away; None where there is none.
        reason: Why the goal is missed, if it is and if that is understood.
    """

    work: str
    ours: str
    peer: str
    kind: str
    figure: str
    goal: float | None
    moonshot: float | None = None
    reason: str = ""

    @property
    def at_least(self) -> bool:
        return self.figure == RATE

    def measured(self, results: Mapping[str, Mapping[str, Sequence[Sample]]]) -> Spread | None:
        """Return what the rounds gave; None if one of the two did not take part."""
        found = self._both(results)
        if found is None:
            return None
        if self.figure == P99:
            return pooled_ratio(*found, 99)
        mine, others = ([self._of(sample) for sample in samples] for samples in found)
        factor = _EXTRA.get(self.figure)
        if factor is None:
            return paired_ratios(mine, others)
        return Spread.of([(value - other) * factor for value, other in zip(mine, others, strict=True)])

    def cpu(self, results: Mapping[str, Mapping[str, Sequence[Sample]]]) -> str:
        """Return the CPU of one event beside that of the peer, as it stands in the table; "" where it is not counted."""
        found = self._both(results)
        if found is None or self.kind == IMPORT:
            return ""
        mine, others = ([sample.cpu_micros for sample in samples] for samples in found)
        if self.figure == EXTRA_MICROS:
            return self.shown(Spread.of([value - other for value, other in zip(mine, others, strict=True)]).middle)
        return f"{paired_ratios(mine, others).middle:.2f}x"

    def verdict(self, found: Spread | None) -> str:
        """Return what the figure says, in a few words."""
        if found is None:
            return "not measured"
        if self.goal is None:
            return "no goal"
        if self.moonshot is not None and self.reached(found.middle, self.moonshot):
            return "met, moonshot too"
        return "met" if self.reached(found.middle, self.goal) else "not met"

    def reached(self, value: float, goal: float) -> bool:
        return value >= goal if self.at_least else value <= goal

    def shown(self, value: float) -> str:
        """Return a value as it stands in the table."""
        if self.figure in _EXTRA:
            return f"{value:,.0f}{_MARKS[self.figure]}"
        return f"{value:,.0f}x" if value >= 20 else f"{value:.2f}x"

    def aim(self, goal: float | None) -> str:
        """Return a goal as it stands in the table; "" for none."""
        return "" if goal is None else f"{'>=' if self.at_least else '<='} {self.shown(goal)}"

    def cells(self, found: Spread | None) -> tuple[str, str]:
        """Return figure and range as they stand in the table."""
        if found is None:
            return "-", ""
        return self.shown(found.middle), f"{self.shown(found.low)} to {self.shown(found.high)}"

    def _of(self, sample: Sample) -> float:
        if self.figure == RATE:
            return sample.rate
        if self.figure in (P50, EXTRA_MILLIS):
            return sample.percentile(50) or 0.0
        return 1 / sample.rate

    def _both(
        self, results: Mapping[str, Mapping[str, Sequence[Sample]]]
    ) -> tuple[Sequence[Sample], Sequence[Sample]] | None:
        ours, peer = (results.get(key, {}).get(self.kind) for key in (self.ours, self.peer))
        return (ours, peer) if ours and peer else None


TARGETS = (
    Target("AMQP end to end, to the reactor", "ours-amqp", "proton", END_TO_END, RATE, 3, 4, _WAITS),
    Target("AMQP end to end, to the bare engine", "ours-amqp", "engine", END_TO_END, RATE, 0.6, 0.8),
    Target("AMQP end to end, to FastStream", "ours-amqp", "faststream", END_TO_END, RATE, 8, 12),
    Target("AMQP publish, to the reactor", "ours-amqp", "proton", PUBLISH, RATE, 2, 3),
    Target("AMQP consume, to the reactor", "ours-amqp", "proton", CONSUME, RATE, 3, 4),
    Target("AMQP, one confirmed send, p50", "ours-amqp", "proton", CONFIRM, P50, 1.0),
    Target("AMQP, one confirmed send, p99", "ours-amqp", "proton", CONFIRM, P99, 1.0, None, _TAIL),
    Target("AMQP at 200 events/s, p50, to the bare engine", "ours-amqp", "engine", PACED, P50, 1.3),
    Target("AMQP at 200 events/s, p99, to the bare engine", "ours-amqp", "engine", PACED, P99, 1.3),
    Target("STOMP end to end, to stomp.py", "ours-stomp", "stomp.py", END_TO_END, RATE, 1.3, 2),
    Target("Local, to FastStream's TestBroker", "ours-local", "testbroker", END_TO_END, RATE, 100, None, _TEST_BROKER),
    Target("Local, time to that of the codec", "ours-local", "codec", END_TO_END, TIME, 3, None, _FLOOR),
    Target("Local without copies, to blinker", "ours-objects", "blinker", END_TO_END, RATE, 0.5, 1, _NO_CALL),
    Target(
        "sync listener, worker thread over inline",
        "ours-thread",
        "ours-inline",
        END_TO_END,
        EXTRA_MICROS,
        60,
        None,
        _THREADS,
    ),
    Target("import, over pydantic and aspyx", "import-ours", "import-base", IMPORT, EXTRA_MILLIS, 20),
    Target("the same, a program's names too", "import-program", "import-base", IMPORT, EXTRA_MILLIS, None),
)
