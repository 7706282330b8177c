"""One contender, once, in a process of its own: an `Order` as JSON on stdin, its samples as JSON on stdout.

Between the two it asks for its turns, see `turns`.
"""

from __future__ import annotations

import cProfile
import json
import sys
from collections.abc import Callable
from importlib import import_module

from . import hotspots, stages, turns
from .measure import Sample
from .settings import CONTENDERS, Order


def runner(contender: str) -> Callable[[Order], dict[str, Sample]]:
    """Return what runs a contender; its driver is imported now."""
    module = next(one.module for one in CONTENDERS if one.key == contender)
    run: Callable[[Order], dict[str, Sample]] = import_module(f".contenders.{module}", __package__).run
    return run


def main(arguments: list[str]) -> None:
    """Do one order; with `--profile`, tell on stderr where the time went (which makes everything slower):
    in words, and in the last line the shares of the stages as JSON.
    """
    order = Order(**json.loads(sys.stdin.readline()))
    run = runner(order.contender)
    turns.wait()
    profile = cProfile.Profile() if "--profile" in arguments else None
    if profile is None:
        samples = run(order)
    else:
        samples = profile.runcall(run, order)
        sys.stderr.write(f"{hotspots.describe(profile)}\n{json.dumps(stages.shares(profile))}\n")
    print(json.dumps({kind: sample.as_json() for kind, sample in samples.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
