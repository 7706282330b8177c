"""Publishing over AMQP: confirmation, options, bounds and refusals."""

from __future__ import annotations

import asyncio
import time

import pytest

from aspyx_event.exceptions import (
    BufferFullError,
    ConfirmTimeoutError,
    ConnectionLostError,
    NoRouteError,
    NotAcceptedError,
    PermissionDeniedError,
)
from aspyx_event.providers.base import AddressKind, Binding

pytestmark = pytest.mark.broker


@pytest.fixture
async def inbox(connect, unique):
    """A provider, an address with a durable queue, and the deliveries of it, acknowledged."""
    provider = await connect()
    got = []

    def consume(delivery):
        got.append(delivery)
        delivery.ack()

    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), consume)
    return provider, unique, got


async def test_an_envelope_arrives_with_its_headers_and_its_body(inbox, outgoing, until):
    provider, address, got = inbox
    headers = {
        "cloudEvents_id": "id-1",
        "cloudEvents_type": address,
        "content-type": "application/json; charset=utf-8",
        "tenant": "Zürich ☃",
        "with: colon\n": "a:b\\c\r\nd",
        "id": "a name that STOMP uses",
        "_AMQ_ODD": "a name that Artemis uses",
        "empty": "",
        "long": "x" * 5000,
    }
    await provider.publish(outgoing(address, b'{"a": 1}', headers))
    await until(lambda: got)
    assert got[0].envelope.body == b'{"a": 1}'
    assert got[0].envelope.headers == headers
    assert got[0].redelivered is False


async def test_messages_arrive_in_the_order_of_publishing(inbox, outgoing, until):
    provider, address, got = inbox
    await asyncio.gather(*(provider.publish(outgoing(address, str(n))) for n in range(3000)))
    await until(lambda: len(got) == 3000)
    assert [int(delivery.envelope.body) for delivery in got] == list(range(3000))


async def test_a_second_message_of_one_duplicate_id_is_confirmed_and_dropped(inbox, outgoing, until):
    provider, address, got = inbox
    await provider.publish(outgoing(address, "first", dedup_id="same"))
    await provider.publish(outgoing(address, "second", dedup_id="same"))
    await provider.publish(outgoing(address, "third"))
    await until(lambda: len(got) == 2)
    assert [delivery.envelope.body for delivery in got] == [b"first", b"third"]


async def test_a_delayed_message_arrives_after_its_delay(inbox, outgoing, until):
    provider, address, got = inbox
    start = time.monotonic()
    await provider.publish(outgoing(address, "late", delay=1.0))
    await provider.publish(outgoing(address, "now"))
    await until(lambda: len(got) == 2)
    assert [delivery.envelope.body for delivery in got] == [b"now", b"late"]
    assert time.monotonic() - start >= 0.95


async def test_a_message_whose_time_to_live_is_over_is_not_delivered(connect, unique, outgoing, until):
    provider, got = await connect(), []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    consumer = await provider.subscribe(binding, got.append)
    await consumer.close()
    await provider.publish(outgoing(unique, "short", ttl=0.05))
    await provider.publish(outgoing(unique, "long", ttl=60))
    await provider.publish(outgoing(unique, "very long", ttl=90 * 86_400.0))
    await asyncio.sleep(0.3)  # the time that has to pass
    await provider.subscribe(binding, got.append)
    await until(lambda: len(got) == 2)
    assert [delivery.envelope.body for delivery in got] == [b"long", b"very long"]


async def test_waiting_messages_of_a_higher_priority_go_first(connect, unique, outgoing, until):
    provider, got = await connect(), []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    consumer = await provider.subscribe(binding, got.append)
    await consumer.close()
    for name, priority in (("low", 1), ("default", None), ("high", 8)):
        await provider.publish(outgoing(unique, name, priority=priority))
    await provider.subscribe(binding, got.append)
    await until(lambda: len(got) == 3)
    assert [delivery.envelope.body for delivery in got] == [b"high", b"default", b"low"]


