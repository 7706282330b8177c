"""What an import costs: the time inside new interpreters, with the bytecode that an installed package has."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from ..measure import Sample, Stopwatch
from ..settings import IMPORT, Order

_REPEATS = 5
_CODE = "import time; started = time.perf_counter()\n{}\nprint(time.perf_counter() - started)"
# pydantic loads what it has when it is asked for: a model class is what everybody asks for.
_IMPORTS = {
    "import-base": "import aspyx.di\nfrom pydantic import BaseModel, TypeAdapter",
    # What remains where the framework has no say: it is made of coroutines.
    "import-asyncio": "import asyncio\nimport aspyx.di\nfrom pydantic import BaseModel, TypeAdapter",
    "import-ours": "import aspyx_event",
}


def run(order: Order) -> dict[str, Sample]:
    command = [sys.executable, "-c", _CODE.format(_IMPORTS[order.contender])]
    with tempfile.TemporaryDirectory(prefix="aspyx-benchmark-") as cache:
        # Not that of the source tree, which may be written by others, or not at all.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        _seconds(command, environment, order)
        watch = Stopwatch()
        single = [_seconds(command, environment, order) for _ in range(_REPEATS)]
        return {IMPORT: watch.stop(_REPEATS, single)}


def _seconds(command: list[str], environment: dict[str, str], order: Order) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=order.deadline, env=environment)
    return float(done.stdout)
