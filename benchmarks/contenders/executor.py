"""`loop.run_in_executor`, one call at a time: what two threads cost in Python before there is a framework."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from ..measure import Sample, Stopwatch
from ..message import Tally
from ..message import order as make
from ..settings import END_TO_END, Order


async def _run(order: Order) -> dict[str, Sample]:
    loop, tally = asyncio.get_running_loop(), Tally(order.messages)
    with ThreadPoolExecutor(1) as executor:
        watch = Stopwatch()
        for number in range(order.messages):
            await loop.run_in_executor(executor, tally.add, make(number).order_id)
        sample = watch.stop(order.messages)
    tally.verify()
    return {END_TO_END: sample}


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(asyncio.wait_for(_run(order), order.deadline))