async def test_messages_of_one_key_go_to_one_consumer(connect, unique, outgoing, until):
    provider, got = await connect(), ([], [])

    def into(box):
        def consume(delivery):
            box.append(delivery.envelope.body)
            delivery.ack()

        return consume

    for box in got:
        await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True, prefetch=1), into(box))
    for number in range(100):
        await provider.publish(outgoing(unique, f"{number % 5}", key=f"key {number % 5}"))
    await until(lambda: len(got[0]) + len(got[1]) == 100)
    assert not set(got[0]) & set(got[1])


async def test_a_queue_keeps_messages_that_nobody_consumes_yet(connect, unique, outgoing, until):
    provider, got = await connect(), []
    await provider.publish(outgoing(unique, "kept", kind=AddressKind.QUEUE))
    await provider.subscribe(Binding(address=unique, queue=unique, kind=AddressKind.QUEUE, durable=True), got.append)
    await until(lambda: got)
    assert got[0].envelope.body == b"kept"


@pytest.mark.parametrize("size", [200_000, 20 * 1024 * 1024])
async def test_a_large_body_arrives_whole(inbox, outgoing, until, size):
    provider, address, got = inbox
    body = bytes(range(256)) * (size // 256)
    await provider.publish(outgoing(address, body))
    await until(lambda: got, timeout=60)
    assert got[0].envelope.body == body


async def test_only_durable_messages_survive_a_restart(own_broker, connect, unique, outgoing, until):
    broker = own_broker()
    provider, got = await connect(broker), []
    consumer = await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), got.append)
    await consumer.close()
    await provider.publish(outgoing(unique, "volatile", durable=False))
    await provider.publish(outgoing(unique, "durable", durable=True))
    await asyncio.to_thread(broker.restart)
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), got.append)
    await provider.publish(outgoing(unique, "last"))
    await until(lambda: got and got[-1].envelope.body == b"last")
    assert [delivery.envelope.body for delivery in got] == [b"durable", b"last"]


