"""What an import costs: the time inside new interpreters, with the bytecode that an installed package has."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from .. import turns
from ..measure import Sample, Stopwatch
from ..settings import IMPORT, Order

_REPEATS = 5
_CODE = "import time; started = time.perf_counter()\n{}\nprint(time.perf_counter() - started)"
# pydantic loads what it has when it is asked for: a model class is what everybody asks for.
_BASE = "import aspyx.di\nfrom pydantic import BaseModel, TypeAdapter"
_DECLARATIONS = "event, event_listener, EventListener, EventContext, EventModule, Retry"
_IMPORTS = {
    "import-base": _BASE,
    # What remains where the framework has no say: it is made of coroutines.
    "import-asyncio": f"import asyncio\n{_BASE}",
    # The package loads what it has when it is asked for, too: alone it would load neither of the two.
    "import-ours": f"{_BASE}\nimport aspyx_event",
    "import-declarations": f"{_BASE}\nfrom aspyx_event import {_DECLARATIONS}",
    "import-program": f"{_BASE}\nfrom aspyx_event import {_DECLARATIONS}, EventManager, LocalProvider",
}


def run(order: Order) -> dict[str, Sample]:
    command = [sys.executable, "-c", _CODE.format(_IMPORTS[order.contender])]
    with tempfile.TemporaryDirectory(prefix="aspyx-benchmark-") as cache:
        # Not that of the source tree, which may be written by others, or not at all.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        _seconds(command, environment, order)
        watch = Stopwatch()
        single = [_in_turn(command, environment, order) for _ in range(_REPEATS)]
        return {IMPORT: watch.stop(_REPEATS, single)}


def _in_turn(command: list[str], environment: dict[str, str], order: Order) -> float:
    turns.wait()
    return _seconds(command, environment, order)


def _seconds(command: list[str], environment: dict[str, str], order: Order) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=order.deadline, env=environment)
    return float(done.stdout)
