"""Interleaved rounds: every contender once per round, each in a process of its own, at a queue of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .brokers import BenchmarkError, Brokers, prepared
from .measure import Sample
from .settings import KINDS, TIMED, Contender, Order

ROOT = Path(__file__).resolve().parent.parent

#: Samples by contender and kind of work, one per round that counts.
Results = dict[str, dict[str, list[Sample]]]


@dataclass(slots=True)
class Plan:
    """How much to do.

    Attributes:
        contenders: In the order of the first round; each further round starts with the next one.
        rounds: Rounds that count; one more comes before them, to warm up broker and machine.
        order: Settings of every worker.
        seconds: No round starts that would probably not end within this time.
    """

    contenders: Sequence[Contender]
    rounds: int
    order: Order
    seconds: float


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
        for contender in rotated(plan.contenders, number):
            with prepared(plan.order, contender, brokers) as order:
                samples, _ = work(order)
            where = f"round {number}/{plan.rounds}" if number else "warm-up  "
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


def rotated(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Return the contenders in the order of round *number*, so that nobody always comes after the same neighbour."""
    start = number % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def work(order: Order, *, profile: bool = False) -> tuple[dict[str, Sample], str]:
    """Let a process of its own do an order; return its samples, and its profile if one is wanted.

    Raises:
        BenchmarkError: it failed, or did not end.
    """
    command = [sys.executable, "-m", "benchmarks.worker", *(["--profile"] if profile else [])]
    limit = order.deadline * (len(KINDS) + 1)
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asdict(order)),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{order.contender} did not end within {limit:g} s") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{order.contender} ended with code {done.returncode}:\n{done.stderr[-3000:]}")
    samples = json.loads(done.stdout.splitlines()[-1])
    return {kind: Sample(**values) for kind, values in samples.items()}, done.stderr


def _brief(samples: dict[str, Sample]) -> str:
    parts = []
    for kind, sample in samples.items():
        figure = f"{sample.p50 * 1000:.3f} ms" if kind in TIMED and sample.p50 else f"{sample.rate:,.0f}/s"
        parts.append(f"{kind.replace('_', ' ')} {figure}")
    return "  ".join(parts)
