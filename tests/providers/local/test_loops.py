"""One local broker and several event loops, and what is given up without a dead letter."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest
from support_core import eventually

from aspyx_event import AckPolicy, EventManager, LocalBroker, LocalProvider, Retry, StateError, event


@event("loops.order", durable=True)
@dataclass
class Order:
    number: int


def fail(_order):
    raise ValueError("told to fail")


async def test_a_broker_in_use_on_one_loop_is_refused_to_another():
    broker = LocalBroker()
    refused = []

    def elsewhere():
        try:
            asyncio.run(EventManager(LocalProvider(broker=broker)).start())
        except StateError as error:
            refused.append(str(error))

    async with EventManager(LocalProvider(broker=broker)):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
    assert len(refused) == 1
    assert "another event loop" in refused[0]
    # Nobody uses it any more.
    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(refused) == 1


def test_what_was_to_come_later_comes_on_the_next_loop():
    broker, got = LocalBroker(), []

    async def begin():
        async with EventManager(LocalProvider(broker=broker)) as manager:
            await manager.subscribe(Order, got.append, name="later", inline=True)
            await manager.send_event(Order(1), delay=0.2)
            await manager.send_event(Order(2), delay=0.1)

    async def end():
        async with EventManager(LocalProvider(broker=broker)) as manager:
            await manager.subscribe(Order, got.append, name="later", inline=True)
            await eventually(lambda: len(got) == 2)
            assert broker.delayed == 0

    asyncio.run(begin())
    assert (got, broker.delayed) == ([], 2)
    asyncio.run(end())
    assert got == [Order(2), Order(1)]


@pytest.mark.parametrize(
    ("options", "dropped", "kept"),
    [
        ({}, 0, 1),
        ({"retry": Retry(dead_letter=False)}, 1, 0),
        ({"ack": AckPolicy.BEFORE}, 1, 0),
    ],
    ids=["kept", "no dead letters", "at most once"],
)
async def test_what_is_given_up_is_counted_as_a_dead_letter_only_where_there_is_one(options, dropped, kept):
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, fail, name="failing", **options)
        await manager.send_event(Order(1))
        stats = subscription.stats
        await eventually(lambda: stats.dropped + stats.dead_letters)
        assert (stats.failures, stats.dropped, stats.dead_letters) == (1, dropped, kept)
        assert len(await manager.dead_letters.list()) == kept
