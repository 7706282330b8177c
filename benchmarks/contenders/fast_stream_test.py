"""FastStream's `TestRabbitBroker`: its broker without a broker, for tests."""

from __future__ import annotations

import asyncio

from faststream.rabbit import TestRabbitBroker

from ..measure import Sample, Stopwatch
from ..settings import END_TO_END, Order
from .fast_stream import Application


async def _run(order: Order) -> dict[str, Sample]:
    application = Application(order)
    application.expect(order.messages)
    async with TestRabbitBroker(application.broker):
        watch = Stopwatch()
        for number in range(order.messages):
            await application.send(number)
        await asyncio.wait_for(application.received.wait(), order.deadline)
        sample = watch.stop(order.messages)
    application.tally.verify()
    return {END_TO_END: sample}


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_run(order))
