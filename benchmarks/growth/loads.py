"""The large ones: a million events through one process, a million that wait at the broker, several processes."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from aspyx_event import EventManager

from ..contenders import engine
from ..message import TENANT, OrderPlaced
from ..settings import Order
from .application import IN_FLIGHT, Counter, Usage, event_classes, instance, manager_of, resident, send_all
from .cases import LOCAL
from .jobs import Job

_STEPS = 40


async def memory(job: Job) -> dict[str, Any]:
    """Send and handle events; the memory after each step is the result."""
    (cls,), counter = event_classes(job, 1), Counter()
    curve: list[tuple[int, float]] = []
    step = max(1, job.messages // _STEPS)
    # In memory a send is done at once: a loop of sends would measure a queue of 25,000 events, and what they leave of it.
    portion = min(step, IN_FLIGHT) if job.line == LOCAL else step
    step -= step % portion
    async with manager_of(job) as manager:
        await manager.subscribe(cls, counter.on, name=f"{job.prefix}-listener")
        usage = Usage()
        for number in range(_STEPS):
            for _ in range(0, step, portion):
                counter.expect(portion)
                await send_all(manager, portion, lambda at: instance(cls, at))
                await counter.complete(job.deadline)
            gc.collect()
            curve.append(((number + 1) * step, resident()))
        figures: dict[str, Any] = usage.per(step * _STEPS)
    # The first tenth is warming up: pools and caches reach their size.
    settled = curve[_STEPS // 10 - 1][1]
    return {**figures, "curve": curve, "growth": max(after for _, after in curve[_STEPS // 10 :]) - settled}


async def fill(job: Job) -> dict[str, Any]:
    """Publish events of the first class, in the quickest way there is."""
    order = Order(
        contender="engine",
        messages=job.messages,
        confirms=0,
        address=f"{job.prefix}.0",
        host=job.host,
        port=job.port,
        user=job.user,
        password=job.password,
        deadline=job.deadline,
    )
    usage = Usage()
    await engine.publish(order)
    return usage.per(job.messages)


async def backlog(job: Job) -> dict[str, Any]:
    """Attach to a queue with so many waiting: hold what comes first, then handle for a while, and watch the memory."""
    (cls,) = event_classes(job, 1)
    held, handled = asyncio.Event(), 0

    async def on(event: OrderPlaced) -> None:  # noqa: ARG001
        nonlocal handled
        await held.wait()
        handled += 1

    manager = manager_of(job)
    await manager.connect()
    gc.collect()
    before = peak = resident()
    try:
        await manager.subscribe(cls, on, name=f"{job.prefix}-listener")
        for tick in range(60):
            await asyncio.sleep(0.05)
            if tick == 30:
                first = resident()
                held.set()
            peak = max(peak, resident())
    finally:
        await manager.stop()
    return {"before": before, "held": first - before, "peak": peak - before, "handled": handled}


async def consume(job: Job) -> dict[str, Any]:
    """Handle what comes until stdin ends; with a line that says so, each handler waits 5 ms."""
    (cls,) = event_classes(job, 1)
    handled, waits = 0, "5 ms" in job.line

    async def on(event: OrderPlaced) -> None:  # noqa: ARG001
        nonlocal handled
        if waits:
            await asyncio.sleep(0.005)
        handled += 1

    loop = asyncio.get_running_loop()
    async with manager_of(job) as manager:
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        usage = Usage()
        await manager.subscribe(cls, on, name=f"{job.prefix}-listener", prefetch=10 if waits else None)
        await loop.run_in_executor(None, sys.stdin.readline)
    return {**usage.per(max(1, handled)), "handled": handled}


async def send_in_order(manager: EventManager, count: int, make_event: Callable[[int], Any]) -> None:
    """Start the sends in order and await each after the next hundred were started."""
    waiting: deque[Any] = deque()
    for number in range(count):
        waiting.append(manager.send_event(make_event(number), headers=TENANT))
        if len(waiting) >= 100:
            await waiting.popleft()
    while waiting:
        await waiting.popleft()
