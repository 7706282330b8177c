"""FastStream over RabbitMQ: a durable queue, persistent messages, publisher confirms, acknowledgement after the handler.

Its logger is off, which is on by default and writes two lines per message.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue

from .. import turns
from ..measure import Sample, Stopwatch, joined
from ..message import Latencies, OrderPlaced, Tally, at_pace, raw_headers
from ..message import order as make
from ..settings import CONFIRM, CONSUME, END_TO_END, PACED, PUBLISH, Order
from ..timed import confirmed, send_all


class Application:
    """A broker with one subscriber; also for the test broker."""

    def __init__(self, order: Order) -> None:
        self.order = order
        url = f"amqp://{order.user or 'guest'}:{order.password or 'guest'}@{order.host or '127.0.0.1'}:{order.port or 5672}/"
        self.broker = RabbitBroker(url, logger=None, default_channel=Channel(prefetch_count=order.prefetch))
        self.queue = RabbitQueue(order.queue, durable=True)
        self.broker.subscriber(self.queue, ack_policy=AckPolicy.REJECT_ON_ERROR)(self.on)
        self.tally, self.received = Tally(), asyncio.Event()
        self.times: Latencies | None = None

    async def on(self, event: OrderPlaced, message: RabbitMessage) -> None:
        assert message.headers["tenant"]
        if self.times is not None:
            self.times.arrived(event.order_id)
        if self.tally.add(event.order_id):
            self.received.set()

    def expect(self, *parts: int) -> None:
        self.tally = Tally(*parts)
        self.received.clear()

    async def send(self, number: int) -> None:
        headers: dict[str, Any] = raw_headers(self.order.address)
        await self.broker.publish(
            make(number), self.queue, headers=headers, persist=True, message_id=headers["cloudEvents_id"]
        )


class _Client(Application):
    async def run(self) -> dict[str, Sample]:
        order = self.order
        await self.broker.connect()
        results = {CONFIRM: await confirmed(order.confirms, self.send)}

        await turns.waiting()
        watch = Stopwatch()
        await self._send_all()
        results[PUBLISH] = watch.stop(order.messages)

        self.expect(order.confirms, order.messages)
        await turns.waiting()
        watch = Stopwatch()
        await self.broker.start()
        await self.received.wait()
        results[CONSUME] = watch.stop(order.waiting)
        self.tally.verify()

        self.expect(order.messages)
        await turns.waiting()
        watch = Stopwatch()
        await self._send_all()
        await self.received.wait()
        results[END_TO_END] = watch.stop(order.messages)
        self.tally.verify()

        results[PACED] = joined([await self._paced(len(numbers)) for numbers in turns.portions(order.paced)])
        await self.broker.stop()
        return results

    async def _paced(self, count: int) -> Sample:
        sends: list[asyncio.Future[None]] = []
        self.expect(count)
        self.times = times = Latencies()

        def send(number: int) -> None:
            times.sending(number)
            sends.append(asyncio.ensure_future(self.send(number)))

        await turns.waiting()
        watch = Stopwatch()
        await at_pace(count, self.order.pace, send)
        await asyncio.gather(*sends)
        await self.received.wait()
        sample = watch.stop(count, times.seconds)
        self.tally.verify()
        return sample

    async def _send_all(self) -> None:
        await send_all(self.order.messages, self.order.in_flight, self.send)


async def _run(order: Order) -> dict[str, Sample]:
    return await asyncio.wait_for(_Client(order).run(), order.deadline * 5)


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_run(order))