async def test_more_than_max_unconfirmed_messages_are_refused_and_room_comes_back(connect, unique, outgoing):
    provider = await connect(max_unconfirmed=10)
    futures = [provider.publish(outgoing(unique)) for _ in range(12)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 10 + [BufferFullError] * 2
    await provider.publish(outgoing(unique))


async def test_a_publish_that_is_cancelled_after_it_has_left_is_sent(inbox, outgoing, until):
    provider, address, got = inbox
    await provider.publish(outgoing(address, "before"))
    provider.publish(outgoing(address, "cancelled")).cancel()
    await provider.publish(outgoing(address, "after"))
    await until(lambda: len(got) == 3)
    assert [delivery.envelope.body for delivery in got] == [b"before", b"cancelled", b"after"]


async def test_a_full_address_that_refuses_is_reported_and_leaves_other_addresses_alone(
    own_broker, connect, outgoing, until
):
    broker = own_broker(address_settings={"full.#": {"address-full-policy": "FAIL", "max-size-bytes": "20000"}})
    provider = await connect(broker)
    consumer = await provider.subscribe(Binding(address="full.a", queue="full.q", durable=True), lambda delivery: None)
    await consumer.close()
    futures = [provider.publish(outgoing("full.a", b"x" * 1000)) for _ in range(100)]
    last = (await asyncio.gather(*futures, return_exceptions=True))[-1]
    with pytest.raises(NotAcceptedError, match=r"'full\.a'.*full"):
        raise last
    await provider.publish(outgoing("other"))


async def test_a_full_address_that_blocks_ends_in_a_timeout(own_broker, connect, outgoing):
    broker = own_broker(address_settings={"full.#": {"address-full-policy": "BLOCK", "max-size-bytes": "20000"}})
    provider = await connect(broker, confirm_timeout=4.0)
    consumer = await provider.subscribe(Binding(address="full.a", queue="full.q", durable=True), lambda delivery: None)
    await consumer.close()
    futures = [provider.publish(outgoing("full.a", b"x" * 1000)) for _ in range(1500)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert {type(result) for result in results} == {type(None), ConfirmTimeoutError}
    await provider.publish(outgoing("other"))


LIMITED = {"limited": ("pw", "limited"), "sender": ("pw", "senders")}


@pytest.fixture
def guarded(own_broker):
    """`limited` may do nothing below `secret.` and all elsewhere, but for creating what is called `fixed.`."""
    everything = dict.fromkeys(
        ("createNonDurableQueue", "createDurableQueue", "createAddress", "consume", "send", "browse"), ("limited",)
    )
    return own_broker(
        users=LIMITED,
        permissions={"#": everything, "secret.#": {}, "fixed.#": {"send": ("limited",), "consume": ("limited",)}},
    )


@pytest.mark.parametrize("address", ["secret.a", "fixed.a"])
async def test_a_publish_without_the_right_fails_alone_and_a_later_one_tries_again(guarded, connect, outgoing, address):
    provider = await connect(guarded, user="limited", password="pw")
    futures = [provider.publish(outgoing(address)) for _ in range(3)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [PermissionDeniedError] * 3
    assert address in str(results[0])
    await provider.publish(outgoing("open.a"))
    if address == "fixed.a":
        admin = await connect(guarded)
        await admin.publish(outgoing(address))  # creates the address
        await provider.publish(outgoing(address))
    else:
        with pytest.raises(PermissionDeniedError):
            await provider.publish(outgoing(address))


async def test_an_address_the_broker_does_not_create_is_named(own_broker, connect, outgoing):
    broker = own_broker(address_settings={"fixed.#": {"auto-create-addresses": "false", "auto-create-queues": "false"}})
    provider = await connect(broker)
    with pytest.raises(NotAcceptedError, match=r"'fixed\.a'.*does not create it"):
        await provider.publish(outgoing("fixed.a"))
    await provider.publish(outgoing("other"))


async def test_publishing_before_start_and_after_stop_fails_the_future(connect, unique, outgoing):
    provider = await connect()
    await provider.publish(outgoing(unique))
    await provider.stop()
    with pytest.raises(ConnectionLostError, match="not started"):
        await provider.publish(outgoing(unique))
    await provider.start()
    await provider.publish(outgoing(unique))


async def test_a_message_that_needs_a_route_is_refused_where_no_queue_is_bound(inbox, outgoing, unique, until):
    provider, address, got = inbox
    with pytest.raises(NoRouteError, match=f"{unique}.none"):
        await provider.publish(outgoing(f"{unique}.none", require_route=True))
    await provider.publish(outgoing(f"{unique}.none"))  # now there is an address, and still no queue
    with pytest.raises(NoRouteError):
        await provider.publish(outgoing(f"{unique}.none", require_route=True))
    await provider.publish(outgoing(f"{unique}.queue", require_route=True, kind=AddressKind.QUEUE))
    await asyncio.gather(*(provider.publish(outgoing(address, str(n), require_route=True)) for n in range(200)))
    await until(lambda: len(got) == 200)
    assert [int(delivery.envelope.body) for delivery in got] == list(range(200))


async def test_asking_for_a_route_needs_the_right_to_manage_and_says_so(guarded, connect, outgoing):
    provider = await connect(guarded, user="limited", password="pw")
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match="needs the right 'manage'"):
            await provider.publish(outgoing("open.a", require_route=True))
    await provider.publish(outgoing("open.a"))


async def test_asking_for_a_route_survives_a_lost_connection_and_ends_with_the_provider(
    own_broker, connect, unique, outgoing, until
):
    broker = own_broker()
    provider = await connect(broker, confirm_timeout=60)
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), lambda delivery: None)
    await provider.publish(outgoing(unique, require_route=True))
    await asyncio.to_thread(broker.kill)
    futures = [provider.publish(outgoing(unique, require_route=True)) for _ in range(5)]
    futures[0].cancel()
    await asyncio.to_thread(broker.start)
    await asyncio.gather(*futures[1:])
    await asyncio.to_thread(broker.kill)
    await until(lambda: not provider.connected)
    future = provider.publish(outgoing(unique, require_route=True))
    await asyncio.wait_for(provider.stop(), 30)
    with pytest.raises(ConnectionLostError):
        await future
