"""aspyx_event inside one process, with everything an application has: interceptor, headers, context, acknowledgement."""

from __future__ import annotations

import asyncio

from aspyx_event import EventContext, EventManager, LocalProvider, event

from ..measure import Sample, Stopwatch
from ..message import TENANT, OrderPlaced, Tally
from ..message import order as make
from ..settings import END_TO_END, Order
from .ours import SessionPipeline


class _Listener:
    def __init__(self, messages: int) -> None:
        self.tally, self._loop = Tally(messages), asyncio.get_running_loop()
        self.received = asyncio.Event()

    async def on(self, event: OrderPlaced, context: EventContext) -> None:
        self.on_sync(event, context)

    def on_sync(self, event: OrderPlaced, context: EventContext) -> None:
        assert context.headers["tenant"]
        if self.tally.add(event.order_id):
            self.received.set()

    def on_in_thread(self, event: OrderPlaced, context: EventContext) -> None:
        assert context.headers["tenant"]
        if self.tally.add(event.order_id):
            self._loop.call_soon_threadsafe(self.received.set)


async def _run(order: Order) -> dict[str, Sample]:
    event(name=order.address, durable=True)(OrderPlaced)
    listener = _Listener(order.messages)
    function = {"ours-local": listener.on, "ours-thread": listener.on_in_thread}.get(order.contender, listener.on_sync)
    provider = LocalProvider(copy=order.contender != "ours-objects")
    async with EventManager(provider, pipelines=[SessionPipeline()]) as manager:
        inline = order.contender in ("ours-objects", "ours-inline")
        await manager.subscribe(OrderPlaced, function, name=order.queue, prefetch=order.prefetch, inline=inline)
        watch = Stopwatch()
        for number in range(order.messages):
            await manager.send_event(make(number), headers=TENANT)
        await asyncio.wait_for(listener.received.wait(), order.deadline)
        sample = watch.stop(order.messages)
    listener.tally.verify()
    return {END_TO_END: sample}


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_run(order))
