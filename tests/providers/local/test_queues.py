"""Queues of the local provider: order, keys, competition, prefetch, pausing, redelivery, handing over objects."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from support_core import Gate, Recorder, eventually, settle

from aspyx_event import AbstractEnvelopePipeline, EventManager, LocalBroker, LocalProvider, event
from aspyx_event.exceptions import NoRouteError, QueueClashError


@event(name="queues.order")
@dataclass
class Order:
    number: int
    customer: str = ""


@event(name="queues.keyed", key="customer")
@dataclass
class Keyed:
    number: int
    customer: str


@event(name="queues.durable", durable=True)
@dataclass
class Durable:
    number: int


@event(name="queues.unwritable")
@dataclass
class Unwritable:
    anything: int


class Lane:
    """A handler that notes what runs beside what, and finishes when told to."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.done: list[tuple[str, int]] = []
        self.most = 0
        self.overlaps: list[str] = []
        self.go = asyncio.Semaphore(0)

    async def __call__(self, event) -> None:
        if event.customer in self.running:
            self.overlaps.append(event.customer)
        self.running[event.customer] = event.number
        self.most = max(self.most, len(self.running))
        await self.go.acquire()
        self.done.append((event.customer, event.number))
        del self.running[event.customer]

    def of(self, customer: str) -> list[int]:
        return [number for who, number in self.done if who == customer]


async def test_one_at_a_time_in_queue_order_is_the_default():
    gate, broker = Gate(), LocalBroker()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(Order, gate, name="plain")
        for number in range(20):
            await manager.send_event(Order(number))
        await eventually(lambda: gate.entered)
        await settle()
        assert gate.running == 1
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 20)
    assert [one.number for one in gate.left] == list(range(20))
    assert gate.most == 1


async def test_concurrency_n_handles_n_at_once_and_no_more():
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, gate, name="wide", concurrency=5)
        for number in range(12):
            await manager.send_event(Order(number))
        await eventually(lambda: gate.running == 5)
        await settle()
        assert gate.running == 5
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 12)
    assert gate.most == 5


@pytest.mark.parametrize("order_by", ["customer", lambda event: event.customer])
async def test_order_by_keeps_the_order_of_a_key_inside_of_concurrency(order_by):
    lane = Lane()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, lane, name="ordered", concurrency=3, order_by=order_by)
        for number in range(6):
            for customer in ("a", "b", "c"):
                await manager.send_event(Order(number, customer))
        await eventually(lambda: len(lane.running) == 3)
        for _ in range(18):
            lane.go.release()
        await eventually(lambda: len(lane.done) == 18)
    assert (lane.overlaps, lane.most) == ([], 3)
    assert lane.of("a") == lane.of("b") == lane.of("c") == list(range(6))


async def test_one_busy_key_does_not_keep_the_others_waiting():
    lane = Lane()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, lane, name="ordered", concurrency=2, order_by="customer")
        for number in range(5):
            await manager.send_event(Order(number, "busy"))
        await manager.send_event(Order(0, "other"))
        await eventually(lambda: set(lane.running) == {"busy", "other"})
        for _ in range(6):
            lane.go.release()
        await eventually(lambda: len(lane.done) == 6)


async def test_the_key_of_an_event_orders_it_across_competing_processes():
    broker, one, two = LocalBroker(), Lane(), Lane()
    async with (
        EventManager(LocalProvider(broker=broker)) as first,
        EventManager(LocalProvider(broker=broker)) as second,
    ):
        for manager, lane in ((first, one), (second, two)):
            await manager.subscribe(Keyed, lane, name="shared", concurrency=4)
        for number in range(10):
            for customer in ("a", "b", "c", "d"):
                await first.send_event(Keyed(number, customer))
        await eventually(lambda: one.running and two.running)
        assert not set(one.running) & set(two.running)
        for lane in (one, two):
            for _ in range(40):
                lane.go.release()
        await eventually(lambda: len(one.done) + len(two.done) == 40)
    assert one.overlaps == two.overlaps == []
    assert one.done
    assert two.done
    for customer in ("a", "b", "c", "d"):
        assert sorted([*one.of(customer), *two.of(customer)]) == list(range(10))
        assert one.of(customer) == sorted(one.of(customer))


