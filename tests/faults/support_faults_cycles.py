"""A process that connects and subscribes again and again, and says what that leaves behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from pathlib import Path

from support_faults_plan import Plan, tick_event
from support_faults_program import begin

from aspyx_event import EventManager


def sample() -> dict[str, int]:
    gc.collect()
    return {
        "files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "rss": int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }


class Cycles:
    """Counts what arrived, so that a cycle is known to have worked."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._event = plan, tick_event(plan.event)
        self._arrived = asyncio.Event()

    async def _handle(self, _event) -> None:
        self._arrived.set()

    async def connect(self, number: int) -> None:
        manager = EventManager(self._plan.endpoint.make("cycles"))
        await manager.start()
        await self._use(manager, number)
        await manager.stop()

    async def subscribe(self, manager: EventManager, number: int) -> None:
        await self._use(manager, number)

    async def _use(self, manager: EventManager, number: int) -> None:
        self._arrived.clear()
        queue = f"{self._plan.event}.one"
        # Every other one has a queue of its own that vanishes.
        subscription = await manager.subscribe(self._event, self._handle, name=queue, per_process=bool(number % 2))
        await manager.send_event(self._event(str(number), "a", number))
        await asyncio.wait_for(self._arrived.wait(), 30)
        await subscription.cancel()


async def run(plan: Plan) -> None:
    cycles, samples = Cycles(plan), {}
    for number in range(plan.count):
        if number == plan.count // 4:
            samples["connects, before"] = sample()
        await cycles.connect(number)
    samples["connects, after"] = sample()
    manager = EventManager(plan.endpoint.make("cycles"))
    await manager.start()
    for number in range(plan.count):
        if number == plan.count // 4:
            samples["subscribes, before"] = sample()
        await cycles.subscribe(manager, number)
    samples["subscribes, after"] = sample()
    await manager.stop()
    (Path(plan.folder) / "samples.json").write_text(json.dumps(samples), encoding="utf-8")


def main(text: str) -> None:
    asyncio.run(run(begin(text)))
