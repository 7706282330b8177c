"""The local provider as the engine sees it: deliveries, releases, and names of headers on a wire."""

from __future__ import annotations

import pytest

from aspyx_event import Envelope, LocalProvider
from aspyx_event.envelope import SendOptions, header_name, wire_name
from aspyx_event.exceptions import ConnectionLostError
from aspyx_event.providers import AddressKind, Binding, Outgoing
from aspyx_event.testing.conformance.rig import make_outgoing


async def started(taken: list, prefetch: int) -> LocalProvider:
    provider = LocalProvider()
    await provider.start()
    await provider.subscribe(Binding(address="q", queue="q", kind=AddressKind.QUEUE, prefetch=prefetch), taken.append)
    return provider


def message(body: str, key: str | None = None) -> Outgoing:
    headers = {"original": "yes"}
    return make_outgoing("q", body.encode(), headers, dedup_id=body, kind=AddressKind.QUEUE, key=key)


async def test_released_messages_come_again_first_and_say_so():
    provider, taken = LocalProvider(), []
    await provider.start()
    consumer = await provider.subscribe(
        Binding(address="q", queue="q", kind=AddressKind.QUEUE, prefetch=2), taken.append
    )
    for number in range(3):
        envelope = Envelope(str(number).encode())
        await provider.publish(Outgoing(address="q", envelope=envelope, dedup_id=str(number), kind=AddressKind.QUEUE))
    assert [one.envelope.body for one in taken] == [b"0", b"1"]
    taken[0].release()
    taken[0].ack()  # settled once: the second word does not count, least of all for the new delivery
    assert [(one.envelope.body, one.redelivered) for one in taken] == [(b"0", False), (b"1", False), (b"0", True)]
    taken[2].ack()
    taken[1].ack()
    assert taken[3].envelope.body == b"2"
    await consumer.close()
    assert provider.broker.depth("q") == 1
    await consumer.close()
    await provider.stop()
    await provider.stop()


async def test_released_messages_of_a_key_keep_their_order():
    provider, taken = LocalProvider(), []
    await provider.start()
    await provider.subscribe(Binding(address="q", queue="q", kind=AddressKind.QUEUE, prefetch=1), taken.append)
    for number in range(3):
        envelope = Envelope(str(number).encode())
        await provider.publish(
            Outgoing(
                address="q",
                envelope=envelope,
                dedup_id=str(number),
                kind=AddressKind.QUEUE,
                options=SendOptions(key="k"),
            )
        )
    taken[0].release()
    for _ in range(3):
        taken[-1].ack()
    assert [one.envelope.body for one in taken] == [b"0", b"0", b"1", b"2"]


async def test_a_second_delivery_does_not_see_what_the_first_consumer_did_to_it():
    taken: list = []
    provider = await started(taken, 1)
    await provider.publish(message("0"))
    taken[0].envelope.set("original", "changed")
    taken[0].envelope.body = b"changed"
    taken[0].release()
    assert (taken[1].envelope.body, taken[1].envelope.headers) == (b"0", {"original": "yes"})


async def test_a_provider_that_is_not_started_refuses_to_publish():
    provider = LocalProvider()
    with pytest.raises(ConnectionLostError, match="not started"):
        await provider.publish(message("0"))


@pytest.mark.parametrize("name", ["type", "ID", "destination", "JMSXGroupID", "_AMQ_x", "header-x", "x-opt-delay"])
def test_a_header_with_a_name_of_the_protocols_travels_under_another_one(name):
    assert wire_name(name) == f"header-{name}"
    assert header_name(wire_name(name)) == name
    assert header_name(name) in (None, name.removeprefix("header-") if name.startswith("header-") else None)


@pytest.mark.parametrize(
    "wire", ["header-cloudEvents:id", "cloudEvents:id", "header-", "header-header-x", "header-type", "x"]
)
def test_a_received_header_keeps_its_name_when_it_is_sent_again(wire):
    name = header_name(wire)
    assert name is not None
    assert header_name(wire_name(name)) == name


@pytest.mark.parametrize("name", ["tenant", "Content-Type", "aspyx-attempts", "cloudEvents_id"])
def test_other_headers_travel_as_they_are(name):
    assert wire_name(name) == name
    assert header_name(name) == name
