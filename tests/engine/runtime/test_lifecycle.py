"""AX-41, AX-49: starting, stopping and everything between, in loops and without one."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass

import pytest
from support_core import Gate, Recorder, eventually, settle

from aspyx_event import (
    EventContext,
    EventManager,
    LocalBroker,
    LocalProvider,
    Retry,
    StateError,
    event,
    event_handler,
)
from aspyx_event.exceptions import ConnectError


@event(name="lifecycle.order", durable=True)
@dataclass
class Order:
    number: int


class Counting(LocalProvider):
    """Counts starts and stops, and refuses the first starts if so told."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.starts = self.stops = 0
        self.refusals = refusals

    async def start(self) -> None:
        self.starts += 1
        await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise ConnectError("nobody there")
        await super().start()

    async def stop(self) -> None:
        self.stops += 1
        await super().stop()


SEEN: list[int] = []


@event_handler(Order)
async def declared(event: Order) -> None:
    SEEN.append(event.number)


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


async def test_starting_and_stopping_twice_is_once():
    provider = Counting()
    manager = EventManager(provider)
    await manager.stop()
    assert provider.stops == 0
    manager = EventManager(provider)
    await manager.start()
    await manager.start()
    assert (provider.starts, manager.running) == (1, True)
    await manager.stop()
    await manager.stop()
    assert (provider.stops, manager.running) == (1, False)


async def test_many_who_start_at_once_start_it_once():
    provider = Counting()
    manager = EventManager(provider, listeners=[declared])
    await asyncio.gather(
        *(manager.start() for _ in range(5)), manager.send_event(Order(1)), manager.send_event(Order(2))
    )
    assert provider.starts == 1
    await eventually(lambda: SEEN == [1, 2])
    await manager.stop()


async def test_the_first_send_starts_the_manager_with_its_listeners():
    manager = EventManager(LocalProvider(), listeners=[declared])
    assert not manager.running
    await manager.send_event(Order(1))
    assert manager.running
    await eventually(lambda: SEEN == [1])
    await manager.stop()


async def test_a_start_that_failed_may_be_tried_again():
    provider = Counting(refusals=2)
    manager = EventManager(provider, listeners=[declared])
    with pytest.raises(ConnectError):
        await manager.start()
    with pytest.raises(ConnectError):
        await manager.send_event(Order(1))
    assert not manager.running
    await manager.send_event(Order(2))
    await eventually(lambda: SEEN == [2])
    await manager.stop()


@pytest.mark.parametrize("way", ["start", "send"])
def test_a_start_that_failed_may_be_tried_again_on_another_loop(way):
    manager = EventManager(Counting(refusals=1), listeners=[declared])

    async def use() -> None:
        if way == "start":
            await manager.start()
        await manager.send_event(Order(1))
        await eventually(lambda: SEEN == [1])
        await manager.stop()

    with pytest.raises(ConnectError):
        asyncio.run(use())
    asyncio.run(use())


async def test_who_gives_up_waiting_for_the_start_does_not_stop_it_for_others():
    provider, go = Counting(), asyncio.Event()

    async def slow_start() -> None:
        await go.wait()
        await LocalProvider.start(provider)

    provider.start = slow_start  # type: ignore[method-assign]
    manager = EventManager(provider)
    other = asyncio.ensure_future(manager.start())
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(manager.start(), 0.01)
    go.set()
    await other
    assert manager.running
    await manager.stop()


async def test_a_stopped_manager_refuses_to_send_and_to_subscribe_and_says_what_to_do():
    manager = EventManager(LocalProvider())
    await manager.start()
    await manager.stop()
    for use in (lambda: manager.send_event(Order(1)), lambda: manager.subscribe(Order, Recorder())):
        with pytest.raises(StateError, match=r"is stopped; call `await manager\.start\(\)` to use it again"):
            use()


