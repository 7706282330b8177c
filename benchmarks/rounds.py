"""Interleaved rounds: every contender once per round, each in a process of its own, at a queue of its own.

The contenders of a group are there at the same time and work in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType

from .brokers import BenchmarkError, Brokers, prepared
from .measure import Sample
from .settings import KINDS, REPEATED, Contender, Order
from .turns import ASKS

ROOT = Path(__file__).resolve().parent.parent
_END = 30.0

#: Samples by contender and kind of work, one per round that counts (more in a group that is repeated).
Results = dict[str, dict[str, list[Sample]]]


@dataclass(slots=True)
class Plan:
    """How much to do.

    Attributes:
        contenders: In the order of the first round; in each further one the next one of a group begins.
        rounds: Rounds that count; one more comes before them, to warm up broker and machine.
        order: Settings of every worker.
        seconds: No round starts that would probably not end within this time.
        repeated: How many times a group is measured in a round, where that is not once.
    """

    contenders: Sequence[Contender]
    rounds: int
    order: Order
    seconds: float
    repeated: Mapping[str, int] = field(default_factory=lambda: REPEATED)


@dataclass(slots=True)
class Outcome:
    """What came of a plan; `rounds` may be fewer than planned."""

    rounds: int = 0
    seconds: float = 0.0
    results: Results = field(default_factory=dict)


def run(plan: Plan, brokers: Brokers, say: Callable[[str], None]) -> Outcome:
    """Run a plan with the brokers that its contenders need.

    Raises:
        BenchmarkError: a contender failed.
    """
    outcome = Outcome(results={one.key: {kind: [] for kind in one.kinds} for one in plan.contenders})
    started = time.monotonic()
    for number in range(plan.rounds + 1):
        begun = time.monotonic()
        order, repeated = (plan.order, plan.repeated) if number else (_warming(plan.order), {})
        where = f"round {number}/{plan.rounds}" if number else "warm-up  "
        for group in groups(plan.contenders, number, repeated):
            for contender, samples in zip(group, _measured(group, order, brokers), strict=True):
                say(f"  {where}  {contender.label:<28}  {_brief(samples)}")
                if number:
                    for kind, sample in samples.items():
                        outcome.results[contender.key][kind].append(sample)
        outcome.rounds, outcome.seconds = number, time.monotonic() - started
        took = time.monotonic() - begun
        if number and number < plan.rounds and outcome.seconds + took * 1.2 > plan.seconds:
            say(f"  stopping after {number} of {plan.rounds} rounds: the time limit is {plan.seconds:g} s")
            break
    return outcome


def groups(contenders: Sequence[Contender], number: int, repeated: Mapping[str, int]) -> list[list[Contender]]:
    """Return who works together in round *number*, and in which order, so that nobody always comes after the same
    neighbour. A group that is repeated comes as many times.
    """
    found: dict[str, list[Contender]] = {}
    for one in contenders:
        found.setdefault(one.group, []).append(one)
    return [rotated(group, number + again) for name, group in found.items() for again in range(repeated.get(name, 1))]


def rotated(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Return the contenders beginning with another one for each number."""
    start = number % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def _warming(order: Order) -> Order:
    """Return an order for the round that is not counted: a broker is warm after fewer single sends."""
    return replace(order, confirms=min(order.confirms, 500), paced=min(order.paced, 200))


def _measured(group: Sequence[Contender], order: Order, brokers: Brokers) -> list[dict[str, Sample]]:
    with ExitStack() as stack:
        orders = [stack.enter_context(prepared(order, one, brokers)) for one in group]
        return [samples for samples, _ in together(orders)]


def work(order: Order, *, profile: bool = False) -> tuple[dict[str, Sample], str]:
    """Let a process of its own do an order; return its samples, and its profile if one is wanted.

    Raises:
        BenchmarkError: it failed, or did not end.
    """
    return together([order], profile=profile)[0]


def together(orders: Sequence[Order], *, profile: bool = False) -> list[tuple[dict[str, Sample], str]]:
    """Do the same for several orders whose processes work in turns, one at a time.

    Raises:
        BenchmarkError: one failed, or did not end.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker(order, profile)) for order in orders]
        working = [one for one in workers if one.goes_on()]  # all are loaded before anybody begins
        while working:
            working = [one for one in working if one.turn()]
        return [one.done() for one in workers]


class _Worker:
    """The process of a contender."""

    def __init__(self, order: Order, profile: bool) -> None:
        self._order, self._last, self._overdue = order, "", False
        self._limit = order.deadline * (len(KINDS) + 1)
        self._told = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *(["--profile"] if profile else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> _Worker:
        self._answer(json.dumps(asdict(self._order)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(_END)
        for stream in (self._process.stdin, self._process.stdout, self._told):
            if stream is not None:
                stream.close()

    def turn(self) -> bool:
        """Let it work until it asks for its next turn; False if it has ended."""
        self._answer("go")
        return self.goes_on()

    def goes_on(self) -> bool:
        """Wait until it asks for a turn; False if it has ended.

        Raises:
            BenchmarkError: it failed, or takes too long.
        """
        assert self._process.stdout is not None
        watchdog = threading.Timer(self._limit, self._end)
        watchdog.start()
        try:
            for line in self._process.stdout:
                if line.rstrip() == ASKS:
                    return True
                self._last = line
            code = self._process.wait(_END)
        finally:
            watchdog.cancel()
        if self._overdue:
            raise BenchmarkError(f"{self._order.contender} did not end within {self._limit:g} s")
        if code != 0:
            raise BenchmarkError(f"{self._order.contender} ended with code {code}:\n{self._errors()[-3000:]}")
        return False

    def done(self) -> tuple[dict[str, Sample], str]:
        """Return what it measured and what it said on stderr, after its end."""
        samples = json.loads(self._last)
        return {kind: Sample.from_json(values) for kind, values in samples.items()}, self._errors()

    def _errors(self) -> str:
        self._told.seek(0)
        return self._told.read()

    def _answer(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _end(self) -> None:
        self._overdue = True
        self._process.kill()


def _brief(samples: dict[str, Sample]) -> str:
    parts = []
    for kind, sample in samples.items():
        p50 = sample.percentile(50)
        figure = f"{sample.rate:,.0f}/s" if p50 is None else f"{p50 * 1000:.3f} ms"
        parts.append(f"{kind.replace('_', ' ')} {figure}")
    return "  ".join(parts)
