"""`python -m benchmarks`: measures, prints tables, writes JSON. Under five minutes; `--quick` under one."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from pathlib import Path

from aspyx_event.testing import ArtemisBroker, BrokerUnavailable

from . import machine, report, rounds
from .settings import CONTENDERS, GROUPS, Contender, Order

RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 measured, 1 a contender failed or there is no broker."""
    options = _parser().parse_args(arguments)
    chosen = [one for one in CONTENDERS if not options.only or one.group in options.only]
    quick = options.quick
    plan = rounds.Plan(
        contenders=chosen,
        rounds=options.rounds or (2 if quick else 5),
        order=Order(
            contender="",
            messages=options.messages or (1_000 if quick else 6_000),
            confirms=min(options.messages or 500, 50 if quick else 500),
            in_flight=options.in_flight,
            prefetch=options.prefetch,
        ),
        seconds=50.0 if quick else 270.0,
    )
    try:
        with _broker(chosen) as broker:
            if options.profile:
                return _profile(plan, broker)
            return _measure(plan, broker, options.json)
    except (rounds.BenchmarkError, BrokerUnavailable) as error:
        print(f"benchmark failed: {error}", file=sys.stderr)
        return 1


def _measure(plan: rounds.Plan, broker: ArtemisBroker | None, target: Path | None) -> int:
    found = machine.describe(broker)
    print(report.settings(plan, found))
    if machine.is_loaded(found):
        print("           Others are using this machine: expect wide ranges.")
    print()
    outcome = rounds.run(plan, broker, _say)
    plan.rounds = outcome.rounds
    print(report.table(plan, outcome))
    target = target or RESULTS / f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report.as_json(plan, outcome, found), indent=1) + "\n", encoding="utf-8")
    print(f"\n{outcome.seconds:.0f} s; all samples: {_shown(target)}")
    return 0


def _profile(plan: rounds.Plan, broker: ArtemisBroker | None) -> int:
    """Show where each contender spends its time; the profiler slows all of them down."""
    with rounds.managed(broker) as management:
        for one in plan.contenders:
            with rounds.prepared(plan.order, one, broker, management) as order:
                _, profile = rounds.work(order, profile=True)
            print(f"==== {one.label}\n{profile}")
    return 0


def _broker(contenders: list[Contender]) -> AbstractContextManager[ArtemisBroker | None]:
    if not any(one.needs_broker for one in contenders):
        return nullcontext()
    _say("looking for a broker ...")
    return machine.find_broker()


def _say(line: str) -> None:
    print(line, flush=True)


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small rounds, for a first look; under a minute")
    parser.add_argument("--only", action="append", choices=GROUPS, help="one protocol; may be given again")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds that count (5)")
    parser.add_argument("--messages", type=_positive, metavar="N", help="messages per round and kind of work (6000)")
    parser.add_argument("--in-flight", type=_positive, metavar="N", default=500, help="unconfirmed sends (500)")
    parser.add_argument("--prefetch", type=_positive, metavar="N", default=100, help="unacknowledged deliveries (100)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the samples go (benchmarks/results/)")
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead of measuring it")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
