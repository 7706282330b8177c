"""A paused subscription costs nothing, and a slow listener slows nobody but itself: over every provider."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

import pytest

from aspyx_event import EventManager, LocalBroker, LocalProvider, event

pytestmark = pytest.mark.broker
COUNT = 1500


@event("networked.flow", durable=True)
@dataclass
class Flow:
    number: int


@pytest.fixture(params=["local", "amqp", "stomp"])
def protocol(request):
    return request.param


@pytest.fixture
def place(protocol, make, broker, management):
    """A provider, and what tells how many messages of a queue wait, and how many are with a consumer."""
    if protocol == "local":
        queues = LocalBroker()
        return LocalProvider(broker=queues), lambda queue: (queues.depth(queue), 0)
    return make(broker), lambda queue: (management.messages(queue), management.delivering(queue))


async def test_a_paused_subscription_leaves_its_queue_alone_and_costs_no_processor_time(place, unique, until):
    provider, count = place
    handled = []
    async with EventManager(provider) as manager:
        subscription = await manager.subscribe(Flow, handled.append, name=f"{unique}.paused", inline=True)
        await subscription.pause()
        for start in range(0, COUNT, 500):
            await asyncio.gather(*(manager.send_event(Flow(number)) for number in range(start, start + 500)))
        await until(lambda: count(f"{unique}.paused") == (COUNT, 0), lambda: count(f"{unique}.paused"))
        before = time.process_time()
        await asyncio.sleep(1.0)
        paused = time.process_time() - before
        assert handled == []
        before = time.process_time()
        await subscription.resume()
        await until(lambda: len(handled) == COUNT)
        working = time.process_time() - before
        assert [one.number for one in handled] == list(range(COUNT))
        await subscription.cancel()
    # A loop that turned idly for that second would have cost a second.
    assert paused < max(0.5 * working, 0.1)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_slow_listener_never_starves_another(place, unique, until, kind):
    provider, _ = place
    go_on, fast, slow = threading.Event(), [], []

    async def slow_async(one: Flow) -> None:
        await asyncio.to_thread(go_on.wait, 30)
        slow.append(one.number)

    def slow_sync(one: Flow) -> None:
        go_on.wait(30)
        slow.append(one.number)

    async def fast_async(one: Flow) -> None:
        fast.append(one.number)

    def fast_sync(one: Flow) -> None:
        fast.append(one.number)

    async with EventManager(provider) as manager:
        await manager.subscribe(
            Flow, slow_async if kind == "async" else slow_sync, name=f"{unique}.slow", concurrency=3
        )
        await manager.subscribe(Flow, fast_async if kind == "async" else fast_sync, name=f"{unique}.fast")
        await asyncio.gather(*(manager.send_event(Flow(number)) for number in range(400)))
        await until(lambda: len(fast) == 400)
        assert slow == []
        assert sorted(fast) == list(range(400))
        go_on.set()
        await until(lambda: len(slow) == 400)
