"""Trace context, correlation and causation on real wires: written for any client, read from any client."""

from __future__ import annotations

import asyncio
import threading

import pytest
import stomp
from proton import Message
from proton.utils import BlockingConnection
from support_core import Recorder, eventually

from aspyx_event import AMQPProvider, EventManager, StompProvider
from aspyx_event.testing.conformance.processes import numbered_event

pytestmark = pytest.mark.broker

PATIENCE = 20.0
PROVIDERS = {"amqp": AMQPProvider, "stomp": StompProvider}
BODY = b'{"number": 7, "text": "x"}'
TRACE, SPAN = 7, 9
HEADERS = {
    "traceparent": f"00-{TRACE:032x}-{SPAN:016x}-01",
    "tracestate": "vendor=a:b",
    "cloudEvents_id": "id-1",
    "cloudEvents_correlationid": "order-4711",
    "cloudEvents_causationid": "id-0",
}
EXTENSION = {f"cloudEvents_{name}" if name.startswith("trace") else name: value for name, value in HEADERS.items()}


def send_amqp(broker, address, headers):
    connection = BlockingConnection(
        f"amqp://{broker.where}", timeout=PATIENCE, user=broker.user, password=broker.password, allowed_mechs="PLAIN"
    )
    connection.create_sender(address).send(Message(body=BODY, inferred=True, durable=True, properties=headers))
    connection.close()


def send_stomp(broker, address, headers):
    confirmed = threading.Event()

    class Listener(stomp.ConnectionListener):
        def on_receipt(self, frame):
            confirmed.set()

    connection = stomp.Connection12([(broker.host, broker.port)], auto_decode=False)
    connection.set_listener("", Listener())
    connection.connect(broker.user, broker.password, wait=True)
    connection.send(address, BODY, headers={"destination-type": "MULTICAST", "receipt": "1", **headers})
    assert confirmed.wait(PATIENCE)
    connection.disconnect()


FOREIGN = {"amqp": send_amqp, "stomp": send_stomp}


@pytest.fixture
async def managers(told, broker, management, unique):
    """One manager per protocol, traced; and what they leave is swept up."""
    at = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
    telemetry = told.telemetry()
    made = {
        name: EventManager(kind(**at, server_name=f"{unique}-{name}"), observers=[telemetry])
        for name, kind in PROVIDERS.items()
    }
    yield made
    for manager in made.values():
        await manager.stop()
    await asyncio.to_thread(management.destroy_queues, unique)


@pytest.mark.parametrize("names", [HEADERS, EXTENSION], ids=["plain", "cloudevents extension"])
@pytest.mark.parametrize("sender", FOREIGN)
async def test_what_a_foreign_client_says_is_read_by_both_protocols(
    told, broker, managers, order, unique, sender, names
):
    seen = {name: Recorder() for name in managers}
    for name, manager in managers.items():
        await manager.subscribe(order, seen[name], name=f"{unique}.{name}")
    await asyncio.to_thread(FOREIGN[sender], broker, f"{unique}.order", names)
    for recorder in seen.values():
        await eventually(lambda recorder=recorder: recorder.handled)  # type: ignore[misc]
        (context,) = recorder.contexts
        assert (context.event_id, context.correlation_id, context.causation_id) == ("id-1", "order-4711", "id-0")
    processes = await eventually(lambda: len(told.named(f"process {unique}.order")) == 2 and told.spans)
    for span in processes:
        assert (span.context.trace_id, span.context.trace_state["vendor"]) == (TRACE, "a:b")
    for span in told.named(f"process {unique}.order"):
        assert span.parent.span_id == SPAN
        assert span.attributes["messaging.message.conversation_id"] == "order-4711"


async def test_a_foreign_event_that_says_nothing_begins_its_own_trace(told, broker, managers, order, unique):
    seen = Recorder()
    await managers["amqp"].subscribe(order, seen, name=f"{unique}.listener")
    await asyncio.to_thread(send_amqp, broker, f"{unique}.order", {})
    await eventually(lambda: told.named(f"settle {unique}.order"))
    process = told.one(f"process {unique}.order")
    assert process.parent is None
    assert not process.links
    assert "messaging.message.id" not in process.attributes
    assert (seen.contexts[0].correlation_id, seen.contexts[0].causation_id) == ("", "")


@pytest.mark.parametrize(("first", "second"), [("amqp", "stomp"), ("stomp", "amqp")])
async def test_a_chain_of_events_over_both_protocols_is_one_trace(told, managers, order, unique, first, second):
    """One sends by one protocol, the listener answers by the other."""
    answer = numbered_event(f"{unique}.answer", durable=True)
    got = Recorder()

    async def reply(event):
        await managers[first].send_event(answer(event.number))

    await managers[second].subscribe(order, reply, name=f"{unique}.replier")
    await managers[second].subscribe(answer, got, name=f"{unique}.got")
    receipt = managers[first].send_event(order(1))
    await receipt
    await eventually(lambda: told.named(f"settle {unique}.answer"))
    assert len({span.context.trace_id for span in told.spans}) == 1
    assert {span.attributes["network.protocol.name"] for span in told.spans} == {"amqp", "stomp"}
    (context,) = got.contexts
    assert (context.correlation_id, context.causation_id) == (receipt.id, receipt.id)
    assert context.headers["cloudEvents_correlationid"] == receipt.id