async def test_a_manager_can_be_started_again():
    manager = EventManager(LocalProvider(), listeners=[declared])
    seen = Recorder()
    async with manager:
        await manager.subscribe(Order, seen, name="run time")
        await manager.send_event(Order(1))
        await eventually(lambda: SEEN == [1] and len(seen.handled) == 1)
    async with manager:
        await manager.send_event(Order(2))
        await eventually(lambda: SEEN == [1, 2] and len(seen.handled) == 2)
        assert len(manager.list_subscriptions()) == 2


def test_a_manager_can_be_started_again_on_another_loop_after_it_was_stopped():
    manager, handled = EventManager(LocalProvider(), listeners=[declared]), []

    async def fails_first(event: Order, context: EventContext) -> None:
        if context.attempt == 1:
            raise ValueError("first attempt")
        handled.append(event.number)

    async def use(number: int) -> None:
        async with manager:
            if number == 1:
                # The wait between two attempts must not tie the manager to its first loop.
                await manager.subscribe(Order, fails_first, name="failing", retry=Retry(attempts=2, delay=0.01))
            await manager.send_event(Order(number))
            await eventually(lambda: number in SEEN and number in handled)

    for number in (1, 2, 3):
        asyncio.run(use(number))
    assert SEEN == handled == [1, 2, 3]


def test_a_loop_that_ended_without_a_stop_is_named_by_the_next_one():
    manager = EventManager(LocalProvider(), listeners=[declared])

    async def forget_to_stop() -> None:
        await manager.send_event(Order(1))
        await eventually(lambda: SEEN)

    async def go_on() -> None:
        with pytest.raises(StateError, match=r"event loop .* has ended; call `await environment\.stop\(\)`"):
            manager.send_event(Order(2))
        with pytest.raises(StateError, match="start again"):
            await manager.start()

    asyncio.run(forget_to_stop())
    asyncio.run(go_on())
    with pytest.raises(StateError, match="has ended"):
        manager.send_event(Order(3))


def test_a_manager_whose_loop_ended_can_be_stopped_but_not_revived(caplog):
    manager = EventManager(LocalProvider(), listeners=[declared])

    async def forget_to_stop() -> None:
        await manager.send_event(Order(1))
        await eventually(lambda: SEEN)

    async def stop_and_start() -> None:
        await manager.stop()
        await manager.stop()
        for use in (manager.start, lambda: manager.send_event(Order(2))):
            with pytest.raises(StateError, match=r"ended before the manager was stopped; make a new manager"):
                await use()

    asyncio.run(forget_to_stop())
    asyncio.run(stop_and_start())
    assert "not stopped in order" in caplog.text


async def test_stopping_waits_for_handlers_in_flight():
    gate, released = Gate(), asyncio.Event()
    broker = LocalBroker()
    manager = EventManager(LocalProvider(broker=broker))
    await manager.subscribe(Order, gate, name="slow")
    await manager.send_event(Order(1))
    await manager.send_event(Order(2))
    await eventually(lambda: gate.entered)

    async def stop() -> None:
        await manager.stop()
        released.set()

    stopping = asyncio.ensure_future(stop())
    await settle()
    assert not released.is_set()
    gate.opened.set()
    await stopping
    assert (gate.left, gate.cancelled) == ([Order(1)], [])
    assert broker.depth("slow") == 1  # what was not begun stays in its durable queue


async def test_stopping_cancels_handlers_after_the_timeout_and_their_events_come_again(caplog):
    gate, broker = Gate(), LocalBroker()
    manager = EventManager(LocalProvider(broker=broker), stop_timeout=0.05)
    await manager.subscribe(Order, gate, name="stuck")
    await manager.send_event(Order(1))
    await eventually(lambda: gate.entered)
    await manager.stop()
    assert gate.cancelled == [Order(1)]
    assert "did not end within" in caplog.text
    assert broker.depth("stuck") == 1
    seen = Recorder()
    async with EventManager(LocalProvider(broker=broker)) as other:
        await other.subscribe(Order, seen, name="stuck")
        await eventually(lambda: seen.handled)
    assert seen.contexts[0].redelivered


