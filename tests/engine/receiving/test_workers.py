"""The workers of a subscription: ordering keys, pauses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from support_core import Gate, Recorder, eventually

from aspyx_event import EventContext, EventManager, LocalProvider, Retry, event
from aspyx_event.providers.local import LocalBroker


@event("workers.order", durable=True, key="customer")
@dataclass
class Order:
    customer: str
    number: int


async def test_a_key_whose_delivery_waited_at_a_pause_is_handled_after_it():
    """Releasing the waiting deliveries frees their ordering keys, otherwise all later ones would wait for ever."""
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, gate, name="keyed", concurrency=2)
        for customer in ("a", "b", "c", "c"):
            await manager.send_event(Order(customer, 1))
        await eventually(lambda: subscription.load[:2] == (2, 2))
        await subscription.pause()
        assert subscription.load[:2] == (0, 2)
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 2)
        await subscription.resume()
        await manager.send_event(Order("c", 2))
        await eventually(lambda: len(gate.left) == 5, timeout=10)
    assert [order.number for order in gate.left if order.customer == "c"] == [1, 1, 2]


async def test_an_event_that_another_handler_interrupts_is_handled_again():
    """A handler that cancels all tasks is at fault, not the handlers whose tasks it cancels."""
    gate, started = asyncio.Event(), asyncio.Event()
    attempts: list[int] = []

    async def innocent(order: Order, context: EventContext) -> None:
        attempts.append(context.attempt)
        started.set()
        await gate.wait()

    async def culprit(order: Order) -> None:
        await started.wait()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("handle "):
                task.cancel()
        gate.set()
        await asyncio.sleep(0)

    async with EventManager(LocalProvider()) as manager:
        disturbed = await manager.subscribe(Order, innocent, name="innocent")
        guilty = await manager.subscribe(Order, culprit, name="culprit")
        await manager.send_event(Order("a", 1))
        await eventually(lambda: disturbed.stats.count == 1 and guilty.stats.dead_letters == 1)
        assert attempts == [1, 1]
        assert disturbed.stats.dead_letters == 0
        assert (await manager.health()).ready


async def test_a_handler_that_cancels_its_task_has_failed_in_each_attempt():
    attempts: list[int] = []

    async def cancel(order: Order, context: EventContext) -> None:
        attempts.append(context.attempt)
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, cancel, name="cancel", retry=Retry(attempts=3, delay=0.0))
        await manager.send_event(Order("a", 1))
        await eventually(lambda: subscription.stats.dead_letters == 1)
        assert attempts == [1, 1, 2, 3]


async def test_a_stop_while_an_interrupted_event_waits_releases_it():
    broker, seen = LocalBroker(), Recorder()
    manager = EventManager(LocalProvider(broker=broker))
    entered = asyncio.Event()

    async def cancel(order: Order) -> None:
        asyncio.current_task().cancel()
        entered.set()
        await asyncio.sleep(0)

    await manager.subscribe(Order, cancel, name="keyed", concurrency=2)
    await manager.send_event(Order("a", 1))
    await manager.send_event(Order("a", 2))
    await entered.wait()
    await manager.stop()
    async with EventManager(LocalProvider(broker=broker)) as other:
        await other.subscribe(Order, seen, name="keyed")
        await eventually(lambda: seen.handled == [Order("a", 1), Order("a", 2)])
