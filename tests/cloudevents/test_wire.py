"""CloudEvents over a real broker: both modes, both protocols, and what plain clients write and read."""

from __future__ import annotations

import asyncio
import json
import queue
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest
import stomp
from cloudevents.core.bindings import amqp as sdk_amqp
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from proton import Message, symbol, timestamp
from proton.utils import BlockingConnection

from aspyx_event import AMQPProvider, DeclarationError, EventManager, StompProvider, event
from aspyx_event.cloudevents import CloudEvent, from_amqp, from_stomp

pytestmark = pytest.mark.broker

PROVIDERS = {"amqp": AMQPProvider, "stomp": StompProvider}
MOMENT = datetime(2018, 4, 5, 17, 31, 0, 123_000, tzinfo=timezone.utc)
PATIENCE = 20


@dataclass
class Reading:
    sensor: str
    value: float


@pytest.fixture
async def start(broker, management, unique):
    """Start a manager: `await start("amqp", content_mode="structured")`."""
    started = []

    async def make(protocol, **options):
        provider = PROVIDERS[protocol](
            server_name=f"{unique}-{len(started)}", host=broker.host, port=broker.port, user=broker.user,
            password=broker.password, **options,
        )  # fmt: skip
        manager = EventManager(provider)
        started.append(manager)
        await manager.start()
        return manager

    yield make
    for manager in started:
        await manager.stop()
    await asyncio.to_thread(management.destroy_queues, unique)


@pytest.fixture
def inbox():
    """A handler that remembers events and contexts."""

    class Inbox:
        def __init__(self):
            self.events, self.contexts = [], []

        def __call__(self, event: CloudEvent, context) -> None:
            self.events.append(event)
            self.contexts.append(context)

    return Inbox()


@pytest.fixture
def proton(broker):
    connection = BlockingConnection(
        f"amqp://{broker.where}", timeout=PATIENCE, user=broker.user, password=broker.password, allowed_mechs="PLAIN"
    )
    yield connection
    connection.close()


@pytest.fixture
def stomp_py(broker):
    connection = stomp.Connection12([(broker.host, broker.port)], auto_decode=False)
    connection.connect(broker.user, broker.password, wait=True)
    yield connection
    connection.disconnect()


