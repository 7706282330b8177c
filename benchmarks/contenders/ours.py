"""aspyx_event over a broker, as an application uses it: an event class, an interceptor, a handler with its context."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from aspyx_event import (
    AbstractEnvelopePipeline,
    AMQPProvider,
    Envelope,
    EventContext,
    EventDescriptor,
    EventListenerDescriptor,
    EventManager,
    Receipt,
    StompProvider,
    event,
)
from aspyx_event.providers import Provider

from .. import turns
from ..measure import Sample, Stopwatch, joined
from ..message import SESSION, TENANT, Latencies, OrderPlaced, Tally, at_pace
from ..message import order as make
from ..settings import CONFIRM, CONSUME, END_TO_END, PACED, PUBLISH, Order
from ..timed import confirmed, send_all

session: ContextVar[str] = ContextVar("session", default=SESSION)


class SessionPipeline(AbstractEnvelopePipeline):
    """Brings the sender's session to the receiver's handler."""

    async def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        envelope.set("session", session.get())
        await self.proceed_send(envelope, event_descriptor)

    async def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        token = session.set(envelope.get("session"))
        try:
            await self.proceed_handle(envelope, event_listener_descriptor)
        finally:
            session.reset(token)


class _Application:
    def __init__(self, order: Order, manager: EventManager) -> None:
        self._order, self._manager = order, manager
        self._tally, self._received = Tally(), asyncio.Event()
        self._times: Latencies | None = None

    async def on(self, event: OrderPlaced, context: EventContext) -> None:
        assert context.headers["tenant"]
        if self._times is not None:
            self._times.arrived(event.order_id)
        if self._tally.add(event.order_id):
            self._received.set()

    async def run(self) -> dict[str, Sample]:
        order = self._order
        results = {CONFIRM: await confirmed(order.confirms, self._send)}

        await turns.waiting()
        watch = Stopwatch()
        await self._send_all()
        results[PUBLISH] = watch.stop(order.messages)

        self._expect(order.confirms, order.messages)
        await turns.waiting()
        watch = Stopwatch()
        await self._subscribe()
        await self._received.wait()
        results[CONSUME] = watch.stop(order.waiting)
        self._tally.verify()

        self._expect(order.messages)
        await turns.waiting()
        watch = Stopwatch()
        await self._send_all()
        await self._received.wait()
        results[END_TO_END] = watch.stop(order.messages)
        self._tally.verify()

        results[PACED] = joined([await self._paced(len(numbers)) for numbers in turns.portions(order.paced)])
        return results

    async def _paced(self, count: int) -> Sample:
        self._expect(count)
        self._times = times = Latencies()
        receipts: list[Receipt] = []

        def send(number: int) -> None:
            times.sending(number)
            receipts.append(self._send(number))

        await turns.waiting()
        watch = Stopwatch()
        await at_pace(count, self._order.pace, send)
        for receipt in receipts:
            await receipt
        await self._received.wait()
        sample = watch.stop(count, times.seconds)
        self._tally.verify()
        return sample

    async def _subscribe(self) -> None:
        await self._manager.subscribe(OrderPlaced, self.on, name=self._order.queue, prefetch=self._order.prefetch)

    def _expect(self, *parts: int) -> None:
        self._tally = Tally(*parts)
        self._received.clear()

    async def _send_all(self) -> None:
        await send_all(self._order.messages, self._order.in_flight, self._send)

    def _send(self, number: int) -> Receipt:
        return self._manager.send_event(make(number), headers=TENANT)


def _provider(order: Order) -> Provider:
    if order.contender == "ours-amqp":
        return AMQPProvider("benchmark", order.host, order.port, order.user, order.password)
    return StompProvider(order.host, order.port, order.user, order.password, server_name="benchmark")


async def _run(order: Order) -> dict[str, Sample]:
    # Here and not at the class, because the name is another one in each process.
    event(name=order.address, durable=True)(OrderPlaced)
    async with EventManager(_provider(order), pipelines=[SessionPipeline()]) as manager:
        return await asyncio.wait_for(_Application(order, manager).run(), order.deadline * 5)


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_run(order))
