"""Messages of other clients: plain proton over AMQP, and STOMP, in both directions."""

from __future__ import annotations

import asyncio
import json

import pytest
from proton import Message, symbol, timestamp
from proton.utils import BlockingConnection

from aspyx_event.envelope import CE_ID, CONTENT_TYPE
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


@pytest.fixture
def foreign(broker):
    """A plain client: `foreign.send(address, Message(...))` and `foreign.receive(source)`."""

    class Client:
        def __init__(self):
            self.connection = BlockingConnection(
                f"amqp://{broker.where}", timeout=10, user=broker.user, password=broker.password, allowed_mechs="PLAIN"
            )

        def send(self, address, message):
            self.connection.create_sender(address, name=f"s{id(message)}").send(message)

        def receive(self, source):
            receiver = self.connection.create_receiver(source, name="r")
            message = receiver.receive(timeout=10)
            receiver.accept()
            return message

    client = Client()
    yield client
    client.connection.close()


@pytest.fixture
async def inbox(connect, unique):
    provider, got = await connect(), []

    def consume(delivery):
        got.append(delivery.envelope)
        delivery.ack()

    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), consume)
    return got


BODIES = [
    (Message(body="text ☃"), "text ☃".encode()),
    (Message(body=b"\x00\xff"), b"\x00\xff"),
    (Message(body=b"data section", inferred=True), b"data section"),
    (Message(), b""),
    (Message(body=True), b"true"),
    (Message(body=12345678901), b"12345678901"),
    (Message(body="x" * 300_000), b"x" * 300_000),
]


@pytest.mark.parametrize(("message", "body"), BODIES)
async def test_a_body_of_any_kind_arrives_as_bytes(inbox, foreign, unique, until, message, body):
    await asyncio.to_thread(foreign.send, unique, message)
    await until(lambda: inbox)
    assert inbox[0].body == body
    assert inbox[0].headers == {}


@pytest.mark.parametrize("value", [[1, "two", None], {"a": {"b": [True, 1.5]}}])
async def test_a_list_or_a_map_arrives_as_json(inbox, foreign, unique, until, value):
    await asyncio.to_thread(foreign.send, unique, Message(body=value))
    await until(lambda: inbox)
    assert json.loads(inbox[0].body) == value


async def test_typed_properties_arrive_as_text(inbox, foreign, unique, until):
    properties = {
        "text": "t",
        "int": 7,
        "bool": True,
        "float": 0.5,
        "none": None,
        "when": timestamp(1_700_000_000_000),
        "symbol": symbol("s"),
        "cloudEvents:id": "id-1",
        "JMSXGroupID": "junk",
    }
    message = Message(body=b"{}", properties=properties, content_type="application/json", inferred=True)
    await asyncio.to_thread(foreign.send, unique, message)
    await until(lambda: inbox)
    assert inbox[0].headers == {
        "text": "t",
        "int": "7",
        "bool": "true",
        "float": "0.5",
        "none": "",
        "when": "2023-11-14T22:13:20.000Z",
        "symbol": "s",
        CE_ID: "id-1",
        CONTENT_TYPE: "application/json",
    }


async def test_another_client_reads_what_we_send(connect, foreign, unique, outgoing):
    provider = await connect()
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    await (await provider.subscribe(binding, lambda delivery: None)).close()
    headers = {CE_ID: "id-1", "cloudEvents_type": unique, CONTENT_TYPE: "application/json", "tenant": "t"}
    await provider.publish(outgoing(unique, b'{"a": 1}', headers, key="k", priority=7, dedup_id="d"))
    read = await asyncio.to_thread(foreign.receive, f"{unique}::{unique}.q")
    assert bytes(read.body) == b'{"a": 1}'
    assert (read.id, read.group_id, read.priority, read.durable) == ("id-1", "k", 7, True)
    assert str(read.content_type) == "application/json"
    assert read.properties == {CE_ID: "id-1", "cloudEvents_type": unique, "tenant": "t", "_AMQ_DUPL_ID": "d"}


@pytest.fixture
def stomp_client(broker):
    """A plain STOMP client, and the frames it got."""
    import stomp

    class Listener(stomp.ConnectionListener):
        def __init__(self):
            self.frames, self.receipts = [], []

        def on_message(self, frame):
            self.frames.append(frame)

        def on_receipt(self, frame):
            self.receipts.append(frame.headers["receipt-id"])

    client = stomp.Connection12([(broker.host, broker.port)])
    client.got = Listener()
    client.set_listener("", client.got)
    client.connect(broker.user, broker.password, wait=True)
    yield client
    client.disconnect()


@pytest.mark.parametrize("with_length", [True, False])
async def test_a_message_from_stomp_arrives_without_what_the_broker_adds(
    inbox, stomp_client, unique, until, with_length
):
    stomp_client.auto_content_length = with_length
    stomp_client.transport._auto_content_length = with_length
    headers = {"destination-type": "MULTICAST", "tenant": "a:b\nc", "persistent": "true", CE_ID: "id-1"}
    stomp_client.send(unique, '{"a": "☃"}', content_type="application/json", headers=headers)
    await until(lambda: inbox)
    assert inbox[0].body == '{"a": "☃"}'.encode()
    assert inbox[0].headers == {"tenant": "a:b\nc", CE_ID: "id-1", CONTENT_TYPE: "application/json"}


async def test_a_stomp_client_joins_a_shared_volatile_queue_by_its_name(
    connect, stomp_client, unique, outgoing, until, management, queues_of
):
    provider, got = await connect(), []

    def consume(delivery):
        got.append(delivery.envelope.body.decode())
        delivery.ack()

    consumer = await provider.subscribe(Binding(address=unique, queue="listener"), consume)
    queue = f"{unique}.listener:shared-volatile:global"
    stomp_client.subscribe(
        f"{unique}::{queue}", id="1", ack="auto", headers={"subscription-type": "MULTICAST", "receipt": "r"}
    )
    await until(lambda: stomp_client.got.receipts)
    await asyncio.gather(*(provider.publish(outgoing(unique, str(n), durable=False)) for n in range(20)))
    await until(lambda: len(got) + len(stomp_client.got.frames) == 20)
    assert len(got) == 10
    await consumer.close()
    await until(lambda: queues_of(unique) == [queue])
    await provider.publish(outgoing(unique, "last", durable=False))
    await until(lambda: stomp_client.got.frames[-1].body == "last")
    stomp_client.unsubscribe("1")
    await until(lambda: queue not in management.queues())
