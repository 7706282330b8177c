"""AX-71: plain clients of both protocols write events and read them, knowing JSON and the name of the event only."""

from __future__ import annotations

import asyncio
import itertools
import json
import queue
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum

import pytest
import stomp
from cloudevents.core.bindings.amqp import AMQPMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from proton import Message, int32, symbol, timestamp
from proton.utils import BlockingConnection

from aspyx_event import AMQPProvider, EventManager, StompProvider, event
from aspyx_event.testing.conformance import Calls
from aspyx_event.testing.conformance.processes import numbered_event

pytestmark = pytest.mark.broker

PATIENCE = 20.0
PROVIDERS = {"amqp": AMQPProvider, "stomp": StompProvider}


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Order:
    number: int
    total: Decimal
    note: str
    picture: bytes
    placed: datetime
    size: Size
    reference: uuid.UUID
    ratio: float
    tags: list[str]
    parent: Order | None = None


ORDER = Order(
    number=2**53 + 1,
    total=Decimal("9.90"),
    note='gr\u00fc\u00dfe \U0001f600 "\\\n\r\t\x00\x7f\u2028',
    picture=bytes(range(256)),
    placed=datetime(2026, 11, 21, 4, 5, 6, 789000, tzinfo=timezone.utc),
    size=Size.LARGE,
    reference=uuid.UUID("12345678-1234-5678-1234-567812345678"),
    ratio=0.1,
    tags=["a", "", " b "],
)
ORDER.parent = Order(**{**vars(ORDER), "number": 1, "parent": None})
PLAIN = b'{"number": 7, "text": "gr\xc3\xbc\xc3\x9fe"}'


class AMQPClient:
    """proton's blocking client."""

    def __init__(self, arguments):
        self._connection = BlockingConnection(
            f"amqp://{arguments['host']}:{arguments['port']}",
            timeout=PATIENCE,
            user=arguments["user"],
            password=arguments["password"],
            allowed_mechs="PLAIN",
        )
        self._numbers = itertools.count()

    def send(self, address, message):
        # Without a name of its own a second link of one address would never attach.
        self._connection.create_sender(address, name=f"sender-{next(self._numbers)}").send(message)

    def receive(self, source):
        receiver = self._connection.create_receiver(source, name=f"receiver-{next(self._numbers)}")
        message = receiver.receive(timeout=PATIENCE)
        receiver.accept()
        receiver.close()
        return message

    def close(self):
        self._connection.close()


class StompClient(stomp.ConnectionListener):
    """stomp.py's client."""

    def __init__(self, arguments):
        self._frames, self._receipts = queue.Queue(), queue.Queue()
        self._connection = stomp.Connection12([(arguments["host"], arguments["port"])], auto_decode=False)
        self._connection.set_listener("", self)
        self._connection.connect(arguments["user"], arguments["password"], wait=True)

    def on_message(self, frame):
        self._frames.put(frame)

    def on_receipt(self, frame):
        self._receipts.put(frame.headers["receipt-id"])

    def send(self, address, body, headers):
        headers = {"destination-type": "MULTICAST", "persistent": "true", **headers}
        self._connection.send(address, body, headers={**headers, **self._receipt()})
        self._receipts.get(timeout=PATIENCE)

    def receive(self, source):
        headers = {"subscription-type": "MULTICAST", "consumer-window-size": "1"}
        self._connection.subscribe(source, "reader", ack="client-individual", headers=headers)
        frame = self._frames.get(timeout=PATIENCE)
        self._connection.ack(frame.headers["ack"])
        # With receipts: a queue that is destroyed while its reader leaves keeps the broker busy for ten seconds.
        self._connection.unsubscribe("reader", headers=self._receipt())
        self._receipts.get(timeout=PATIENCE)
        return frame

    def close(self):
        self._connection.disconnect()

    def _receipt(self):
        return {"receipt": uuid.uuid4().hex}


@pytest.fixture
def clients(arguments):
    made = {"amqp": AMQPClient(arguments("client")), "stomp": StompClient(arguments("client"))}
    yield made
    for client in made.values():
        client.close()  # type: ignore[attr-defined]


