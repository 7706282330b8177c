"""The program of a listening process: `RemoteProcess` starts it. Not for people."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from .processes import Plan, Recipe, Worker


def _report(said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


async def _main() -> None:
    loop = asyncio.get_running_loop()
    orders = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    recipe = Recipe(**orders["recipe"])
    worker = Worker(recipe.make(), Plan(**orders["plan"]), _report, orders["name"])
    await worker.start()
    _report("ready")
    # The end of the input counts too: a worker must not outlive the test that started it.
    await loop.run_in_executor(None, sys.stdin.readline)
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(_main())
