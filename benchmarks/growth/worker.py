"""Does one job in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ..message import OrderPlaced
from ..message import order as make
from . import loads
from .application import Counter, Usage, event_classes, instance, manager_of, send_all
from .jobs import Job

Figures = dict[str, Any]
# The first deliveries of a subscription, ten of them, are noted at the broker: warming up goes past them.
_NOTED = 12


async def _end_to_end(
    job: Job, manager: Any, counter: Counter, make_event: Callable[[int], Any], per_event: int = 1, warm_up: int = 1
) -> Figures:
    """Warm up, then measure from the first send to the last handler."""
    usage = None
    for count in (max(job.messages // 10, warm_up), job.messages):
        counter.expect(count * per_event)
        usage = Usage()
        await send_all(manager, count, make_event)
        await counter.complete(job.deadline)
    assert usage is not None
    return usage.per(job.messages * per_event)


async def _one_listener(
    job: Job,
    counter: Counter,
    on: Callable[..., Awaitable[None]],
    make_event: Callable[[type[OrderPlaced], int], OrderPlaced] = instance,
    interceptors: int = 1,
    concurrency: int = 1,
) -> Figures:
    """One event class and one listener, which is to count."""
    (cls,) = event_classes(job, 1)
    async with manager_of(job, interceptors) as manager:
        await manager.subscribe(cls, on, name=f"{job.prefix}-listener", concurrency=concurrency)
        return await _end_to_end(job, manager, counter, lambda number: make_event(cls, number))


async def _listener_each(job: Job, sent: int, warm_up: int = 1) -> Figures:
    """As many event classes as the point says, with a listener each; the first *sent* of them are sent in turn."""
    classes, counter = event_classes(job, job.point), Counter()
    async with manager_of(job) as manager:
        for cls in classes:
            await manager.subscribe(cls, counter.on, name=f"{job.prefix}-{cls.__name__}")
        return await _end_to_end(
            job, manager, counter, lambda number: instance(classes[number % sent], number), warm_up=warm_up
        )


async def listeners(job: Job) -> Figures:
    """One listener for what is sent, and point - 1 for events that nobody sends."""
    return await _listener_each(job, 1)


async def fanout(job: Job) -> Figures:
    """All listeners are for the same event; the figures are per delivery."""
    (cls,), counter = event_classes(job, 1), Counter()
    sends = max(5, job.messages // job.point)
    async with manager_of(job) as manager:
        for number in range(job.point):
            await manager.subscribe(cls, counter.on, name=f"{job.prefix}-{number}")
        few = replace(job, messages=sends)
        return await _end_to_end(few, manager, counter, lambda number: instance(cls, number), job.point, warm_up=_NOTED)


async def types(job: Job) -> Figures:
    """As many event classes as listeners, sent in turn."""
    return await _listener_each(job, job.point, _NOTED * job.point)


async def interceptors(job: Job) -> Figures:
    """So many interceptors on both sides."""
    counter = Counter()
    return await _one_listener(job, counter, counter.on, interceptors=job.point)


async def bodies(job: Job) -> Figures:
    """A note as long as it takes to make the body of that size."""
    counter, note = Counter(), "x" * max(0, job.point - 136)

    def make_event(cls: type[OrderPlaced], number: int) -> OrderPlaced:
        return cls(**{**vars(make(number)), "note": note or make(number).note})

    return await _one_listener(job, counter, counter.on, make_event)


async def concurrency(job: Job) -> Figures:
    """So many handlers at once, each of which waits 5 ms."""
    counter = Counter()

    async def on(event: OrderPlaced) -> None:  # noqa: ARG001
        await asyncio.sleep(0.005)
        counter.count()

    return await _one_listener(job, counter, on, concurrency=job.point)


async def keys(job: Job) -> Figures:
    """Ten workers, and so many keys whose events stay in order; 0 orders nothing."""
    (cls,), counter = event_classes(job, 1), Counter()
    seen: dict[str, int] = {}
    ordered = True

    async def on(event: OrderPlaced) -> None:
        nonlocal ordered
        if job.point:
            ordered = ordered and seen.get(event.customer, -1) < event.order_id
            seen[event.customer] = event.order_id
        counter.count()

    def make_event(number: int) -> OrderPlaced:
        return cls(**{**vars(make(number)), "customer": f"customer-{number % max(1, job.point)}"})

    order_by = "customer" if job.point else None
    async with manager_of(job) as manager:
        await manager.subscribe(cls, on, name=f"{job.prefix}-listener", concurrency=10, order_by=order_by)
        counter.expect(job.messages)
        usage = Usage()
        if job.line == "Local":
            await send_all(manager, job.messages, make_event)
        else:
            # One after the other as far as a key goes: what is in flight at once has no order.
            await loads.send_in_order(manager, job.messages, make_event)
        await counter.complete(job.deadline)
        figures: Figures = usage.per(job.messages)
    if not ordered:
        raise AssertionError("events of one key were handled out of order")
    return figures


_CASES: dict[str, Callable[[Job], Awaitable[Figures]]] = {
    "listeners": listeners,
    "fanout": fanout,
    "types": types,
    "interceptors": interceptors,
    "bodies": bodies,
    "concurrency": concurrency,
    "keys": keys,
    "memory": loads.memory,
    "fill": loads.fill,
    "backlog": loads.backlog,
    "processes": loads.consume,
}


def main() -> None:
    job = Job(**json.loads(sys.stdin.readline()))
    print(json.dumps(asyncio.run(_run(job))), flush=True)


async def _run(job: Job) -> Figures:
    return await _CASES[job.case](job)


if __name__ == "__main__":
    main()
