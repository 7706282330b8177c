"""Queues of AMQP consumers: durable, shared and volatile ones, and names that clash."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event.exceptions import ConnectError, PermissionDeniedError, ProviderError, QueueClashError, UnsupportedError
from aspyx_event.providers.base import AddressKind, Binding

pytestmark = pytest.mark.broker


def collect(box):
    def consume(delivery):
        box.append(delivery.envelope.body.decode())
        delivery.ack()

    return consume


async def publish(provider, outgoing, address, count, **options):
    await asyncio.gather(*(provider.publish(outgoing(address, str(n), **options)) for n in range(count)))


async def test_consumers_of_different_queues_get_every_message(connect, unique, outgoing, until):
    provider, one, two = await connect(), [], []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.1", durable=True), collect(one))
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.2", durable=True), collect(two))
    await publish(provider, outgoing, unique, 5)
    await until(lambda: len(one) == len(two) == 5)


@pytest.mark.parametrize("durable", [True, False])
async def test_consumers_of_one_queue_share_its_messages(connect, unique, outgoing, until, durable):
    provider, other, one, two, three = await connect(), await connect(), [], [], []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=durable)
    await provider.subscribe(binding, collect(one))
    await provider.subscribe(binding, collect(two))
    await other.subscribe(binding, collect(three))
    await publish(provider, outgoing, unique, 90)
    await until(lambda: len(one) + len(two) + len(three) == 90)
    assert one
    assert two
    assert three
    assert sorted(map(int, one + two + three)) == list(range(90))


async def test_a_durable_queue_keeps_messages_while_its_consumers_are_away(
    connect, unique, outgoing, until, management
):
    provider, got = await connect(), []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    await (await provider.subscribe(binding, collect(got))).close()
    await publish(provider, outgoing, unique, 3)
    assert management.messages(f"{unique}.q") == 3
    await provider.subscribe(binding, collect(got))
    await until(lambda: got == ["0", "1", "2"])


@pytest.mark.parametrize("queue", [None, "listener"])
async def test_a_volatile_queue_vanishes_with_its_consumer(connect, unique, outgoing, until, queues_of, queue):
    provider, got = await connect(), []
    consumer = await provider.subscribe(Binding(address=unique, queue=queue), collect(got))
    await publish(provider, outgoing, unique, 3, durable=False)
    await until(lambda: len(got) == 3)
    assert len(queues_of(unique)) == 1
    await consumer.close()
    await until(lambda: queues_of(unique) == [])


async def test_a_shared_volatile_queue_stays_until_its_last_consumer_leaves(
    connect, unique, outgoing, until, queues_of
):
    provider, other, one, two = await connect(), await connect(), [], []
    binding = Binding(address=unique, queue="listener")
    first = await provider.subscribe(binding, collect(one))
    second = await other.subscribe(binding, collect(two))
    await first.close()
    await publish(provider, outgoing, unique, 3, durable=False)
    await until(lambda: len(two) == 3)
    await until(lambda: queues_of(unique) == [f"{unique}.listener:shared-volatile:global"])
    await second.close()
    await until(lambda: queues_of(unique) == [])


async def test_consumers_without_a_queue_name_get_every_message_each(connect, unique, outgoing, until):
    provider, one, two = await connect(), [], []
    await provider.subscribe(Binding(address=unique, queue=None), collect(one))
    await provider.subscribe(Binding(address=unique, queue=None), collect(two))
    await publish(provider, outgoing, unique, 4, durable=False)
    await until(lambda: len(one) == len(two) == 4)


@pytest.mark.parametrize("queue", ["a|b", "a%7Cb", "per cent %", "ümlaut/@:,;&=+$'\"()", "x" * 200])
async def test_odd_names_of_volatile_queues_are_kept_apart(connect, unique, outgoing, until, queues_of, queue):
    provider, got, other = await connect(), [], []
    await provider.subscribe(Binding(address=unique, queue=queue), collect(got))
    await provider.subscribe(Binding(address=unique, queue="a"), collect(other))
    assert len(queues_of(unique)) == 2
    await publish(provider, outgoing, unique, 2, durable=False)
    await until(lambda: len(got) == len(other) == 2)


async def test_one_volatile_listener_name_serves_several_events(connect, unique, outgoing, until):
    provider, got = await connect(), []
    await provider.subscribe(Binding(address=f"{unique}.a", queue="listener"), collect(got))
    await provider.subscribe(Binding(address=f"{unique}.b", queue="listener"), collect(got))
    await provider.publish(outgoing(f"{unique}.a", "a"))
    await provider.publish(outgoing(f"{unique}.b", "b"))
    await until(lambda: sorted(got) == ["a", "b"])


async def test_a_volatile_name_that_reads_as_another_one_is_a_clash_and_the_connection_stays_usable(
    connect, unique, outgoing, until
):
    provider, got = await connect(), []
    await provider.subscribe(Binding(address=unique, queue="b.c"), collect(got))
    with pytest.raises(QueueClashError, match="belongs to another address"):
        await provider.subscribe(Binding(address=f"{unique}.b", queue="c"), collect(got))
    await until(lambda: provider.connected)
    await provider.publish(outgoing(f"{unique}.other"))
    await provider.subscribe(Binding(address=f"{unique}.b", queue="d"), collect(got))


async def test_a_queue_name_of_another_address_is_a_clash_that_names_both_and_the_cures(connect, unique, outgoing):
    provider = await connect()
    await provider.subscribe(Binding(address=f"{unique}.a", queue=f"{unique}.q", durable=True), lambda delivery: None)
    with pytest.raises(QueueClashError) as caught:
        await provider.subscribe(
            Binding(address=f"{unique}.b", queue=f"{unique}.q", durable=True, label="Billing"), lambda delivery: None
        )
    for part in (f"'{unique}.q'", f"'{unique}.b'", "Billing", "name=", "QueueNaming.QUALIFIED"):
        assert part in str(caught.value)
    await provider.publish(outgoing(f"{unique}.a"))


async def test_an_address_of_the_other_kind_is_refused(connect, unique, outgoing):
    provider = await connect()
    await provider.publish(outgoing(unique, kind=AddressKind.QUEUE))
    with pytest.raises(UnsupportedError, match=unique):
        await provider.subscribe(Binding(address=unique, queue=None), lambda delivery: None)


@pytest.fixture
def guarded(own_broker):
    allowed = {"consume": ("limited",), "send": ("limited",)}
    return own_broker(users={"limited": ("pw", "limited")}, permissions={"#": allowed, "secret.#": {}})


@pytest.mark.parametrize(
    "binding",
    [
        Binding(address="secret.a", queue="secret.q", durable=True),
        Binding(address="open.a", queue="not.there", durable=True, label="Billing"),
        Binding(address="open.a", queue="listener"),
        Binding(address="open.a", queue=None),
        Binding(address="not.there", queue="not.there", kind=AddressKind.QUEUE),
    ],
)
async def test_a_queue_the_user_may_not_create_or_consume_is_refused(guarded, connect, outgoing, binding):
    admin = await connect(guarded)
    await admin.publish(outgoing("open.a"))
    provider = await connect(guarded, user="limited", password="pw")
    with pytest.raises(PermissionDeniedError) as caught:
        await provider.subscribe(binding, lambda delivery: None)
    assert binding.address in str(caught.value)
    assert binding.label in str(caught.value)
    await provider.publish(outgoing("open.a"))


async def test_rights_to_send_and_consume_suffice_where_the_queues_are_there(guarded, connect, outgoing, until):
    admin, got = await connect(guarded), []
    binding = Binding(address="open.a", queue="open.q", durable=True)
    await (await admin.subscribe(binding, collect(got))).close()
    provider = await connect(guarded, user="limited", password="pw")
    await provider.subscribe(binding, collect(got))
    await provider.publish(outgoing("open.a", "1"))
    await until(lambda: got == ["1"])


async def test_subscribing_while_stopped_is_refused(connect, unique):
    provider = await connect()
    await provider.stop()
    with pytest.raises(ConnectError, match="not started"):
        await provider.subscribe(Binding(address=unique, queue=None), lambda delivery: None)


async def test_a_consumer_whose_queue_was_deleted_comes_back(connect, unique, outgoing, until, management):
    provider, got = await connect(backoff=(0.05, 0.2)), []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), collect(got))
    await publish(provider, outgoing, unique, 1)
    await until(lambda: got == ["0"])
    await asyncio.to_thread(management.destroy_queue, f"{unique}.q")
    await until(lambda: management.consumers(f"{unique}.q") == 1)
    await provider.publish(outgoing(unique, "again"))
    await until(lambda: got == ["0", "again"])


async def test_subscribing_that_nobody_answers_ends_with_the_time_limit(own_broker, connect, unique):
    broker = own_broker()
    provider = await connect(broker, confirm_timeout=1.0, heartbeat=0)
    broker.freeze()
    try:
        with pytest.raises(ProviderError, match=r"not attached within 1 s"):
            await provider.subscribe(Binding(address=unique, queue=None, label="Billing"), lambda delivery: None)
    finally:
        broker.thaw()
