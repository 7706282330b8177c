"""What users of Vireo know under other words: the rows VR (and EP) of the features that other tests do not name."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import Recorder, eventually, run_program, settle

from aspyx_event import (
    AckPolicy,
    AMQPProvider,
    EventContext,
    EventException,
    EventManager,
    GenericEvent,
    LocalBroker,
    LocalProvider,
    Retry,
    StateError,
    StompProvider,
    event,
)
from aspyx_event.exceptions import ConnectError, QueueClashError


@event(name="vireo.counted")
@dataclass
class Counted:
    number: int


def two_processes() -> tuple[EventManager, EventManager]:
    house = LocalBroker()
    one, two = (EventManager(LocalProvider(broker=house, server_name=name)) for name in ("one", "two"))
    return one, two


async def test_one_manager_sends_and_observes_and_its_subscriptions_have_ids():
    async with EventManager(LocalProvider(server_name="observer-1")) as manager:
        seen: list[Any] = []
        one = await manager.subscribe("foo", lambda event: seen.append(event.payload), name="one")
        two = await manager.subscribe("bar", lambda event: seen.append(event.payload), name="two")
        assert one.id != two.id
        assert manager.provider.server_name == "observer-1"
        await manager.send_event(GenericEvent("foo", {"ip": "127.0.0.1"}))
        await manager.send_event(GenericEvent("nobody"))
        await eventually(lambda: seen == [{"ip": "127.0.0.1"}])


async def test_equal_names_split_and_per_process_listeners_all_get_it():
    one, two = two_processes()
    split: dict[str, list[int]] = {"one": [], "two": []}
    copied: dict[str, list[int]] = {"one": [], "two": []}
    async with one, two:
        for who, manager in (("one", one), ("two", two)):
            await manager.subscribe("foo", lambda event, at=split[who]: at.append(event.payload), name="w", prefetch=1)
            await manager.subscribe(
                "bar", lambda event, at=copied[who]: at.append(event.payload), name="b", per_process=True
            )
        for number in range(20):
            await one.send_event(GenericEvent("foo", number))
            await one.send_event(GenericEvent("bar", number))
        await eventually(lambda: sum(map(len, split.values())) == 20 and sum(map(len, copied.values())) == 40)
    assert sorted(split["one"] + split["two"]) == list(range(20))
    assert split["one"]
    assert split["two"]
    assert copied["one"] == copied["two"] == list(range(20))


def test_join_waits_until_the_manager_is_stopped(tmp_path):
    done = run_program(
        """
        import threading
        from aspyx_event import EventManager, GenericEvent, LocalProvider

        manager = EventManager(LocalProvider())
        manager.subscribe("foo", lambda event: print(event.payload, flush=True), name="l")
        manager.send_event(GenericEvent("foo", 1))
        print(manager.join(0.01))
        threading.Timer(0.05, manager.stop).start()
        print(manager.join(10))
        """,
        tmp_path,
    )
    assert (done.stdout, done.stderr) == ("1\nFalse\nTrue\n", "")


async def test_with_an_event_loop_joined_is_awaited_and_join_says_so():
    manager = EventManager(LocalProvider())
    await manager.start()
    with pytest.raises(StateError, match=r"await manager\.wait_stopped\(\)"):
        manager.join()
    waiting = asyncio.ensure_future(manager.wait_stopped())
    await settle()
    assert not waiting.done()
    await manager.stop()
    await asyncio.wait_for(waiting, 10)


async def test_stop_lets_handlers_finish_and_a_subscription_may_stop_alone():
    manager = EventManager(LocalProvider())
    seen, alone = Recorder(), Recorder()
    other = await manager.subscribe(Counted, alone, name="other")
    assert await other.cancel()
    await manager.subscribe(Counted, seen, name="l")
    await manager.send_event(Counted(1))
    await eventually(lambda: seen.handled)
    await manager.stop()
    await manager.stop()
    await asyncio.wait_for(manager.wait_stopped(), 10)
    assert (seen.events, alone.events, manager.running) == ([Counted(1)], [], False)


async def test_what_is_sent_without_being_awaited_loses_no_error(caplog):
    async with EventManager(LocalProvider()) as manager:
        manager.send_event(GenericEvent("nobody.listens", {"ip": "127.0.0.1"}))
        with pytest.raises(EventException):
            await manager.send_event(GenericEvent("nobody.listens"), require_route=True)
        manager.send_event(GenericEvent("nobody.listens"), require_route=True)
        await eventually(lambda: "nobody.listens" in caplog.text)


async def test_a_paused_subscription_leaves_its_events_in_the_queue():
    one, two = two_processes()
    async with one, two:
        here, there = Recorder(), Recorder()
        paused = await one.subscribe(Counted, here, name="w")
        await paused.pause()
        await two.subscribe(Counted, there, name="w")
        for number in range(4):
            await one.send_event(Counted(number))
        await eventually(lambda: len(there.handled) == 4)
        assert (here.events, paused.paused, paused.attached) == ([], True, True)
        await paused.resume()
        await eventually(lambda: not paused.paused)


async def test_a_manager_says_whether_it_is_well():
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Counted, Recorder(), name="l")
        health = await manager.health()
        assert health.live
        assert health.ready


async def test_who_cannot_connect_is_told_by_an_error_of_its_own_without_the_password():
    provider = AMQPProvider("s", "127.0.0.1", 1, start_timeout=0.2)
    with pytest.raises(ConnectError):
        await EventManager(provider).start()
    with pytest.raises(EventException) as told:
        StompProvider(host="amqp://user:secret@host:1")
    assert "secret" not in str(told.value)


async def test_any_value_of_json_is_published_with_options():
    async with EventManager(LocalProvider()) as manager:
        seen: list[Any] = []
        await manager.subscribe("any", lambda event: seen.append(event.payload), name="l")
        for value in ("text", 1.5, None, True, [1, {"a": None}], {"ü": "ß"}):
            await manager.send_event(GenericEvent("any", value), priority=4, ttl=60.0)
        await eventually(lambda: len(seen) == 6)
        assert seen == ["text", 1.5, None, True, [1, {"a": None}], {"ü": "ß"}]


async def test_each_route_has_its_own_handler_and_options():
    async with EventManager(LocalProvider()) as manager:
        orders, rest = Recorder(), Recorder()
        await manager.subscribe("shop.order.*", orders, name="orders", concurrency=2, prefetch=10)
        await manager.subscribe("shop.#", rest, name="rest", group="everything")
        await manager.send_event(GenericEvent("shop.order.placed"))
        await manager.send_event(GenericEvent("shop.closed"))
        await eventually(lambda: len(rest.handled) == 2)
        assert orders.events == [GenericEvent("shop.order.placed")]


async def test_what_fails_and_what_is_no_json_is_kept_and_the_consumer_lives_on():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder(failures=[ValueError("no")])
        await manager.subscribe("foo", seen, name="l")
        for number in range(3):
            await manager.send_event(GenericEvent("foo", number))
        await eventually(lambda: len(seen.handled) == 2)
        [letter] = await manager.dead_letters.list()
        assert (letter.cause.type, letter.cause.message, letter.body) == ("builtins.ValueError", "no", b"0")
        assert await manager.dead_letters.replay(letter.id) == 1
        await eventually(lambda: [one.payload for one in seen.handled] == [1, 2, 0])


async def test_at_most_once_is_a_policy():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder(failures=[ValueError("no")])
        one = await manager.subscribe(Counted, seen, name="l", ack=AckPolicy.BEFORE, retry=Retry(attempts=3))
        await manager.send_event(Counted(1))
        await eventually(lambda: one.stats.dropped == 1)
        one.stats.reset()
        assert (one.stats.dropped, one.stats.failures) == (0, 0)


async def test_what_happens_is_in_the_standard_log(caplog):
    caplog.set_level(logging.INFO, "aspyx.event")
    async with EventManager(LocalProvider(), retry=Retry(attempts=2, delay=0.0)) as manager:
        seen = Recorder(failures=[ValueError("no")])
        await manager.subscribe(Counted, seen, name="l")
        await manager.send_event(Counted(1))
        await eventually(lambda: seen.handled)
    assert "'l' failed on event 'vireo.counted'" in caplog.text


async def test_what_a_handler_needs_beside_the_event_travels_in_headers():
    def handler(event: Counted, context: EventContext) -> None:
        seen.append((event.number, context.headers["request"]))

    seen: list[Any] = []
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Counted, handler)
        await manager.send_event(Counted(1), headers={"request": "r-1"})
        await eventually(lambda: seen == [(1, "r-1")])


def test_a_handler_is_subscribed_under_several_names_and_a_queue_serves_one_event():
    manager = EventManager(LocalProvider())
    seen: list[Any] = []
    for name in ("one", "two"):
        manager.subscribe(Counted, seen.append, name=name)
    manager.process(Counted(1))
    assert seen == [Counted(1), Counted(1)]
    with pytest.raises(QueueClashError, match="both claim the queue 'one'"):
        manager.subscribe("vireo.other", seen.append, name="one")
    manager.stop()


def test_a_handler_that_comes_later_takes_its_place_in_the_order():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Counted, lambda event: notes.append("run"), name="run")
    manager.process(Counted(1))
    manager.subscribe(Counted, lambda event: notes.append("before"), name="before", required_by="run")
    manager.process(Counted(2))
    assert notes == ["run", "before", "run"]
    manager.stop()
