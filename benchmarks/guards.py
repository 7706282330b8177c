"""The short run that guards against regressions: ratios with generous bounds, because CI's machines are noisy.

A guard is no target: its bound lies far beyond what is normal, and only a change for the worse crosses it. CPU is
compared where possible; it hardly depends on what else the machine does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from . import rounds
from .brokers import Brokers
from .growth.jobs import Job, work
from .measure import Sample
from .rounds import Outcome, Plan
from .settings import CONFIRM, CONSUME, CONTENDERS, END_TO_END, IMPORT, PACED, PUBLISH, Order

SECONDS = 30.0


def _cpu(sample: Sample) -> float:
    return sample.cpu_micros


def _p50(sample: Sample) -> float:
    return sample.percentile(50) or 0.0


def _least(sample: Sample) -> float:
    return min(sample.single)


@dataclass(frozen=True, slots=True)
class Guard:
    """A ratio of ours to a peer that must stay below a bound.

    Attributes:
        says: What is compared, for the table.
        bound: The ratio may be at most this.
    """

    says: str
    ours: str
    peer: str
    kind: str
    bound: float
    value: Callable[[Sample], float] = _cpu

    def ratio(self, outcome: Outcome) -> float:
        """Return the smallest ratio of the rounds: a disturbance makes it larger, hardly ever smaller."""
        ours, peer = outcome.results[self.ours][self.kind], outcome.results[self.peer][self.kind]
        return min(self.value(mine) / self.value(other) for mine, other in zip(ours, peer, strict=True))


GUARDS = (
    Guard("AMQP publish, CPU to the reactor's", "ours-amqp", "proton", PUBLISH, 0.5),
    Guard("AMQP consume, CPU to the reactor's", "ours-amqp", "proton", CONSUME, 0.38),
    Guard("AMQP end to end, CPU to the reactor's", "ours-amqp", "proton", END_TO_END, 0.4),
    Guard("AMQP, one confirmed send, p50 to the reactor's", "ours-amqp", "proton", CONFIRM, 2, _p50),
    Guard("STOMP publish, CPU to stomp.py's", "ours-stomp", "stomp.py", PUBLISH, 1.6),
    Guard("STOMP end to end, CPU to stomp.py's", "ours-stomp", "stomp.py", END_TO_END, 1),
    # Who lets Nagle's algorithm wait for an acknowledgement, as it does, takes as long.
    Guard("STOMP at 200 events/s, p50 to stomp.py's", "ours-stomp", "stomp.py", PACED, 0.7, _p50),
    Guard("Local, CPU to that of the codec", "ours-local", "codec", END_TO_END, 15),
    Guard("worker thread, CPU to a bare run_in_executor", "ours-thread", "executor", END_TO_END, 4),
    Guard("import alone, time to pydantic and aspyx", "import-ours", "import-base", IMPORT, 1.4, _least),
    Guard("import of a program, time to the same", "import-program", "import-base", IMPORT, 2.5, _least),
)
CHOSEN = [one for one in CONTENDERS if any(one.key in (guard.ours, guard.peer) for guard in GUARDS)]
PLAN = Plan(CHOSEN, 2, Order(contender="", messages=1_500, confirms=100, paced=50), SECONDS, {"threads": 2})
#: CPU of an event may be at most this many times what it is with one listener, when there are a thousand for others.
_MOST_GROWTH = 1.6


@dataclass(slots=True)
class Findings:
    """What the guards found; `crossed` names those beyond their bound."""

    lines: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)

    def add(self, says: str, ratio: float, bound: float) -> None:
        verdict = "ok" if ratio <= bound else "TOO MUCH"
        self.lines.append(f"{says:<48}{ratio:>8.2f}x{bound:>10g}x  {verdict}")
        if ratio > bound:
            self.crossed.append(says)


def check(brokers: Brokers, say: Callable[[str], None]) -> Findings:
    """Measure and compare, and once more if a bound was crossed: what is crossed twice is no disturbance.

    Raises:
        BenchmarkError: a contender failed.
    """
    found = _measure(brokers, say)
    if found.crossed:
        say(f"  once more, because of: {', '.join(found.crossed)}")
        again = _measure(brokers, say)
        again.crossed = [says for says in again.crossed if says in found.crossed]
        return again
    return found


def _measure(brokers: Brokers, say: Callable[[str], None]) -> Findings:
    found = Findings([f"{'guard':<48}{'found':>9}{'at most':>11}"])
    outcome = rounds.run(PLAN, brokers, say)
    for guard in GUARDS:
        found.add(guard.says, guard.ratio(outcome), guard.bound)
    found.add("Local, CPU with 1,000 listeners of other events", _growth(), _MOST_GROWTH)
    return found


def _growth() -> float:
    pairs = []
    for _ in range(2):
        one, many = (work(Job("listeners", "Local", point, 4_000))["cpu"] for point in (1, 1_000))
        pairs.append(many / one)
    return median(pairs)
