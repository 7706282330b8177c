"""An application at a real broker, by both providers: through the container, its queues by name, a broker that dies."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from aspyx.di import Environment, create, module

from aspyx_event import (
    AMQPProvider,
    EventListener,
    EventManager,
    EventModule,
    QueueNaming,
    StompProvider,
    event,
    event_listener,
)
from aspyx_event.testing.conformance import Calls
from aspyx_event.testing.conformance.processes import numbered_event

pytestmark = pytest.mark.broker

PATIENCE = 30.0
PROVIDERS = {"amqp": AMQPProvider, "stomp": StompProvider}
# Declared when the module is imported, so the names must be unique from then on.
PREFIX = f"a{os.getpid() % 10_000}-{uuid.uuid4().hex[:8]}"


@event(name=f"{PREFIX}.greeting", durable=True)
@dataclass
class Greeting:
    number: int
    text: str = ""


class Ledger:
    """What the listeners saw, and the provider the application is to use."""

    provider = None
    calls: Any = None


@event_listener(Greeting, name=f"{PREFIX}.greeter")
class Greeter(EventListener[Greeting]):
    def on(self, event, context):
        Ledger.calls.add((event, context.headers["tenant"]))


@event_listener(Greeting, name=f"{PREFIX}.archive")
class Archive(EventListener[Greeting]):
    async def on(self, event, context):
        Ledger.calls.add((event, context.headers["tenant"]))


@module(imports=[EventModule])
class GreetingModule:
    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(Ledger.provider)


@pytest.fixture(params=PROVIDERS)
def kind(request):
    return PROVIDERS[request.param]


@pytest.fixture
def order(unique):
    return numbered_event(f"{unique}.order", durable=True)


async def test_an_application_in_a_container(kind, arguments, sweep):
    Ledger.provider, Ledger.calls = kind(**arguments("server-1")), Calls(PATIENCE)
    environment = Environment(GreetingModule)
    try:
        await environment.start()
        manager = environment.get(EventManager)
        await manager.send_event(Greeting(1, "gr\u00fc\u00dfe"), headers={"tenant": "a"})
        assert await Ledger.calls.until(2) == [(Greeting(1, "gr\u00fc\u00dfe"), "a")] * 2
    finally:
        await environment.stop()
        await asyncio.to_thread(sweep, PREFIX)


def test_a_plain_script_waits_for_the_broker(kind, arguments, sweep, order, unique):
    """No loop anywhere: `send_event` returns when the broker has confirmed."""
    manager = EventManager(kind(**arguments("server-1")))
    try:
        assert manager.subscribe(order, lambda event: None, name=f"{unique}.listener").attached
        assert manager.send_event(order(1)).done()
    finally:
        asyncio.run(manager.stop())
        sweep(unique)


async def test_queues_have_the_documented_names(kind, arguments, sweep, management, order, unique):
    """`<event>::<listener>[-<server>]`, and with the event in front where the provider is asked for that."""
    calls = Calls(PATIENCE)
    plain = EventManager(kind(**arguments("server-1")))
    qualified = EventManager(kind(**arguments("server-1"), queue_naming=QueueNaming.QUALIFIED))
    try:
        await plain.subscribe(order, calls, name=f"{unique}.listener")
        await plain.subscribe(order, calls, name=f"{unique}.each", per_process=True, resumable=True)
        await plain.subscribe(order, calls, name=f"{unique}.other", group=f"{unique}.group")
        await qualified.subscribe(order, calls, name=f"{unique}.listener")
        queues = await asyncio.to_thread(management.queues_of, f"{unique}.order")
        assert queues == sorted(
            [
                f"{unique}.listener",
                f"{unique}.each-server-1",
                f"{unique}.group",
                f"{unique}.order.{unique}.listener",
            ]
        )
    finally:
        await plain.stop()
        await qualified.stop()
        await asyncio.to_thread(sweep, unique)


async def test_an_application_survives_the_death_of_its_broker(kind, own_broker, order, unique):
    """What was confirmed before the crash and what was sent during it is handled, in order."""
    broker = await asyncio.to_thread(own_broker)
    at = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
    calls = Calls(PATIENCE)
    sender = EventManager(kind(**at, server_name="sender", confirm_timeout=PATIENCE))
    receiver = EventManager(kind(**at, server_name="receiver"))
    try:
        await receiver.subscribe(order, calls, name=f"{unique}.listener")
        await sender.send_event(order(1))
        await calls.until(1)
        await (await receiver.subscribe(order, Calls(PATIENCE), name=f"{unique}.away")).cancel()
        await sender.send_event(order(2))
        await asyncio.to_thread(broker.kill)
        under_way = [sender.send_event(order(number)) for number in range(3, 8)]
        await asyncio.to_thread(broker.start)
        for receipt in under_way:
            await receipt
        away = Calls(PATIENCE)
        await receiver.subscribe(order, away, name=f"{unique}.away")
        await away.until(6)
        assert away.numbers == [2, 3, 4, 5, 6, 7]
        # An acknowledgement may have died with the broker: an event may come twice, but none is missing.
        await calls.when(lambda items: {one.number for one in items} == set(range(1, 8)), "all events")
    finally:
        await sender.stop()
        await receiver.stop()
