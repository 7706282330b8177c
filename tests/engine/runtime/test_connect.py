"""A manager that is connected and does not listen, and a stop that is hurried."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from support_core import Recorder, eventually, settle

from aspyx_event import EventManager, LocalBroker, LocalProvider, event, event_handler
from aspyx_event.exceptions import ConnectError


@event(name="connect.rang")
@dataclass
class Rang:
    times: int


class Absent(LocalProvider):
    """Nobody answers the first time."""

    tries = 0

    async def start(self):
        self.tries += 1
        if self.tries == 1:
            raise ConnectError("nobody there")
        await super().start()


@pytest.fixture
def heard():
    return Recorder()


def manager_on(provider, heard):
    @event_handler(Rang)
    async def answer(event, context):
        await heard(event, context)

    return EventManager(provider, listeners=[answer])


async def test_a_connected_manager_sends_and_does_not_listen_until_it_is_started(heard):
    manager = manager_on(LocalProvider(), heard)
    await manager.connect()
    (subscription,) = manager.list_subscriptions()
    await manager.send_event(Rang(1))
    await manager.dead_letters.list()
    await settle()
    assert (manager.running, subscription.attached, heard.events) == (True, False, [])
    await manager.start()
    await manager.send_event(Rang(2))
    await eventually(lambda: heard.events == [Rang(2)])
    await manager.stop()


async def test_to_connect_takes_nothing_from_a_manager_that_listens(heard):
    manager = manager_on(LocalProvider(), heard)
    starting = asyncio.ensure_future(manager.start())
    await asyncio.sleep(0)
    await manager.connect()
    await starting
    await manager.connect()
    await manager.send_event(Rang(1))
    await eventually(lambda: heard.events)
    await manager.stop()
    await manager.start()
    (subscription,) = manager.list_subscriptions()
    assert subscription.attached
    await manager.stop()


async def test_after_a_stop_a_manager_may_connect_and_start_again(heard):
    manager = manager_on(LocalProvider(), heard)
    (attached := []).clear()
    for begin in (manager.connect, manager.start, manager.connect):
        await begin()
        attached.append(manager.list_subscriptions()[0].attached)
        await manager.stop()
    assert attached == [False, True, False]


async def test_after_a_failed_attempt_to_connect_an_event_sent_starts_it_listening(heard):
    manager = manager_on(Absent(), heard)
    with pytest.raises(ConnectError):
        await manager.connect()
    await manager.send_event(Rang(1))
    await eventually(lambda: heard.events == [Rang(1)])
    await manager.stop()


async def test_a_hurried_stop_cancels_handlers_and_gives_their_events_back(heard):
    broker, held = LocalBroker(), asyncio.Event()

    @event(name="connect.held", durable=True)
    @dataclass
    class Held:
        pass

    async def hold(event):
        held.set()
        await asyncio.Event().wait()

    manager = EventManager(LocalProvider(broker=broker), stop_timeout=300.0)
    await manager.subscribe(Held, hold, name="hold")
    await manager.send_event(Held())
    await held.wait()
    stopping = asyncio.ensure_future(manager.stop())
    await asyncio.sleep(0)
    await manager.stop(force=True)
    await stopping
    async with EventManager(LocalProvider(broker=broker)) as second:
        await second.subscribe(Held, heard, name="hold")
        await eventually(lambda: len(heard.events) == 1)
