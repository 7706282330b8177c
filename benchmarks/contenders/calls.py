"""No framework at all: makes the event and awaits the handler. What is left when nothing is promised."""

from __future__ import annotations

import asyncio

from ..measure import Sample, Stopwatch
from ..message import OrderPlaced, Tally
from ..message import order as make
from ..settings import END_TO_END, Order


class _Application:
    def __init__(self, order: Order) -> None:
        self._order, self._tally = order, Tally(order.messages)

    async def on(self, event: OrderPlaced) -> None:
        self._tally.add(event.order_id)

    async def run(self) -> dict[str, Sample]:
        watch = Stopwatch()
        for number in range(self._order.messages):
            await self.on(make(number))
        sample = watch.stop(self._order.messages)
        self._tally.verify()
        return {END_TO_END: sample}


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_Application(order).run())
