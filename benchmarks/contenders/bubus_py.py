"""bubus as its documentation shows it: a bus, an event model, an async handler; each event is awaited."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bubus import BaseEvent, EventBus

from ..measure import Sample, Stopwatch
from ..message import Tally
from ..message import order as make
from ..settings import END_TO_END, Order


class OrderPlacedEvent(BaseEvent[None]):  # type: ignore[misc]
    order_id: int
    customer: str
    total: float
    currency: str
    items: list[str]
    note: str


async def _run(order: Order) -> dict[str, Sample]:
    logging.getLogger("bubus").setLevel(logging.ERROR)
    bus, tally = EventBus(), Tally(order.messages)

    async def on(event: Any) -> None:
        tally.add(event.order_id)

    bus.on(OrderPlacedEvent, on)
    watch = Stopwatch()
    for number in range(order.messages):
        await bus.dispatch(OrderPlacedEvent(**vars(make(number))))
    sample = watch.stop(order.messages)
    tally.verify()
    await bus.stop()
    return {END_TO_END: sample}


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(asyncio.wait_for(_run(order), order.deadline))
