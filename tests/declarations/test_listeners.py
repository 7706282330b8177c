"""AX-10 ... AX-16: listener classes and handlers, without a container."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from dataclasses import dataclass

from support_core import Recorder, eventually, settle

from aspyx_event import (
    EventContext,
    EventListener,
    EventManager,
    LocalBroker,
    LocalProvider,
    current_context,
    event,
    event_handler,
    event_listener,
)

SEEN: dict[str, list] = {}
flavour: ContextVar[str] = ContextVar("flavour", default="none")


@event(name="listeners.order")
@dataclass
class Order:
    number: int


@event(name="listeners.refund")
@dataclass
class Refund:
    number: int


def _note(who: str, what: object) -> None:
    SEEN.setdefault(who, []).append(what)


@event_listener(Order)
class SyncListener(EventListener[Order]):
    def on(self, event: Order) -> None:
        _note("sync", event)


@event_listener(Order, name="listeners.audit")
class AsyncListener(EventListener[Order]):
    async def on(self, event: Order, context: EventContext) -> None:
        _note("async", (event, context.listener.name, context.attempt, current_context() is context))


@event_listener(Order)
@event_listener(Refund)
class Both(EventListener):
    async def on(self, event) -> None:
        _note("both", event)


@event_listener("listeners.order", name="listeners.by-name")
class ByName(EventListener[Order]):
    async def on(self, event: Order) -> None:
        _note("by-name", event)


@event_listener(Order)
class NotDerived:
    async def on(self, event: Order) -> None:
        _note("not derived", event)


@event_handler(Order)
async def marked(event: Order) -> None:
    _note("marked", event)


@event_handler(Refund)
@event_handler(Order)
def marked_twice(event, context) -> None:
    _note("marked twice", (event, context.event_name))


class WithMethods:
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    @event_handler(Order)
    async def ordered(self, event: Order) -> None:
        _note("method", (self.prefix, event))


async def _send(*listeners: object, events: tuple = (Order(1),), until: int = 1) -> dict[str, list]:
    SEEN.clear()
    async with EventManager(LocalProvider(), listeners=listeners) as manager:
        for one in events:
            await manager.send_event(one)
        await eventually(lambda: sum(map(len, SEEN.values())) >= until)
        await settle()
    return SEEN


async def test_a_listener_class_gets_its_events():
    assert await _send(SyncListener()) == {"sync": [Order(1)]}


async def test_deriving_from_the_base_class_is_not_needed():
    assert await _send(NotDerived()) == {"not derived": [Order(1)]}


async def test_a_class_may_be_stacked_for_several_events():
    assert await _send(Both(), events=(Order(1), Refund(2)), until=2) == {"both": [Order(1), Refund(2)]}


async def test_functions_and_methods_can_be_marked():
    seen = await _send(marked, marked_twice, WithMethods("p"), events=(Order(1), Refund(2)), until=4)
    assert seen["marked"] == [Order(1)]
    assert sorted(seen["marked twice"], key=str) == [(Order(1), "listeners.order"), (Refund(2), "listeners.refund")]
    assert seen["method"] == [("p", Order(1))]


async def test_an_event_may_be_given_by_its_name():
    assert (await _send(SyncListener(), ByName(), until=2))["by-name"] == [Order(1)]


async def test_a_listener_is_called_after_its_class_and_a_handler_after_its_function():
    handed = (SyncListener(), AsyncListener(), marked, WithMethods("p"))
    async with EventManager(LocalProvider(), listeners=handed) as manager:
        names = [one.name for one in manager.list_subscriptions("listeners.order")]
        queues = [one.queue for one in manager.list_subscriptions()]
    assert names == queues == ["SyncListener", "listeners.audit", "marked", "WithMethods.ordered"]


async def test_a_stacked_listener_has_a_queue_per_event():
    async with EventManager(LocalProvider(), listeners=[Both()]) as manager:
        queues = {one.event_name: one.queue for one in manager.list_subscriptions()}
    assert queues == {"listeners.refund": "Both", "listeners.order": "listeners.order.Both"}


async def test_without_per_process_two_processes_share_the_events_of_one_listener():
    broker, one, two = LocalBroker(), Recorder(), Recorder()
    async with (
        EventManager(LocalProvider(broker=broker)) as first,
        EventManager(LocalProvider(broker=broker)) as second,
    ):
        await first.subscribe(Order, one, name="shared")
        await second.subscribe(Order, two, name="shared")
        for number in range(10):
            await first.send_event(Order(number))
        await eventually(lambda: len(one.handled) + len(two.handled) == 10)
        await settle()
    assert sorted(event.number for event in one.handled + two.handled) == list(range(10))
    assert one.handled
    assert two.handled


async def test_with_per_process_every_process_gets_every_event():
    broker, one, two = LocalBroker(), Recorder(), Recorder()
    async with (
        EventManager(LocalProvider(broker=broker)) as first,
        EventManager(LocalProvider(broker=broker)) as second,
    ):
        await first.subscribe(Order, one, name="own", per_process=True)
        await second.subscribe(Order, two, name="own", per_process=True)
        await first.send_event(Order(7))
        await eventually(lambda: one.handled and two.handled)
    assert one.handled == two.handled == [Order(7)]


async def test_a_resumable_listener_per_process_keeps_a_queue_per_server():
    broker, seen = LocalBroker(), Recorder()
    for server in ("a", "b"):
        async with EventManager(LocalProvider(broker=broker, server_name=server)) as manager:
            await manager.subscribe(Order, seen, name="keeper", per_process=True, resumable=True)
    assert sorted(broker.queues()) == ["keeper-a", "keeper-b"]


async def test_a_group_makes_differently_named_listeners_compete():
    one, two = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, one, name="first", group="crew")
        await manager.subscribe(Order, two, name="second", group="crew")
        for number in range(4):
            await manager.send_event(Order(number))
        await eventually(lambda: len(one.handled) + len(two.handled) == 4)
        await settle()
        assert {each.queue for each in manager.list_subscriptions()} == {"crew"}
    assert (len(one.handled), len(two.handled)) == (2, 2)


async def test_an_async_listener_is_told_about_its_delivery():
    assert await _send(AsyncListener()) == {"async": [(Order(1), "listeners.audit", 1, True)]}


async def _ticks_while_blocked(inline: bool) -> int:
    """Count how often the loop turns while a sync handler blocks its thread."""
    entered, release = threading.Event(), threading.Event()
    ticks = 0

    def block(event: Order) -> None:
        entered.set()
        release.wait(0.2 if inline else 10)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, block, inline=inline)
        await manager.send_event(Order(1))
        await eventually(entered.is_set)
        while not release.is_set() and not inline:
            ticks += 1
            await asyncio.sleep(0)
            if ticks == 100:
                release.set()
        if inline:
            ticks = manager.list_subscriptions()[0].stats.count
    return ticks


async def test_a_sync_listener_that_blocks_does_not_block_the_loop():
    assert await _ticks_while_blocked(inline=False) == 100


async def test_an_inline_listener_runs_on_the_loop():
    # When the loop turns again the handler has been through, and with it the delivery.
    assert await _ticks_while_blocked(inline=True) == 1


async def test_a_sync_listener_runs_in_another_thread_with_the_context_variables_of_its_delivery():
    seen = []

    def on(event: Order) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), current_context().event_name))

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, on)
        await manager.send_event(Order(1))
        await eventually(lambda: seen)
        await manager.subscribe(Order, on, name="here", inline=True)
        await manager.send_event(Order(1))
        await eventually(lambda: len(seen) == 3)
    assert seen[0] == (False, "listeners.order")
    assert (True, "listeners.order") in seen


async def test_a_sync_function_may_return_an_awaitable():
    seen = []

    async def later(event: Order) -> None:
        seen.append(event)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, lambda event: later(event))
        await manager.subscribe(Order, lambda event: later(event), inline=True)
        await manager.send_event(Order(1))
        await eventually(lambda: len(seen) == 2)


async def test_every_listener_gets_the_event_and_each_one_a_copy_of_its_own():
    one, two = Recorder(), Recorder()
    sent = Order(1)
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, one, name="one")
        await manager.subscribe(Order, two, name="two")
        await manager.send_event(sent)
        await eventually(lambda: one.handled and two.handled)
    assert one.handled == two.handled == [sent]
    assert len({id(sent), id(one.handled[0]), id(two.handled[0])}) == 3


async def test_a_failing_listener_never_stops_another_one():
    good, later = Recorder(), Recorder()
    bad = Recorder(failures=[ValueError("one"), ValueError("two")])
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, bad, name="bad")
        await manager.subscribe(Order, good, name="good")
        for number in range(3):
            await manager.send_event(Order(number))
        await eventually(lambda: len(good.handled) == 3 and bad.handled)
        await manager.subscribe(Order, later, name="later")
    assert good.handled == [Order(0), Order(1), Order(2)]
    assert bad.handled == [Order(2)]