async def test_handlers_may_send_while_the_manager_stops():
    broker, entered, seen = LocalBroker(), asyncio.Event(), Recorder()
    manager = EventManager(LocalProvider(broker=broker))

    async def on(event: Order) -> None:
        if event.number == 1:
            entered.set()
            await eventually(lambda: not manager.running)
            await manager.send_event(Order(2))

    await manager.subscribe(Order, on, name="answering")
    await manager.send_event(Order(1))
    await entered.wait()
    await manager.stop()
    async with EventManager(LocalProvider(broker=broker)) as other:
        await other.subscribe(Order, seen, name="answering")
        await eventually(lambda: seen.handled == [Order(2)])


async def test_stopping_twice_at_once_waits_for_the_one_stop():
    gate, provider = Gate(), Counting()
    manager = EventManager(provider)
    await manager.subscribe(Order, gate, name="slow")
    await manager.send_event(Order(1))
    await eventually(lambda: gate.entered)
    stops = [asyncio.ensure_future(manager.stop()) for _ in range(3)]
    await settle()
    assert not any(stop.done() for stop in stops)
    gate.opened.set()
    await asyncio.gather(*stops)
    assert (provider.stops, gate.left) == (1, [Order(1)])


async def test_a_start_during_a_stop_is_refused_and_possible_after_it():
    gate, provider = Gate(), Counting()
    manager = EventManager(provider)
    await manager.subscribe(Order, gate, name="slow")
    await manager.send_event(Order(1))
    await eventually(lambda: gate.entered)
    stopping = asyncio.ensure_future(manager.stop())
    await settle()
    with pytest.raises(StateError, match="being stopped; start it again when that is done"):
        await manager.start()
    gate.opened.set()
    await stopping
    await manager.start()
    assert (provider.starts, provider.stops, manager.running) == (2, 1, True)
    await manager.stop()


async def test_a_stop_never_raises(caplog):
    provider = Counting()

    async def broken() -> None:
        raise OSError("the cable is cut")

    provider.stop = broken  # type: ignore[method-assign]
    manager = EventManager(provider)
    await manager.start()
    await manager.stop()
    assert not manager.running
    assert "the cable is cut" in caplog.text


def _loop_threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "aspyx-event-loop"}


def test_without_a_loop_the_manager_has_a_thread_that_ends_with_it():
    before = _loop_threads()
    manager = EventManager(LocalProvider(), listeners=[declared])
    assert _loop_threads() == before
    manager.send_event(Order(1))
    assert len(_loop_threads() - before) == 1
    asyncio.run(manager.stop())
    assert _loop_threads() <= before
    assert SEEN == [1]


async def test_declared_listeners_are_attached_before_the_start_is_over(caplog):
    caplog.set_level(logging.INFO, "aspyx.event")
    async with EventManager(LocalProvider(), listeners=[declared]) as manager:
        assert [one.attached for one in manager.list_subscriptions()] == [True]
        assert manager.provider.broker.queues("lifecycle.order") == ["declared"]  # type: ignore[attr-defined]
    assert "started: 1 subscriptions on the local provider" in caplog.text


async def test_a_sync_handler_may_stop_a_manager_on_the_programs_own_loop():
    manager = EventManager(LocalProvider())

    def stops(event: Order) -> None:
        manager.stop()  # type: ignore[unused-coroutine]

    await manager.subscribe(Order, stops, name="l")
    await manager.send_event(Order(1))
    await asyncio.wait_for(manager.wait_stopped(), 10)
    assert not manager.running


async def test_a_thread_without_a_loop_may_stop_a_manager_and_waits_for_it():
    manager = EventManager(LocalProvider())
    await manager.start()
    await asyncio.to_thread(manager.stop)  # type: ignore[unused-coroutine]
    assert not manager.running