async def test_the_key_travels_to_the_listener():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Keyed, seen, name="l")
        await manager.send_event(Keyed(1, "declared"))
        await manager.send_event(Keyed(1, "declared"), key="given")
        await manager.send_event(Keyed(1, ""))
        await eventually(lambda: len(seen.handled) == 3)
    assert [context.key for context in seen.contexts] == ["declared", "given", ""]


async def test_a_higher_priority_overtakes_what_waits():
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, gate, name="slow", prefetch=1)
        await manager.send_event(Order(0))
        await eventually(lambda: gate.entered)
        for number, priority in ((1, 0), (2, None), (3, 9), (4, 9), (5, 4)):
            await manager.send_event(Order(number), priority=priority)
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 6)
    assert [one.number for one in gate.left] == [0, 3, 4, 2, 5, 1]


async def test_no_more_is_handed_over_than_prefetch_says():
    broker, gate, seen = LocalBroker(), Gate(), Recorder()
    async with (
        EventManager(LocalProvider(broker=broker)) as greedy,
        EventManager(LocalProvider(broker=broker)) as other,
    ):
        await greedy.subscribe(Durable, gate, name="shared", prefetch=2, concurrency=2)
        for number in range(6):
            await greedy.send_event(Durable(number))
        await eventually(lambda: gate.running == 2)
        # What was not handed over is there for whoever comes.
        await other.subscribe(Durable, seen, name="shared")
        await eventually(lambda: len(seen.handled) == 4)
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 2)
    assert sorted(one.number for one in [*gate.left, *seen.handled]) == list(range(6))


async def test_pausing_gives_what_waits_to_other_consumers_and_redelivers_it():
    broker, gate, seen = LocalBroker(), Gate(), Recorder()
    async with EventManager(LocalProvider(broker=broker)) as one, EventManager(LocalProvider(broker=broker)) as two:
        subscription = await one.subscribe(Durable, gate, name="shared")
        for number in range(4):
            await one.send_event(Durable(number))
        await eventually(lambda: gate.entered)
        await subscription.pause()
        await two.subscribe(Durable, seen, name="shared")
        await eventually(lambda: len(seen.handled) == 3)
        gate.opened.set()
        await eventually(lambda: gate.left)
        await subscription.resume()
    assert [one.number for one in seen.handled] == [1, 2, 3]
    assert all(context.redelivered for context in seen.contexts)
    assert gate.left == [Durable(0)]


async def test_cancelling_a_subscription_leaves_a_durable_queue_and_removes_a_volatile_one():
    broker = LocalBroker()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        kept = await manager.subscribe(Durable, Recorder(), name="kept")
        gone = await manager.subscribe(Order, Recorder(), name="gone")
        resumable = await manager.subscribe(Order, Recorder(), name="resumable", resumable=True)
        own = await manager.subscribe(Order, Recorder(), name="own", per_process=True)
        assert len(broker.queues()) == 4
        for one in (kept, gone, resumable, own):
            await one.cancel()
        assert sorted(broker.queues()) == ["kept", "resumable"]
        await manager.send_event(Durable(1))
        await manager.send_event(Order(1))
        assert (broker.depth("kept"), broker.depth("resumable"), broker.depth("gone")) == (1, 1, 0)


async def test_an_event_without_a_queue_is_dropped_unless_a_route_is_required():
    async with EventManager(LocalProvider()) as manager:
        await manager.send_event(Order(1))
        with pytest.raises(NoRouteError, match=r"queues\.order"):
            await manager.send_event(Order(1), require_route=True)
        await manager.subscribe(Order, Recorder())
        await manager.send_event(Order(1), require_route=True)


