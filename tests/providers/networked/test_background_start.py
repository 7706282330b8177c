"""Managers that start in the background, and a broker that comes later."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from aspyx_event import AMQPProvider, EventConfiguration, EventManager, StompProvider, event, event_handler
from aspyx_event.exceptions import (
    ConfirmTimeoutError,
    ConnectError,
    ConnectionLostError,
    DeclarationError,
)
from aspyx_event.http import cloudevents_endpoint


@event(name="late.order-placed", durable=True)
@dataclass
class OrderPlaced:
    order_id: int


@event(name="late.order-paid", durable=True)
@dataclass
class OrderPaid:
    order_id: int


class Gate:
    """A port that refuses connections until `open` forwards them to a broker."""

    def __init__(self, port: int, target: tuple[str, int]) -> None:
        self.port, self._target = port, target
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _forward(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(*self._target)

        async def copy(source, sink):
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            except ConnectionError:
                pass
            finally:
                sink.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


def free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def provider_at(protocol, port, **options):
    options = {"port": port, "user": "", "password": "", "start_timeout": 0.2, **options}
    return AMQPProvider("late", "127.0.0.1", **options) if protocol == "amqp" else StompProvider("127.0.0.1", **options)


@pytest.fixture(params=["amqp", "stomp"])
def wire(request):
    return request.param


@pytest.mark.broker
async def test_a_manager_starts_when_its_broker_comes(broker, wire, until):
    gate = Gate(free_port(), (broker.host, broker.port))
    got = []
    provider = provider_at(wire, gate.port, user=broker.user, password=broker.password)
    manager = EventManager(provider, start_in_background=True)
    began = time.monotonic()
    await manager.start()
    assert time.monotonic() - began < 1
    subscription = manager.subscribe(OrderPlaced, got.append, name=f"late-{wire}")
    receipts = [manager.send_event(OrderPlaced(number)) for number in range(3)]
    await until(lambda: manager.starting)
    health = await manager.health()
    assert (health.live, health.ready, manager.running) == (True, False, False)
    await gate.open()
    try:
        await subscription
        await asyncio.gather(*receipts)
        await manager.send_event(OrderPlaced(3))
        await until(lambda: len(got) == 4)
        assert [event.order_id for event in got] == [0, 1, 2, 3]
        assert (await manager.health()).ready
        assert manager.running
    finally:
        await manager.stop()
        await gate.close()


async def test_a_send_waits_for_the_first_connection_as_long_as_for_a_lost_one(wire):
    manager = EventManager(provider_at(wire, free_port(), confirm_timeout=0.4), start_in_background=True)
    await manager.start()
    with pytest.raises(ConfirmTimeoutError, match=r"late\.order-placed"):
        await manager.send_event(OrderPlaced(1))
    with pytest.raises(ConnectError, match=r"0\.4 s"):
        await manager.subscribe(OrderPlaced, print, name="late")
    assert len(manager.list_subscriptions()) == 1, "it is attached when the broker comes"
    health = await manager.health()
    assert "refused" in health.reasons[0]
    began = time.monotonic()
    await manager.stop()
    assert time.monotonic() - began < 5


async def test_a_stop_ends_the_start_and_its_waiting_sends(wire):
    manager = EventManager(provider_at(wire, free_port()), start_in_background=True, stop_timeout=0.1)
    await manager.start()
    receipt = manager.send_event(OrderPlaced(1))
    await manager.stop()
    with pytest.raises(Exception, match="stopped"):
        await receipt
    assert not manager.starting


async def test_a_wrong_declaration_fails_the_start_at_once(wire):
    handlers = [
        event_handler(OrderPlaced, name="same")(lambda event: None),
        event_handler(OrderPaid, name="same")(lambda event: None),
    ]
    manager = EventManager(provider_at(wire, free_port()), start_in_background=True, listeners=handlers)
    with pytest.raises(DeclarationError, match="same"):
        await manager.start()
    await manager.stop()


async def test_a_reason_that_does_not_pass_ends_the_start(wire, monkeypatch):
    manager = EventManager(provider_at(wire, free_port()), start_in_background=True)

    class Refused(Exception):
        pass

    async def refuse():
        raise Refused("for good")

    monkeypatch.setattr(manager.provider, "start", refuse)
    await manager.start()
    with pytest.raises(ConnectionLostError, match="for good"):
        await manager.wait_stopped()
    health = await manager.health()
    assert (health.live, health.ready) == (False, False)
    await manager.stop()


async def test_the_configuration_may_ask_for_it_and_the_endpoint_answers_at_once(wire):
    configuration = EventConfiguration.from_mapping({"event": {"start_in_background": True}})
    manager = EventManager(provider_at(wire, free_port()), configuration=configuration)
    await manager.start()
    sent = []

    async def receive():
        return {"type": "http.request", "body": b'{"order_id": 1}', "more_body": False}

    async def send(message):
        sent.append(message)

    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "late.order-placed", "ce-source": "/s"}
    scope = {
        "type": "http",
        "method": "POST",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    began = time.monotonic()
    await cloudevents_endpoint(manager)(scope, receive, send)
    assert sent[0]["status"] == 503
    assert time.monotonic() - began < 2
    await manager.stop()