@pytest.fixture
async def managers(arguments, sweep, unique):
    made = {name: EventManager(kind(**arguments(f"{name}-server"))) for name, kind in PROVIDERS.items()}
    yield made
    for manager in made.values():
        await manager.stop()
    await asyncio.to_thread(sweep, unique)


@pytest.fixture
def order_event(unique):
    return numbered_event(f"{unique}.order", durable=True)


async def listeners(managers, target, unique):
    """Return the calls of one listener per protocol."""
    calls = {name: Calls(PATIENCE) for name in managers}
    for name, manager in managers.items():
        await manager.subscribe(target, calls[name], name=f"{unique}.{name}")
    return calls


HEADERS = {
    "tenant": "gr\u00fc\u00dfe \U0001f600",
    "lines": "one\ntwo\r\nthree\\n",
    "colon": ":a:b:",
    "blank": "  both ends  ",
    "empty": "",
    "type": "not the broker's",
    "destination": "elsewhere",
    "JMSCorrelationID": "mine",
    "_AMQ_x": "y",
}


@pytest.mark.parametrize("sender", PROVIDERS)
async def test_an_event_is_equal_whichever_way_it_travelled(managers, unique, sender):
    target = event(name=f"{unique}.order", durable=True)(Order)
    calls = await listeners(managers, target, unique)
    receipt = managers[sender].send_event(ORDER, headers=HEADERS, key="k")
    await receipt
    seen = []
    for receiver in calls.values():
        [call] = await receiver.until(1)
        assert call.event == ORDER
        assert call.context.event_id == receipt.id
        assert {name: call.context.headers[name] for name in HEADERS} == HEADERS
        seen.append(call.context.headers)
    assert seen[0] == seen[1], "the headers tell by which protocol the event came"


BARE = {
    "text": Message(body=PLAIN.decode()),
    "bytes": Message(body=PLAIN),
    "data": Message(body=PLAIN, inferred=True),
    "durable, typed": Message(body=PLAIN, inferred=True, durable=True, content_type="application/json"),
}


@pytest.mark.parametrize("kind", BARE)
async def test_a_plain_amqp_client_needs_json_and_the_name_only(managers, clients, order_event, unique, kind):
    calls = await listeners(managers, order_event, unique)
    await asyncio.to_thread(clients["amqp"].send, f"{unique}.order", BARE[kind])
    for receiver in calls.values():
        [call] = await receiver.until(1)
        assert call.event == order_event(7, "gr\u00fc\u00dfe")
        assert (call.context.event_id, call.context.attempt) == ("", 1)


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}], ids=["no type", "type"])
async def test_a_plain_stomp_client_needs_json_and_the_name_only(managers, clients, order_event, unique, headers):
    calls = await listeners(managers, order_event, unique)
    await asyncio.to_thread(clients["stomp"].send, f"{unique}.order", PLAIN, headers)
    for receiver in calls.values():
        [call] = await receiver.until(1)
        assert call.event == order_event(7, "gr\u00fc\u00dfe")
        assert (call.context.event_id, call.context.headers.get("content-type", "")) == (
            "",
            headers.get("content-type", ""),
        )


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
async def test_a_foreign_cloud_event_keeps_its_attributes(managers, clients, order_event, unique, prefix):
    """Both prefixes of the AMQP binding, and native types for attributes, as far as Artemis hands them to STOMP."""
    calls = await listeners(managers, order_event, unique)
    properties = {
        "specversion": "1.0",
        "id": "id-1",
        "source": "/elsewhere",
        "type": f"{unique}.order",
        "time": "2023-11-14T22:13:20Z",
        "partitionkey": "k",
        "sequence": int32(5),
        "sampled": True,
        "subject": symbol("s"),
    }
    message = Message(body=PLAIN, inferred=True, content_type="application/json")
    message.properties = {prefix + name: value for name, value in properties.items()} | {"tenant": "a", "n": 7}
    await asyncio.to_thread(clients["amqp"].send, f"{unique}.order", message)
    for receiver in calls.values():
        [call] = await receiver.until(1)
        context = call.context
        assert (context.event_id, context.source, context.key) == ("id-1", "/elsewhere", "k")
        assert context.time == "2023-11-14T22:13:20Z"
        assert context.headers["cloudEvents_sequence"] == "5"
        assert context.headers["cloudEvents_sampled"] == "true"
        assert context.headers["cloudEvents_subject"] == "s"
        assert (context.headers["tenant"], context.headers["n"]) == ("a", "7")
        assert context.headers["content-type"] == "application/json"


