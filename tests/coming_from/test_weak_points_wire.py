"""What the systems that this one takes over are weak at is not repeated: one test for each point."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from support_core import Recorder, eventually, settle
from support_weak_points import Base, One

from aspyx_event import (
    AMQPProvider,
    EventManager,
    GenericEvent,
    LocalBroker,
    LocalProvider,
    StompProvider,
    SubscriptionHooks,
    event,
)
from aspyx_event.exceptions import UnregisteredEventTypeError

# aspyx-event


def test_aspyx_event_all_providers_can_be_constructed_without_connecting():
    for provider in (AMQPProvider("server-1"), StompProvider()):
        assert not provider.connected
        assert not EventManager(provider).running
    assert not EventManager(LocalProvider()).running


@pytest.mark.broker
@pytest.mark.parametrize("kind", [AMQPProvider, StompProvider])
async def test_aspyx_event_headers_travel_and_vireo_no_connection_is_made_for_each_send(
    kind, broker, management, unique
):
    where = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
    provider = AMQPProvider(unique, **where) if kind is AMQPProvider else StompProvider(**where)
    async with EventManager(provider) as manager:
        seen = Recorder()
        await manager.subscribe(unique, seen, name=f"{unique}.l", resumable=True)
        for number in range(20):
            if number == 1:
                connected = len(management.connections())
            await manager.send_event(GenericEvent(unique, number), headers={"session": f"s-{number}"})
        await eventually(lambda: len(seen.handled) == 20)
        assert [one.headers["session"] for one in seen.contexts] == [f"s-{number}" for number in range(20)]
        assert len(management.connections()) == connected, "a connection for each send"
    for queue in management.queues_of(unique):
        management.destroy_queue(queue, missing_ok=True)


async def test_aspyx_event_each_of_n_listeners_is_called_once():
    async with EventManager(LocalProvider()) as manager:
        seen = [Recorder() for _ in range(3)]
        for number, one in enumerate(seen):
            await manager.subscribe(One, one, name=f"l{number}")
        await manager.send_event(One(1))
        await eventually(lambda: all(one.handled for one in seen))
        await settle()
        assert [len(one.events) for one in seen] == [1, 1, 1]


async def test_aspyx_event_acknowledges_after_handling_and_keeps_what_failed():
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(One, Recorder(failures=[ValueError("no")]), name="l")
        await manager.send_event(One(1))
        await eventually(lambda: manager.stats.dead_letters == 1)
        assert [letter.body for letter in await manager.dead_letters.list()] == [b'{"number":1}']


async def test_aspyx_event_unsubscribe_takes_the_consumer_away():
    house = LocalBroker()
    one, two = EventManager(LocalProvider(broker=house)), EventManager(LocalProvider(broker=house))
    async with one, two:
        gone, stays = Recorder(), Recorder()
        subscription = await one.subscribe(One, gone, name="l")
        await two.subscribe(One, stays, name="l")
        assert await one.unsubscribe(subscription.id)
        for number in range(6):
            await one.send_event(One(number))
        await eventually(lambda: len(stays.handled) == 6)
        assert gone.events == []


class Colour(Enum):
    RED = "red"


@event(name="weak.values")
@dataclass
class Values:
    when: datetime
    colour: Colour
    key: UUID
    raw: bytes
    price: Decimal
    tags: set[str]
    pair: tuple[int, str]
    any_: Any
    maybe: Base | None


async def test_aspyx_event_values_of_all_common_kinds_come_back():
    sent = Values(
        datetime(2026, 1, 1, tzinfo=timezone.utc),
        Colour.RED,
        UUID(int=1),
        b"\x00\xff",
        Decimal("1.10"),
        {"a"},
        (1, "b"),
        [1],
        Base(2),
    )
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder()
        await manager.subscribe(Values, seen, name="l")
        await manager.send_event(sent)
        await eventually(lambda: seen.handled)
        assert seen.events == [sent]
        assert seen.events[0] is not sent


def test_aspyx_event_declarations_of_one_manager_are_no_matter_of_another():
    one, two = EventManager(LocalProvider()), EventManager(LocalProvider())
    one.subscribe(One, lambda event: None, name="l")
    assert two.list_subscriptions() == []
    with pytest.raises(UnregisteredEventTypeError):
        two.events.by_name("weak.one")
    one.stop()


# Vireo


async def test_vireo_a_handler_that_fails_leaves_no_deaf_consumer():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder(failures=[ValueError("no")])
        await manager.subscribe("foo", seen, name="l")
        for number in range(5):
            await manager.send_event(GenericEvent("foo", number))
        await eventually(lambda: [one.payload for one in seen.handled] == [1, 2, 3, 4])


def test_vireo_stop_may_come_from_any_thread_and_ends_all_threads():
    before = set(threading.enumerate())
    manager = EventManager(LocalProvider())
    manager.subscribe("foo", lambda event: None, name="l")
    manager.send_event(GenericEvent("foo"))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: manager.stop(), range(4)))
    assert not manager.running
    left = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("aspyx-event")]
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)


async def test_vireo_pausing_works_and_turns_no_wheel():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder()
        one = await manager.subscribe("foo", seen, name="l")
        await one.pause()
        await manager.send_event(GenericEvent("foo", 1))
        await settle(200)
        assert (seen.events, one.load[:2]) == ([], (0, 0))
        await one.resume()
        await eventually(lambda: seen.handled)


async def test_vireo_a_loss_is_told_once_and_ends_no_process():
    told: list[Any] = []
    hooks = SubscriptionHooks(on_disconnect=lambda subscription, reason: told.append((subscription.name, str(reason))))
    provider = LocalProvider()
    async with EventManager(provider) as manager:
        await manager.subscribe("foo", Recorder(), name="l", hooks=hooks)
        await provider.hooks.on_disconnect(OSError("gone"))
        await asyncio.sleep(0)
        assert told == [("l", "gone")]
        assert manager.running


def test_vireo_a_blocking_join_ends_at_once_without_polling():
    manager = EventManager(LocalProvider())
    manager.subscribe("foo", lambda event: manager.stop() and None, name="l")
    manager.send_event(GenericEvent("foo"))
    assert manager.join(10)


async def test_vireo_what_a_failing_hook_or_handler_says_is_logged_not_raised_elsewhere(caplog):
    caplog.set_level(logging.ERROR, "aspyx.event")
    hooks = SubscriptionHooks(on_error=lambda subscription, error: 1 / 0)
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder(failures=[ValueError("no")])
        await manager.subscribe("foo", seen, name="l", hooks=hooks)
        await manager.send_event(GenericEvent("foo", 1))
        await manager.send_event(GenericEvent("foo", 2))
        await eventually(lambda: seen.handled)
        assert "a hook failed" in caplog.text
