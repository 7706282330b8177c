"""Publishing over STOMP to a real broker."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from aspyx_event.exceptions import (
    BufferFullError,
    ConfirmTimeoutError,
    ConnectionLostError,
    HeaderError,
    NoRouteError,
    NotAcceptedError,
)
from aspyx_event.providers.base import AddressKind, Binding
from aspyx_event.providers.stomp import StompProvider

pytestmark = pytest.mark.broker


async def test_headers_and_bytes_arrive_as_they_were_sent(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    headers = {
        "content-type": "application/json",
        "cloudEvents_id": "1",
        "line": "a\nb",
        "colon: back\\slash": "x:y\\z\r",
        "unicode é 漢": "🎉",
        "blanks": "  x ",
        "empty": "",
        "nul": "a\0b",
        "destination": "a name of the protocol",
        "JMSXGroupID": "a name of the broker",
        "header-x": "an escaped name",
    }
    bodies = [b"", bytes(range(256)), b"\0" * 1000, b"\n\n{}\0"]
    for body in bodies:
        await connected.publish(outgoing(unique, body, headers))
    await box.until(len(bodies))
    assert box.bodies == bodies
    for delivery in box.deliveries:
        assert delivery.envelope.headers == headers
        assert delivery.redelivered is False


async def test_large_bodies_pass_both_ways(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True, prefetch=1), box)
    body = os.urandom(20 << 20)
    await connected.publish(outgoing(unique, body))
    await box.until(1)
    assert box.bodies == [body]


async def test_a_message_of_the_same_dedup_id_is_stored_once(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    for body in (b"1", b"again"):
        await connected.publish(outgoing(unique, body, dedup_id=f"{unique}-same"))
    await connected.publish(outgoing(unique, b"2"))
    await box.until(2)
    assert box.bodies == [b"1", b"2"]


async def test_a_delayed_message_comes_later_than_one_sent_after_it(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    start = time.monotonic()
    await connected.publish(outgoing(unique, b"late", delay=0.7))
    await connected.publish(outgoing(unique, b"soon"))
    await box.until(2)
    assert box.bodies == [b"soon", b"late"]
    assert time.monotonic() - start >= 0.65


async def test_an_expired_message_is_not_delivered(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    await (await connected.subscribe(binding, box)).close()
    await connected.publish(outgoing(unique, b"short", ttl=0.05))
    await connected.publish(outgoing(unique, b"long", ttl=600.0))
    await connected.publish(outgoing(unique, b"for ever"))
    await asyncio.sleep(0.2)  # the time to live itself
    await connected.subscribe(binding, box)
    await box.until(2)
    assert box.bodies == [b"long", b"for ever"]


async def test_waiting_messages_of_higher_priority_come_first(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    await (await connected.subscribe(binding, box)).close()
    for body, priority in ((b"low", 1), (b"default", None), (b"high", 9)):
        await connected.publish(outgoing(unique, body, priority=priority))
    await connected.subscribe(binding, box)
    await box.until(3)
    assert box.bodies == [b"high", b"default", b"low"]


async def test_messages_of_one_key_go_to_one_consumer_in_order(broker, provider, inbox, outgoing, unique, until):
    first, second = await provider(broker), await provider(broker)
    boxes = [inbox(), inbox()]
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True, prefetch=1)
    for connected, box in zip((first, second), boxes, strict=True):
        await connected.subscribe(binding, box)
    sent = [(key, number) for number in range(20) for key in ("a", "b", "c", "d")]
    for key, number in sent:
        await first.publish(outgoing(unique, f"{key}{number}".encode(), key=key))
    await until(lambda: sum(len(box.deliveries) for box in boxes) == len(sent))
    for key in "abcd":
        mine = [[body for body in box.bodies if body.startswith(key.encode())] for box in boxes]
        assert sorted(mine) == sorted([[], [f"{key}{number}".encode() for number in range(20)]])


async def test_a_durable_message_survives_the_crash_of_the_broker(own_broker, provider, inbox, outgoing, unique):
    broker = own_broker()
    connected, box = await provider(broker, confirm_timeout=60.0), inbox()
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    await (await connected.subscribe(binding, box)).close()
    await connected.publish(outgoing(unique, b"durable"))
    await connected.publish(outgoing(unique, b"fleeting", durable=False))
    broker.kill()
    await asyncio.to_thread(broker.start)
    await connected.publish(outgoing(unique, b"after"))
    await connected.subscribe(binding, box)
    await box.until(2)
    assert box.bodies == [b"durable", b"after"]


async def test_a_queue_address_keeps_messages_that_nobody_consumes_yet(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.publish(outgoing(unique, b"first", kind=AddressKind.QUEUE))
    await connected.subscribe(Binding(address=unique, queue=unique, kind=AddressKind.QUEUE, durable=True), box)
    await box.until(1)


async def test_one_queue_of_an_address_can_be_sent_to_alone(broker, provider, inbox, outgoing, unique):
    connected, one, other = await provider(broker), inbox(), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.1", durable=True), one)
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.2", durable=True), other)
    # In this order Artemis would send the second one to all queues if it had a destination-type.
    await connected.publish(outgoing(unique, b"all"))
    await connected.publish(outgoing(f"{unique}::{unique}.1", b"one"))
    await connected.publish(outgoing(unique, b"all again"))
    await one.until(3)
    await other.until(2)
    assert one.bodies == [b"all", b"one", b"all again"]
    assert other.bodies == [b"all", b"all again"]


async def test_headers_that_are_too_large_fail_here_and_leave_the_connection_alone(broker, provider, outgoing, unique):
    connected = await provider(broker)
    with pytest.raises(HeaderError, match="limit"):
        await connected.publish(outgoing(unique, b"", {"big": "x" * 300_000}))
    await connected.publish(outgoing(unique))
    assert connected.reconnects == 0


async def test_a_full_address_fails_its_own_messages_and_no_others(own_broker, provider, outgoing, unique):
    full = f"full.{unique}"
    broker = own_broker(address_settings={"full.#": {"max-size-bytes": "20000", "address-full-policy": "FAIL"}})
    connected = await provider(broker)
    await connected.publish(outgoing(full, b"", kind=AddressKind.QUEUE))
    futures = [
        connected.publish(outgoing(full if n % 2 else unique, b"x" * 2000, kind=AddressKind.QUEUE)) for n in range(60)
    ]
    results = await asyncio.gather(*futures, return_exceptions=True)
    refused = [result for result in results[1::2] if result is not None]
    assert [result for result in results[0::2] if result is not None] == []
    assert len(refused) > 10
    assert {type(result) for result in refused} == {NotAcceptedError}
    assert "full" in str(refused[0])
    assert "CoreMessage" not in str(refused[0])
    await connected.publish(outgoing(unique))


async def test_more_than_max_unconfirmed_messages_are_refused(broker, provider, outgoing, unique):
    connected = await provider(broker, max_unconfirmed=10)
    futures = [connected.publish(outgoing(unique)) for _ in range(15)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert results[:10] == [None] * 10
    assert {type(result) for result in results[10:]} == {BufferFullError}
    await connected.publish(outgoing(unique))


async def test_without_a_broker_a_publish_fails_after_confirm_timeout(own_broker, provider, outgoing, unique):
    broker = own_broker()
    connected = await provider(broker, confirm_timeout=0.5)
    broker.kill()
    start = time.monotonic()
    with pytest.raises(ConfirmTimeoutError, match=unique):
        await connected.publish(outgoing(unique))
    assert time.monotonic() - start >= 0.45


async def test_unconfirmed_messages_fail_when_the_provider_stops(own_broker, provider, outgoing, unique):
    broker = own_broker()
    connected = await provider(broker, confirm_timeout=1.0)
    broker.freeze()
    try:
        futures = [connected.publish(outgoing(unique)) for _ in range(3)]
        await connected.stop()
        results = await asyncio.gather(*futures, return_exceptions=True)
    finally:
        broker.thaw()
    assert all(isinstance(result, (ConnectionLostError, ConfirmTimeoutError)) for result in results)
    assert not connected.connected


async def test_stop_sends_what_is_not_confirmed_yet_and_may_be_called_again(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), inbox())
    futures = [connected.publish(outgoing(unique, str(n).encode())) for n in range(100)]
    await connected.stop()
    await connected.stop()
    assert [future.result() for future in futures] == [None] * 100
    with pytest.raises(ConnectionLostError):
        await connected.publish(outgoing(unique))
    await connected.start()
    await connected.publish(outgoing(unique, b"again"))
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    await box.until(1)


def test_a_provider_works_in_one_event_loop_after_the_other(broker, outgoing, unique):
    connected = StompProvider(broker.host, broker.port, broker.user, broker.password)

    async def use():
        await connected.start()
        await connected.publish(outgoing(unique))
        await connected.stop()

    for _ in range(2):
        asyncio.run(use())


async def test_a_cancelled_publish_is_sent_all_the_same(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    connected.publish(outgoing(unique, b"1")).cancel()
    await connected.publish(outgoing(unique, b"2"))
    await box.until(2)


async def test_require_route_refuses_what_the_broker_would_drop(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    with pytest.raises(NoRouteError, match=unique):
        await connected.publish(outgoing(unique, require_route=True))
    with pytest.raises(NoRouteError, match=unique):
        await connected.publish(outgoing(f"{unique}::{unique}.q", require_route=True))
    await connected.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), box)
    await connected.publish(outgoing(unique, b"1", require_route=True))
    await connected.publish(outgoing(f"{unique}::{unique}.q", b"2", require_route=True))
    await connected.publish(outgoing(f"{unique}.q2", b"", kind=AddressKind.QUEUE, require_route=True))
    await box.until(2)
    assert box.bodies == [b"1", b"2"]


@pytest.mark.parametrize(
    ("pattern", "routed"), [("#", True), ("*", True), ("*.*", False), ("x.*", False), ("new.#", True)]
)
async def test_a_wildcard_queue_is_a_route_for_addresses_nobody_used_yet(
    pattern, routed, broker, management, provider, inbox, outgoing, unique
):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=f"{unique}.{pattern}", queue=f"{unique}.all", durable=True), box)
    publishing = connected.publish(outgoing(f"{unique}.new", require_route=True))
    if routed:
        await publishing
        await box.until(1)
    else:
        with pytest.raises(NoRouteError):
            await publishing
        await connected.publish(outgoing(f"{unique}.new"))
        assert box.deliveries == []
        assert management.messages(f"{unique}.all") == 0


async def test_require_route_waits_for_the_broker_as_every_publish_does(own_broker, provider, outgoing, unique):
    broker = own_broker()
    connected = await provider(broker, confirm_timeout=1.0)
    broker.kill()
    with pytest.raises(ConfirmTimeoutError, match=unique):
        await connected.publish(outgoing(unique, require_route=True))


async def test_a_route_is_found_beside_wildcard_addresses_with_any_number_of_wildcards(
    broker, provider, outgoing, unique, management
):
    """The management returns the wildcard addresses of all users of a broker."""
    connected = await provider(broker)
    addresses = [".".join([unique, *["#"] * 400, "x"]), ".".join([unique, *["*", "#", "a"] * 60, "b"])]
    for number, address in enumerate(addresses):
        management.create_queue(f"{unique}-{number}", address, routing_type="MULTICAST")
    try:
        with pytest.raises(NoRouteError):
            await connected.publish(outgoing(".".join([unique, *["a"] * 60]), require_route=True))
        await connected.publish(outgoing(f"{unique}.a.x", require_route=True))
    finally:
        for number in range(len(addresses)):
            management.destroy_queue(f"{unique}-{number}")
