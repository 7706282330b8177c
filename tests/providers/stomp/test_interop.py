"""The provider and clients of other makes read each other."""

from __future__ import annotations

import asyncio

import pytest
import stomp as stomp_py

from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


class _Listener(stomp_py.ConnectionListener):
    def __init__(self):
        self.frames = []

    def on_message(self, frame):
        self.frames.append(frame)


async def test_stomp_py_and_the_provider_read_each_other(broker, provider, inbox, outgoing, unique, until):
    client = stomp_py.StompConnection12([(broker.host, broker.port)], auto_decode=False)
    listener = _Listener()
    client.set_listener("", listener)
    await asyncio.to_thread(client.connect, broker.user, broker.password, wait=True)
    try:
        client.subscribe(f"{unique}::{unique}.py", id="1", ack="auto", headers={"subscription-type": "MULTICAST"})
        connected, box = await provider(broker), inbox()
        await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
        await until(lambda: _consumed(broker, f"{unique}.py"))
        await connected.publish(outgoing(unique, b"\x00\xff", {"tenant": "a:b\nc", "content-type": "x/y"}))
        client.send(unique, "text ü", headers={"destination-type": "MULTICAST", "tenant": "c"}, content_type="t/p")
        await box.until(2)
        await until(lambda: len(listener.frames) == 2)
    finally:
        await asyncio.to_thread(client.disconnect)
    frame = listener.frames[0]
    assert (frame.body, frame.headers["tenant"], frame.headers["content-type"]) == (b"\x00\xff", "a:b\nc", "x/y")
    envelope = box.deliveries[1].envelope
    assert envelope.body == "text ü".encode()
    assert envelope.headers == {"tenant": "c", "content-type": "t/p"}


def _consumed(broker, queue):
    from aspyx_event.testing import Management

    with Management(broker) as management:
        return management.consumers(queue)


async def test_a_message_of_an_amqp_client_arrives_with_its_headers_and_content_type(broker, provider, inbox, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    await asyncio.to_thread(_send_amqp, broker, unique)
    await box.until(2)
    for envelope in (delivery.envelope for delivery in box.deliveries):
        assert envelope.headers == {
            "tenant": "a:b\nc",
            "cloudEvents_id": "7",
            "flag": "true",
            "content-type": "application/json",
        }
    assert box.bodies == [b'{"x": 1}', b"\x01\x02text"]


def _send_amqp(broker, address):
    from proton import Message
    from proton.utils import BlockingConnection

    connection = BlockingConnection(
        f"amqp://{broker.where}", user=broker.user, password=broker.password, allowed_mechs="PLAIN", timeout=20
    )
    sender = connection.create_sender(address)
    for body in ('{"x": 1}', b"\x01\x02text"):
        properties = {"tenant": "a:b\nc", "cloudEvents:id": "7", "flag": True}
        sender.send(
            Message(
                body=body, properties=properties, content_type="application/json", subject="s", id="m-1", durable=True
            )
        )
    connection.close()
