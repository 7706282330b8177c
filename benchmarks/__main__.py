"""`python -m benchmarks` measures aspyx_event beside its peers, prints tables and verdicts, writes JSON and plots.

Only 127.0.0.1 is used, and the run ends by itself, after ten minutes at most. Needs the package with its drivers and a
broker as the tests do; peers, RabbitMQ and matplotlib are used if they are there, and named if they are not.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aspyx_event.testing import BrokerUnavailable

from . import brokers, guards, machine, page, plots, report, rounds
from .brokers import BenchmarkError, Brokers
from .growth import run as growth
from .settings import CONTENDERS, GROUPS, Order

RESULTS = Path(__file__).resolve().parent / "results"
DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, IMAGES = DOCS / "performance.md", DOCS / "images"


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 measured, 1 a contender failed, a guard was crossed, or there is no broker."""
    options = _parser().parse_args(arguments)
    try:
        if options.quick:
            return _guard()
        if options.earlier:
            return _again(options)
        if options.growth:
            return growth.main(options.growth_cases, options.scale, _target(options, "growth"), _publish(options), _say)
        return _compare(options)
    except (BenchmarkError, BrokerUnavailable) as error:
        print(f"benchmark failed: {error}", file=sys.stderr)
        return 1


def _guard() -> int:
    with brokers.running(guards.CHOSEN, _say) as started:
        found = guards.check(started, _say)
    print("", *found.lines, sep="\n")
    if found.crossed:
        print(f"benchmark failed: {', '.join(found.crossed)}", file=sys.stderr)
    return 1 if found.crossed else 0


def _compare(options: argparse.Namespace) -> int:
    chosen = [one for one in CONTENDERS if not options.only or one.group in options.only]
    plan = rounds.Plan(
        contenders=chosen,
        rounds=options.rounds,
        order=Order(
            contender="",
            messages=options.messages,
            confirms=min(options.messages, 2_000),
            paced=min(options.messages, 1_000),
            in_flight=options.in_flight,
            prefetch=options.prefetch,
        ),
        seconds=options.seconds,
    )
    with brokers.running(chosen, _say) as started:
        if options.profile:
            return _profile(plan, started, options.publish)
        return _measure(plan, started, options)


def _measure(plan: rounds.Plan, started: Brokers, options: argparse.Namespace) -> int:
    found = machine.describe(started.artemis, started.rabbit)
    plan.contenders = started.able(plan.contenders)
    print(report.settings(plan, found, started.left_out))
    if machine.is_loaded(found):
        print("           Others are using this machine: expect wide ranges.")
    print()
    outcome = rounds.run(plan, started, _say)
    plan.rounds = outcome.rounds
    print(report.table(plan, outcome), "", report.targets(outcome), sep="\n")
    target = _target(options, "compare")
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(plan, outcome, found, started.left_out), indent=1)
    target.write_text(text + "\n", encoding="utf-8")
    print(f"\n{outcome.seconds:.0f} s; all samples: {_shown(target)}")
    _draw(plan, outcome, IMAGES if options.publish else target.with_suffix(""))
    if options.publish:
        _write_page(plan, outcome, found, started.left_out)
    return 0


def _write_page(plan: rounds.Plan, outcome: rounds.Outcome, found: dict[str, Any], left_out: dict[str, str]) -> None:
    page.insert(PAGE, "settings", f"```text\n{report.settings(plan, found, left_out)}\n```")
    page.insert(PAGE, "targets", page.targets(outcome))
    page.insert(PAGE, "tables", page.tables(plan, outcome, left_out))
    print(f"written to {_shown(PAGE)}")


def _again(options: argparse.Namespace) -> int:
    """Report what an earlier run measured."""
    earlier = json.loads(options.earlier.read_text(encoding="utf-8"))
    if "cases" in earlier:
        growth.again(earlier, options.earlier, _publish(options), _say)
        return 0
    try:
        plan, outcome = report.from_json(earlier)
    except ValueError as error:
        raise BenchmarkError(f"{options.earlier.name}: {error}") from error
    print(report.settings(plan, earlier["machine"], earlier["left_out"]))
    print(report.table(plan, outcome), "", report.targets(outcome), sep="\n")
    _draw(plan, outcome, IMAGES if options.publish else options.earlier.with_suffix(""))
    if options.publish:
        _write_page(plan, outcome, earlier["machine"], earlier["left_out"])
    return 0


def _draw(plan: rounds.Plan, outcome: rounds.Outcome, directory: Path) -> None:
    if not plots.available():
        print("no plots: matplotlib is not installed (pip install --group bench)")
        return
    for path in plots.draw(plan, outcome, directory):
        print(f"plot: {_shown(path)}")


def _profile(plan: rounds.Plan, started: Brokers, publish: bool) -> int:
    """Show where each contender spends its time; the profiler slows all of them down."""
    found = {}
    for one in started.able(plan.contenders):
        with brokers.prepared(plan.order, one, started) as order:
            _, told = rounds.work(order, profile=True)
        profile, _, shares = told.rstrip().rpartition("\n")
        print(f"==== {one.label}\n{profile}")
        if one.key.startswith("ours"):
            found[one.label] = json.loads(shares)
    print(page.stages(found))
    if publish:
        page.insert(PAGE, "stages", page.stages(found))
        print(f"written to {_shown(PAGE)}")
    return 0


def _target(options: argparse.Namespace, name: str) -> Path:
    target: Path | None = options.json
    return target or RESULTS / f"{name}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}.json"


def _publish(options: argparse.Namespace) -> tuple[Path, Path] | None:
    return (PAGE, IMAGES) if options.publish else None


def _say(line: str) -> None:
    print(line, flush=True)


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--quick", action="store_true", help="guards against regressions, by ratios; under a minute")
    what.add_argument("--growth", action="store_true", help="how the cost grows; about fifteen minutes")
    what.add_argument(
        "--from", dest="earlier", type=Path, metavar="FILE", help="report the JSON of an earlier run again"
    )
    what.add_argument("--profile", action="store_true", help="show where the time goes instead of measuring it")
    parser.add_argument("--only", action="append", choices=GROUPS, help="one group; may be given again")
    parser.add_argument("--rounds", type=_positive, metavar="N", default=5, help="rounds that count (5)")
    parser.add_argument("--messages", type=_positive, metavar="N", default=6_000, help="messages per round (6000)")
    parser.add_argument("--in-flight", type=_positive, metavar="N", default=500, help="unconfirmed sends (500)")
    parser.add_argument("--prefetch", type=_positive, metavar="N", default=100, help="unacknowledged deliveries (100)")
    parser.add_argument("--seconds", type=float, default=600.0, help="no further round begins after this (600)")
    parser.add_argument("--case", action="append", dest="growth_cases", help="with --growth: one of its cases")
    parser.add_argument("--scale", type=float, default=1.0, help="with --growth: messages are this many times as many")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the samples go (benchmarks/results/)")
    parser.add_argument("--publish", action="store_true", help="write tables and plots into the documentation")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
