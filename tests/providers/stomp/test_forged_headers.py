"""Application properties that bear the names of a MESSAGE frame's own headers."""

from __future__ import annotations

import asyncio
import socket

import pytest
from proton import Message
from proton.utils import BlockingConnection

from aspyx_event.providers.base import Binding
from aspyx_event.providers.stomp.frames import FrameParser
from aspyx_event.providers.stomp.headers import needs_header

#: Every header of a MESSAGE frame of Artemis, of STOMP 1.2, and names that a careless reader takes for one of them.
FORGED = (
    "ack", "subscription", "message-id", "destination", "receipt-id", "receipt", "redelivered", "content-length",
    "content-type", "expires", "priority", "persistent", "timestamp", "reply-to", "correlation-id", "type", "id",
    "heart-beat", "version", "session", "transaction", "selector", "Ack", "ack ", " ack", "ack\n", "ack\r", "ac\\ck", "ack:",
    "JMS_AMQP_HEADER", "JMSXDeliveryCount",
)  # fmt: skip


def _send_amqp(broker, address, properties):
    connection = BlockingConnection(
        f"amqp://{broker.host}:{broker.port}", user=broker.user, password=broker.password, allowed_mechs="PLAIN"
    )
    try:
        sender = connection.create_sender(address)
        for number, forged in enumerate(properties):
            sender.send(Message(body=b"%d" % number, durable=True, properties=forged))
    finally:
        connection.close()


@pytest.mark.broker
async def test_no_application_property_shadows_a_header_of_the_frame(
    broker, provider, inbox, unique, management, until
):
    """Each is acknowledged once, over one connection, and leaves nothing in the queue."""
    connected, box, innocent = await provider(broker), inbox(), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.innocent", durable=True), innocent)
    properties = [{name: value} for name in FORGED for value in ("forged", "0", "")]
    # Repeated, so that the frames are read by a template too.
    properties = [*properties, *[dict.fromkeys(FORGED, "forged")] * 20]
    await asyncio.to_thread(_send_amqp, broker, unique, properties)
    for listener in (box, innocent):
        await listener.until(len(properties))
        assert sorted(listener.bodies) == sorted(b"%d" % number for number in range(len(properties)))
        assert not any(delivery.redelivered for delivery in listener.deliveries)
    assert connected.reconnects == 0
    await until(lambda: management.messages(f"{unique}.q") == management.messages(f"{unique}.innocent") == 0)


@pytest.mark.broker
async def test_a_forged_ack_of_a_stomp_client_shadows_nothing(broker, provider, inbox, unique, management, until):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    frame = (
        f"SEND\ndestination:{unique}\ndestination-type:MULTICAST\nack:forged\nack:again\nmessage-id:forged\n"
        "subscription:forged\nredelivered:true\ncontent-length:1\n\n1\0"
    )
    login = f"CONNECT\naccept-version:1.2\nhost:x\nlogin:{broker.user}\npasscode:{broker.password}\n\n\0"
    with socket.create_connection((broker.host, broker.port)) as client:
        client.sendall((login + 9 * frame).encode())
        await box.until(9)
    assert connected.reconnects == 0
    assert not any(delivery.redelivered for delivery in box.deliveries)
    await until(lambda: management.messages(f"{unique}.q") == 0)


@pytest.mark.parametrize(
    "entries", [("ack:forged", "ack:7,1"), ("ack:7,1", "ack:forged"), ("ack:a", "ack:b", "ack:7,1")]
)
def test_the_repeated_ack_that_equals_the_message_id_counts(entries):
    """In every frame of a series: the first ones are read in full, later ones by a template if there is one."""
    parser = FrameParser(needs_header=needs_header)
    head = "\n".join(["MESSAGE", "subscription:1", "content-length:0", "message-id:7,1", *entries])
    for _ in range(20):
        [frame] = parser.feed(f"{head}\n\n\0".encode())
        assert frame.get("ack") == "7,1"


def test_without_a_repeated_ack_its_own_value_counts():
    """Other brokers write an `ack` that differs from the `message-id`."""
    parser = FrameParser(needs_header=needs_header)
    for _ in range(20):
        [frame] = parser.feed(b"MESSAGE\nsubscription:1\ncontent-length:0\nmessage-id:m\nack:a\n\n\0")
        assert frame.get("ack") == "a"


def test_of_repeated_acks_that_differ_from_the_message_id_the_first_counts():
    """STOMP 1.2, "Repeated Header Entries"."""
    parser = FrameParser(needs_header=needs_header)
    for _ in range(20):
        [frame] = parser.feed(b"MESSAGE\nsubscription:1\ncontent-length:0\nmessage-id:m\nack:a\nack:b\n\n\0")
        assert frame.get("ack") == "a"
