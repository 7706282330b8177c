"""Deliveries of a lost connection: they are not handled, because the broker delivers their messages again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest

from aspyx_event import EventManager, Retry, event
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker
EVENTS = 20
# Fewer than max-delivery-attempts of the test broker (10): each lost connection may count as an attempt of every message
# in its window, and the broker moves a message with more to its own dead letter queue.
LOSSES = 8


async def cut(door, provider, until):
    """Break the connection, and wait for the next one."""
    before = provider.reconnects
    await door.shut()
    await door.open()
    await until(lambda: provider.reconnects > before and provider.connected)


async def test_a_delivery_is_stale_when_its_connection_is_gone(door, connect, outgoing, unique, until):
    provider, deliveries = await connect(door), []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), deliveries.append)
    await provider.publish(outgoing(unique, b"1"))
    await provider.publish(outgoing(unique, b"2"))
    await until(lambda: len(deliveries) == 2)
    deliveries[0].ack()
    assert not any(delivery.stale for delivery in deliveries)
    await door.shut()
    await until(lambda: deliveries[1].stale)
    assert not deliveries[0].stale
    deliveries[1].release()
    await door.open()
    await until(lambda: len(deliveries) >= 3)
    assert not deliveries[-1].stale
    deliveries[-1].ack()


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("durable", [True, False])
async def test_a_busy_handler_does_not_multiply_the_events_that_wait_for_it(
    door, make, broker, unique, until, concurrency, durable
):
    """Events that wait while the connection is lost again and again are handled once each."""

    @event(f"{unique}.order", durable=durable, key="key")
    @dataclass
    class Order:
        number: int
        key: str = "k"

    calls, go_on, provider = Counter(), asyncio.Event(), make(door)

    async def handle(order):
        calls[order.number] += 1
        await go_on.wait()

    async with EventManager(provider) as manager:
        # resumable: a queue that outlives the lost consumers
        subscription = await manager.subscribe(
            Order, handle, name=f"{unique}.listener", concurrency=concurrency, resumable=True
        )
        for number in range(EVENTS):
            await manager.send_event(Order(number, f"k{number % 3}"))
        await until(lambda: sum(calls.values()) == concurrency and sum(subscription.load[:2]) == EVENTS)
        for _ in range(LOSSES):
            await cut(door, provider, until)
            await until(lambda: sum(subscription.load[:2]) >= EVENTS)
            assert sum(subscription.load[:2]) <= EVENTS + concurrency
        go_on.set()
        await until(lambda: len(calls) == EVENTS and subscription.load[:2] == (0, 0))
    # Those that were being handled when their connection was lost are handled twice.
    assert sum(calls.values()) <= EVENTS + concurrency


async def test_a_delivery_that_waited_for_the_journal_is_dropped_when_its_connection_is_lost(
    door, make, unique, until, monkeypatch
):
    """The first deliveries after a start wait for a round trip to the broker before their handler starts."""
    from aspyx_event.engine.failure.poison import InFlightJournal

    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int

    provider, calls, entered, enter = make(door, server_name=unique), [], [], InFlightJournal.enter

    async def enter_and_lose(journal, queue, delivery, limit):
        entry = await enter(journal, queue, delivery, limit)
        entered.append(delivery)
        if len(entered) == 1:
            await door.shut()
            await until(lambda: delivery.stale)
            await door.open()
            await until(lambda: provider.connected)
        return entry

    monkeypatch.setattr(InFlightJournal, "enter", enter_and_lose)
    async with EventManager(provider, retry=Retry(max_crashes=2)) as manager:
        await manager.subscribe(Order, calls.append, name=f"{unique}.listener")
        await manager.send_event(Order(1))
        await until(lambda: len(entered) == 2 and calls)
        await manager.send_event(Order(2))
        await until(lambda: Order(2) in calls)
    assert calls == [Order(1), Order(2)]


async def test_no_further_attempt_starts_on_a_lost_connection(door, make, unique, until):
    """Its message is delivered again, and has its attempts there."""

    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int

    provider, calls = make(door), []

    async def handle(order, context):
        calls.append(context.attempt)
        if len(calls) == 1:
            await door.shut()
            await until(lambda: not provider.connected)
            await door.open()
            await until(lambda: provider.connected)
            raise ValueError("first attempt")

    async with EventManager(provider) as manager:
        await manager.subscribe(Order, handle, name=f"{unique}.listener", retry=Retry(attempts=3, delay=0.01))
        await manager.send_event(Order(1))
        await until(lambda: len(calls) >= 2)
        await manager.send_event(Order(2))
        await until(lambda: len(calls) >= 3)
    assert calls == [1, 1, 1]


async def test_no_further_handler_of_a_chain_starts_on_a_lost_connection(door, make, unique, until):
    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int

    provider, calls = make(door), []

    async def first(order):
        calls.append("first")
        if len(calls) == 1:
            await door.shut()
            await until(lambda: not provider.connected)
            await door.open()
            await until(lambda: provider.connected)

    async def second(order):
        calls.append("second")

    async with EventManager(provider) as manager:
        await manager.subscribe(Order, first, name=f"{unique}.first")
        await manager.subscribe(Order, second, name=f"{unique}.second", requires=f"{unique}.first")
        await manager.send_event(Order(1))
        await until(lambda: "second" in calls)
    assert calls == ["first", "first", "second"]
