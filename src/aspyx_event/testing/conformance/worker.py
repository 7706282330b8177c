"""The program of a process with a listener, started by `RemoteProcess`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from .processes import Plan, Recipe, Worker


def _report(report: Any) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


async def _main() -> None:
    loop = asyncio.get_running_loop()
    configuration = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    recipe = Recipe(**configuration["recipe"])
    worker = Worker(recipe.make(), Plan(**configuration["plan"]), _report, configuration["name"])
    await worker.start()
    _report("ready")
    # The end of the input stops it too: a worker must not outlive the test that started it.
    await loop.run_in_executor(None, sys.stdin.readline)
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(_main())
