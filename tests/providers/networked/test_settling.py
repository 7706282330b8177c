"""Who acknowledges, and what a stop gives back, over every provider."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from aspyx_event import AckPolicy, EventManager, LocalBroker, LocalProvider, Retry, event

pytestmark = pytest.mark.broker


@pytest.fixture(params=["local", "amqp", "stomp"])
def protocol(request):
    return request.param


@pytest.fixture
def fresh(protocol, request):
    """Make one provider after the other for the same queues."""
    if protocol == "local":
        queues = LocalBroker()
        return lambda: LocalProvider(broker=queues)
    make, broker = request.getfixturevalue("make"), request.getfixturevalue("broker")
    return lambda: make(broker)


@pytest.fixture
def order(unique):
    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int = 0

    return Order


class Kept:
    """A handler that keeps what it is given, and fails if it is told to."""

    def __init__(self, fails: bool = False) -> None:
        self.contexts, self.fails = [], fails

    async def __call__(self, _order, context) -> None:
        self.contexts.append(context)
        if self.fails:
            raise ValueError("told to fail")


async def test_a_manual_listener_acknowledges_when_it_likes_and_keeps_the_rest_for_later(fresh, order, unique, until):
    first, later = Kept(), Kept()
    async with EventManager(fresh()) as manager:
        await manager.subscribe(order, first, name=unique, ack=AckPolicy.MANUAL)
        sent = [manager.send_event(order()) for _ in range(3)]
        await asyncio.gather(*sent)
        await until(lambda: len(first.contexts) == 3)
        first.contexts[1].ack()
        first.contexts[1].ack()
        first.contexts[0].release()
        await until(lambda: len(first.contexts) == 4)
        assert first.contexts[3].event_id == first.contexts[0].event_id
    async with EventManager(fresh()) as manager:
        subscription = await manager.subscribe(order, later, name=unique)
        await until(lambda: subscription.stats.count == 2)
    assert {context.event_id for context in later.contexts} == {sent[0].id, sent[2].id}


async def test_a_stop_does_not_wait_for_the_next_attempt_and_the_event_comes_again(fresh, order, unique, until):
    failing, later = Kept(fails=True), Kept()
    manager = EventManager(fresh(), retry=Retry(attempts=2, delay=3600.0, max_delay=3600.0))
    await manager.start()
    await manager.subscribe(order, failing, name=unique)
    await manager.send_event(order())
    await until(lambda: failing.contexts)
    await asyncio.wait_for(manager.stop(), 60)
    async with EventManager(fresh()) as second:
        subscription = await second.subscribe(order, later, name=unique)
        await until(lambda: subscription.stats.count == 1)
        assert await second.dead_letters.list() == []
    assert [context.attempt for context in later.contexts] == [1]
    assert later.contexts[0].event_id == failing.contexts[0].event_id


async def test_at_most_once_is_forgotten_before_its_handler_fails(fresh, order, unique, until):
    failing, later = Kept(fails=True), Kept()
    async with EventManager(fresh()) as manager:
        subscription = await manager.subscribe(
            order, failing, name=unique, ack=AckPolicy.BEFORE, retry=Retry(attempts=5, delay=0)
        )
        await manager.send_event(order())
        await until(lambda: subscription.stats.dropped == 1)
        assert await manager.dead_letters.list() == []
    async with EventManager(fresh()) as manager:
        await manager.subscribe(order, later, name=unique)
        receipt = manager.send_event(order())
        await receipt
        await until(lambda: later.contexts)
    assert [context.event_id for context in later.contexts] == [receipt.id]
    assert len(failing.contexts) == 1