async def test_a_queue_of_the_broker_serves_one_event_whoever_asks():
    broker = LocalBroker()
    async with EventManager(LocalProvider(broker=broker)) as one, EventManager(LocalProvider(broker=broker)) as two:
        await one.subscribe(Durable, Recorder(), name="taken")
        with pytest.raises(QueueClashError, match=r"'taken' belongs to .*queues\.durable.*queues\.order.*name="):
            await two.subscribe(Order, Recorder(), name="taken")


async def test_pausing_gives_nobody_a_key_that_is_still_being_handled():
    broker, one, two = LocalBroker(), Lane(), Lane()
    async with (
        EventManager(LocalProvider(broker=broker)) as first,
        EventManager(LocalProvider(broker=broker)) as second,
    ):
        subscription = await first.subscribe(Keyed, one, name="shared")
        for number in range(3):
            await first.send_event(Keyed(number, "a"))
        await eventually(lambda: one.running)
        await subscription.pause()
        await second.subscribe(Keyed, two, name="shared")
        await first.send_event(Keyed(0, "b"))
        await eventually(lambda: two.running)
        await settle()
        assert set(two.running) == {"b"}
        one.go.release()
        for _ in range(3):
            two.go.release()
        await eventually(lambda: two.of("a") == [1, 2])
        await settle()
    assert (one.done, broker.queues()) == ([("a", 0)], [])


class Reading(AbstractEnvelopePipeline):
    def send(self, envelope, event_descriptor):
        envelope.get_body()
        self.proceed_send(envelope, event_descriptor)


async def test_without_copies_every_listener_gets_the_very_object_and_nothing_is_encoded():
    one, two, sent = Recorder(), Recorder(), Unwritable(object())  # type: ignore[arg-type]
    async with EventManager(LocalProvider(copy=False)) as manager:
        await manager.subscribe(Unwritable, one, name="one")
        await manager.subscribe(Unwritable, two, name="two")
        await manager.send_event(sent, headers={"a": "b"})
        await eventually(lambda: one.handled and two.handled)
        assert one.handled[0] is two.handled[0] is sent
        assert one.contexts[0].headers["a"] == "b"
        assert not one.contexts[0].envelope.encoded


async def test_without_copies_a_body_that_an_interceptor_read_is_what_listeners_get():
    seen, sent = Recorder(), Order(1)
    async with EventManager(LocalProvider(copy=False), pipelines=[Reading()]) as manager:
        await manager.subscribe(Order, seen)
        await manager.send_event(sent)
        await eventually(lambda: seen.handled == [sent])
        assert seen.handled[0] is not sent


async def test_a_listener_that_changes_its_event_changes_nobody_elses():
    seen = Recorder()

    async def change(event: Order) -> None:
        event.number = 99

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, change)
        await manager.subscribe(Order, seen)
        sent = Order(1)
        await manager.send_event(sent)
        await eventually(lambda: seen.handled)
    assert (sent.number, seen.handled[0].number) == (1, 1)


async def test_what_waits_in_a_manager_that_stops_goes_to_others_before_its_handlers_are_done():
    broker, gate, seen = LocalBroker(), Gate(), Recorder()
    stopping = EventManager(LocalProvider(broker=broker))
    await stopping.subscribe(Durable, gate, name="shared")
    for number in range(3):
        await stopping.send_event(Durable(number))
    await eventually(lambda: gate.entered)
    async with EventManager(LocalProvider(broker=broker)) as other:
        await other.subscribe(Durable, seen, name="shared")
        stop = asyncio.ensure_future(stopping.stop())
        await eventually(lambda: seen.handled == [Durable(1), Durable(2)])
        assert not stop.done()
        gate.opened.set()
        await stop
    assert gate.left == [Durable(0)]