def full_event(name: str, **more) -> CloudEvent:
    return CloudEvent(
        type=name, source="/s", subject='Größe "5" 100%\\', time=MOMENT, data={"a": [1, "ü", None, 1.5]}, tenant="blue", count=5, **more
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(("sender", "receiver"), [("amqp", "stomp"), ("stomp", "amqp")])
async def test_an_event_arrives_over_either_protocol_in_either_mode(
    start, inbox, unique, until, sender, receiver, mode
):
    # One of each mode: a receiver understands both, whatever it sends itself.
    sends, receives = await start(sender, content_mode=mode), await start(receiver)
    name = f"{unique}.event"
    await receives.subscribe(name, inbox, name=f"{unique}.inbox")
    events = [
        full_event(name),
        CloudEvent(type=name, source="/s", data=b"\x00\xff", datacontenttype="application/octet-stream"),
        CloudEvent(type=name, source="/s", data="Größe", datacontenttype="text/plain"),
        CloudEvent(type=name, source="/s", time=None),
    ]
    for one in events:
        await sends.send_event(one, headers={"region": "north"}, key="k")
    await until(lambda: len(inbox.events) == 4)
    assert inbox.events == [
        CloudEvent(**{**one.attributes, "time": one.time, "partitionkey": "k"}, **data(one)) for one in events
    ]
    assert {context.headers["region"] for context in inbox.contexts} == {"north"}


def data(one: CloudEvent) -> dict:
    return {"data": one.data} if one.has_data else {}


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_a_declared_class_travels_in_structured_mode(start, unique, until, protocol):
    declared = event(name=f"{unique}.reading", durable=True)(type("Reading", (Reading,), {"__module__": __name__}))
    manager, got = await start(protocol, content_mode="structured"), []
    await manager.subscribe(declared, lambda event, context: got.append((event, context)), name=f"{unique}.inbox")
    receipt = manager.send_event(declared("oven", 220.5), headers={"region": "north"})
    await receipt
    (found, context), *_ = await until(lambda: got)
    assert (found.sensor, found.value) == ("oven", 220.5)
    assert (context.event_id, context.headers["region"]) == (receipt.id, "north")


async def send_proton(proton, address, message):
    await asyncio.to_thread(lambda: proton.create_sender(address, name=f"s{uuid.uuid4()}").send(message))


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
async def test_a_binary_message_of_plain_proton_is_read(start, inbox, proton, unique, until, protocol, prefix):
    manager = await start(protocol)
    await manager.subscribe(f"{unique}.event", inbox, name=f"{unique}.inbox")
    # Artemis cannot hand a native timestamp to a STOMP consumer.
    moment = timestamp(int(MOMENT.timestamp() * 1000)) if protocol == "amqp" else "2018-04-05T17:31:00.123Z"
    attributes = {"specversion": "1.0", "id": "1", "source": "/p", "type": f"{unique}.event", "time": moment, "count": 7, "flag": True}  # fmt: skip
    properties = {f"{prefix}{name}": value for name, value in attributes.items()} | {"region": "north"}
    message = Message(body=b'{"a": 1}', inferred=True, properties=properties, content_type=symbol("application/json"))
    await send_proton(proton, f"{unique}.event", message)
    await until(lambda: inbox.events)
    expected = CloudEvent(
        id="1", source="/p", type=f"{unique}.event", time=MOMENT, datacontenttype="application/json", data={"a": 1}, count="7", flag="true"
    )  # fmt: skip
    assert inbox.events == [expected]
    assert inbox.contexts[0].headers["region"] == "north"


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_what_the_sdk_writes_over_amqp_is_read(start, inbox, proton, unique, until, protocol):
    manager = await start(protocol)
    await manager.subscribe(f"{unique}.event", inbox, name=f"{unique}.inbox")
    attributes = {
        "specversion": "1.0",
        "id": "1",
        "source": "/p",
        "type": f"{unique}.event",
        "time": MOMENT,
        "tenant": "blue",
    }
    for write in (sdk_amqp.to_binary_event, sdk_amqp.to_structured_event):
        made = write(SdkEvent({**attributes, "datacontenttype": "application/json"}, {"a": [1, "ü"]}))
        message = Message(
            body=made.application_data, inferred=True, properties=made.application_properties, content_type=symbol(made.properties["content-type"])
        )  # fmt: skip
        await send_proton(proton, f"{unique}.event", message)
    await until(lambda: len(inbox.events) == 2)
    assert inbox.events == [CloudEvent(**attributes, datacontenttype="application/json", data={"a": [1, "ü"]})] * 2


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_the_sdk_reads_what_is_sent(start, proton, management, unique, protocol, mode):
    manager, name = await start(protocol, content_mode=mode), f"{unique}.event"
    receiver = await asyncio.to_thread(proton.create_receiver, f"{name}::{unique}.raw", name="raw")
    # By its fully qualified name the queue was made without an address of topics, and takes what goes to it.
    sent = full_event(name)
    await manager.send_event(sent, headers={"region": "north"})
    message = await asyncio.to_thread(receiver.receive, timeout=PATIENCE)
    await asyncio.to_thread(receiver.accept)
    properties = dict(message.properties or {})
    assert properties["region"] == "north"
    assert bool({name for name in properties if name.startswith("cloudEvents")}) == (mode == "binary")
    body = bytes(message.body)
    read = sdk_amqp.from_amqp_event(sdk_amqp.AMQPMessage({"content-type": str(message.content_type)}, properties, body))
    assert CloudEvent(**read.get_attributes(), data=read.get_data()) == sent
    assert from_amqp(str(message.content_type), properties, body) == sent


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_what_stomp_py_writes_is_read_in_both_modes(start, inbox, stomp_py, unique, until, protocol):
    manager, name = await start(protocol), f"{unique}.event"
    await manager.subscribe(name, inbox, name=f"{unique}.inbox")
    base = {"specversion": "1.0", "id": "1", "source": "/p", "type": name}
    for prefix in ("cloudEvents_", r"cloudEvents\c"):  # stomp.py escapes values only
        headers = {f"{prefix}{key}": value for key, value in base.items()} | {"region": "north"}
        stomp_py.send(
            name, '{"a": 1}', content_type="application/json", headers={**headers, "destination-type": "MULTICAST"}
        )
    stomp_py.send(
        name, json.dumps({**base, "data": {"a": 1}}), content_type="application/cloudevents+json", headers={"region": "north", "destination-type": "MULTICAST"}
    )  # fmt: skip
    await until(lambda: len(inbox.events) == 3)
    assert inbox.events == [CloudEvent(**base, time=None, datacontenttype="application/json", data={"a": 1})] * 3
    assert {context.headers["region"] for context in inbox.contexts} == {"north"}


class Frames(stomp.ConnectionListener):
    def __init__(self):
        self.frames = queue.Queue()

    def on_message(self, frame):
        self.frames.put(frame)


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_stomp_py_reads_what_is_sent_in_structured_mode(start, stomp_py, management, unique, until, protocol):
    manager, name, frames = await start(protocol, content_mode="structured"), f"{unique}.event", Frames()
    stomp_py.set_listener("frames", frames)
    stomp_py.subscribe(f"{name}::{unique}.raw", "1", headers={"subscription-type": "MULTICAST"})
    await until(lambda: f"{unique}.raw" in management.queues() and management.consumers(f"{unique}.raw"))
    sent = full_event(name)
    await manager.send_event(sent, headers={"region": "north"})
    frame = await asyncio.to_thread(frames.frames.get, timeout=PATIENCE)
    assert from_stomp(frame.headers, frame.body) == sent
    assert frame.headers["region"] == "north"
    assert not [name for name in frame.headers if name.startswith("cloudEvents")]
    # Artemis calls the content type of an AMQP message so.
    kept = frame.headers["content-type" if protocol == "stomp" else "JMS_AMQP_ContentType"]
    assert kept == "application/cloudevents+json"


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_retries_dead_letters_and_replays_work_in_structured_mode(start, unique, until, protocol):
    manager, name, attempts = await start(protocol, content_mode="structured"), f"{unique}.event", []

    async def handler(event: CloudEvent, context) -> None:
        attempts.append(event)
        if len(attempts) < 2:
            raise RuntimeError("not yet")

    subscription = await manager.subscribe(name, handler, name=f"{unique}.inbox", resumable=True)
    sent = full_event(name)
    await manager.send_event(sent)
    await until(lambda: subscription.stats.dead_letters)
    letters = await manager.dead_letters.list()
    assert (letters[0].event_id, json.loads(letters[0].body)) == (sent.id, sent.data)
    await manager.dead_letters.replay_all()
    await until(lambda: len(attempts) == 2)
    assert attempts == [sent, sent]


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_events_of_one_id_from_two_sources_are_two_events(start, inbox, unique, until, protocol):
    manager, name = await start(protocol), f"{unique}.event"
    await manager.subscribe(name, inbox, name=f"{unique}.inbox")
    for source in ("/a", "/b", "/a"):
        await manager.send_event(CloudEvent(type=name, source=source, id="1"))
    await manager.send_event(CloudEvent(type=name, source="/end", id="1"))
    await until(lambda: inbox.events and inbox.events[-1].source == "/end")
    # The same source and id again is the same event, which the broker recognises.
    assert [one.source for one in inbox.events] == ["/a", "/b", "/end"]


@pytest.mark.parametrize("provider", PROVIDERS.values())
def test_an_unknown_content_mode_is_refused(provider):
    with pytest.raises(DeclarationError, match="content_mode"):
        provider(server_name="s", content_mode="batch")


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
async def test_what_a_jms_client_writes_is_read_in_both_modes(start, inbox, proton, unique, until, protocol):
    """A text message: the body is an AMQP value, the content type a property, names have no colon."""
    manager, name = await start(protocol), f"{unique}.event"
    await manager.subscribe(name, inbox, name=f"{unique}.inbox")
    base = {"specversion": "1.0", "id": "1", "source": "/jms", "type": name}
    binary = {f"cloudEvents_{key}": value for key, value in base.items()}
    for content_type, properties, body in (
        ("application/json", binary, '{"a": "ü"}'),
        ("application/cloudevents+json", {}, json.dumps({**base, "data": {"a": "ü"}})),
    ):
        marked = {**properties, "JMS_AMQP_ContentType": content_type, "region": "north"}
        await send_proton(
            proton, name, Message(body=body, properties=marked, annotations={symbol("x-opt-jms-msg-type"): 5})
        )
    await until(lambda: len(inbox.events) == 2)
    assert inbox.events == [CloudEvent(**base, time=None, datacontenttype="application/json", data={"a": "ü"})] * 2
    assert {context.headers["region"] for context in inbox.contexts} == {"north"}
