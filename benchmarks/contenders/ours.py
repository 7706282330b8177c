"""aspyx_event as an application uses it: an event class, an interceptor, a handler that is told its context."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextvars import ContextVar

from aspyx_event import (
    AbstractEnvelopePipeline,
    AMQPProvider,
    Envelope,
    EventContext,
    EventDescriptor,
    EventListenerDescriptor,
    EventManager,
    LocalProvider,
    Provider,
    StompProvider,
    Subscription,
    event,
)

from ..measure import Sample, Stopwatch
from ..message import SESSION, TENANT, OrderPlaced, Tally
from ..message import order as make
from ..settings import CONFIRM, CONSUME, END_TO_END, PUBLISH, Order

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

    async def on(self, event: OrderPlaced, context: EventContext) -> None:
        assert context.headers["tenant"]
        if self._tally.add(event.order_id):
            self._received.set()

    async def run(self, local: bool) -> dict[str, Sample]:
        order = self._order
        results: dict[str, Sample] = {}
        # In memory a queue is there from its first listener on; at the broker it was made before.
        subscription = await self._subscribe() if local else None
        if subscription is not None:
            await subscription.pause()

        watch = Stopwatch()
        single = [await self._send_one(number) for number in range(order.confirms)]
        results[CONFIRM] = watch.stop(order.confirms, single)

        watch = Stopwatch()
        await self._send_all()
        results[PUBLISH] = watch.stop(order.messages)

        self._expect(order.confirms, order.messages)
        watch = Stopwatch()
        if subscription is None:
            await self._subscribe()
        else:
            await subscription.resume()
        await self._received.wait()
        results[CONSUME] = watch.stop(order.waiting)
        self._tally.verify()

        self._expect(order.messages)
        watch = Stopwatch()
        await self._send_all()
        await self._received.wait()
        results[END_TO_END] = watch.stop(order.messages)
        self._tally.verify()
        return results

    async def _subscribe(self) -> Subscription:
        return await self._manager.subscribe(
            OrderPlaced, self.on, name=self._order.queue, prefetch=self._order.prefetch
        )

    def _expect(self, *parts: int) -> None:
        self._tally = Tally(*parts)
        self._received.clear()

    async def _send_one(self, number: int) -> float:
        started = time.perf_counter()
        await self._manager.send_event(make(number), headers=TENANT)
        return time.perf_counter() - started

    async def _send_all(self) -> None:
        numbers = iter(range(self._order.messages))
        await asyncio.gather(*(self._send_from(numbers) for _ in range(self._order.in_flight)))

    async def _send_from(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self._manager.send_event(make(number), headers=TENANT)


def _provider(order: Order) -> Provider:
    if order.contender == "ours-amqp":
        return AMQPProvider("benchmark", order.host, order.port, order.user, order.password)
    if order.contender == "ours-stomp":
        return StompProvider(order.host, order.port, order.user, order.password, server_name="benchmark")
    return LocalProvider(copy=order.contender != "ours-local-objects")


async def _run(order: Order) -> dict[str, Sample]:
    # Here and not at the class, because the name is another one in each process.
    event(name=order.address, durable=True)(OrderPlaced)
    provider = _provider(order)
    async with EventManager(provider, pipelines=[SessionPipeline()]) as manager:
        work = _Application(order, manager).run(isinstance(provider, LocalProvider))
        return await asyncio.wait_for(work, order.deadline * 4)


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_run(order))