async def test_the_time_of_a_foreign_event_may_be_a_timestamp(managers, clients, order_event, unique):
    """Over AMQP. Artemis 2.44 cannot give such a message to STOMP (`java.util.Date is not a valid property type`)."""
    calls = await listeners({"amqp": managers["amqp"]}, order_event, unique)
    message = Message(body=PLAIN, inferred=True, properties={"cloudEvents_time": timestamp(1_700_000_000_000)})
    await asyncio.to_thread(clients["amqp"].send, f"{unique}.order", message)
    [call] = await calls["amqp"].until(1)
    assert call.context.time == "2023-11-14T22:13:20.000Z"


async def test_what_the_cloudevents_package_writes_is_an_event(managers, clients, order_event, unique):
    calls = await listeners(managers, order_event, unique)
    attributes = {"type": f"{unique}.order", "source": "/sdk", "datacontenttype": "application/json"}
    made = to_binary_event(CloudEvent(attributes, {"number": 7, "text": "sdk"}))
    properties = made.application_properties
    message = Message(body=made.application_data, inferred=True, content_type=made.properties["content-type"])
    message.properties = properties
    await asyncio.to_thread(clients["amqp"].send, f"{unique}.order", message)
    for receiver in calls.values():
        [call] = await receiver.until(1)
        assert call.event == order_event(7, "sdk")
        assert call.context.event_id == properties["cloudEvents_id"]
        assert call.context.source == "/sdk"


async def _queue(manager, target, unique):
    """Create the durable queue of a listener, leave it, and return the address a plain client reads it by."""
    subscription = await manager.subscribe(target, Calls(PATIENCE), name=f"{unique}.reader")
    await subscription.cancel()
    return f"{unique}.order::{unique}.reader"


@pytest.mark.parametrize("sender", PROVIDERS)
async def test_a_plain_amqp_client_reads_a_valid_cloud_event(managers, clients, order_event, unique, sender):
    """CloudEvents v1.0 in the binary mode of the AMQP binding, as the CloudEvents package understands it."""
    source = await _queue(managers[sender], order_event, unique)
    receipt = managers[sender].send_event(order_event(7, "gr\u00fc\u00dfe"), headers={"tenant": " a:b "}, key="k")
    await receipt
    message = await asyncio.to_thread(clients["amqp"].receive, source)
    content_type = {"content-type": str(message.content_type)} if message.content_type else {}
    read = from_binary_event(AMQPMessage(content_type, message.properties, bytes(message.body)))
    assert (read.get_id(), read.get_type(), read.get_specversion()) == (receipt.id, f"{unique}.order", "1.0")
    assert read.get_source() == f"{sender}-server"
    assert read.get_datacontenttype() == "application/json"
    assert read.get_time().tzinfo is not None
    assert read.get_extension("partitionkey") == "k"
    assert read.get_data() == {"number": 7, "text": "gr\u00fc\u00dfe"}
    assert message.properties["tenant"] == " a:b "
    assert message.durable
    assert message.group_id == "k"


@pytest.mark.parametrize("sender", PROVIDERS)
async def test_a_plain_stomp_client_reads_the_same(managers, clients, order_event, unique, sender):
    source = await _queue(managers[sender], order_event, unique)
    receipt = managers[sender].send_event(order_event(7, "gr\u00fc\u00dfe"), headers={"tenant": " a:b "}, key="k")
    await receipt
    frame = await asyncio.to_thread(clients["stomp"].receive, source)
    headers = frame.headers
    assert json.loads(frame.body) == {"number": 7, "text": "gr\u00fc\u00dfe"}
    assert headers["cloudEvents_id"] == receipt.id
    assert headers["cloudEvents_type"] == f"{unique}.order"
    assert headers["cloudEvents_specversion"] == "1.0"
    assert headers["cloudEvents_source"] == f"{sender}-server"
    assert headers["cloudEvents_partitionkey"] == "k"
    assert headers["tenant"] == " a:b "
    assert headers["persistent"] == "true"
