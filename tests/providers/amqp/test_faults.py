"""What the AMQP provider survives: killed, stopped, frozen and restarted brokers, closed connections, deleted links."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path

import cproton
import pytest

from aspyx_event.exceptions import ConfirmTimeoutError, ConnectionLostError, EventException
from aspyx_event.providers.base import AddressKind, Binding

pytestmark = pytest.mark.broker

# A restarted broker takes seconds, and the machine may be busy.
PATIENT = {"confirm_timeout": 60.0, "backoff": (0.05, 0.5), "heartbeat": 1.0}


async def load(providers, outgoing, address, count, arrived, stop):
    """Publish numbers until *stop* is set, *count* at a time; return how many were confirmed."""
    number = 0
    while not stop.is_set():
        batch = [
            providers[n % len(providers)].publish(outgoing(address, str(n))) for n in range(number, number + count)
        ]
        number += count
        await asyncio.gather(*batch)
        await asyncio.sleep(0.005)
    return number


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_nothing_confirmed_is_lost_when_the_broker_ends_and_comes_back(
    own_broker, connect, unique, outgoing, until, how
):
    broker = own_broker()
    sending, receiving = await connect(broker, **PATIENT), await connect(broker, **PATIENT)
    arrived: Counter[int] = Counter()
    held = []

    def consume(delivery):
        # The newest 20 stay unsettled: some are held whenever the broker goes.
        held.append(delivery)
        if len(held) > 20:
            delivery = held.pop(0)
            arrived[int(delivery.envelope.body)] += 1
            delivery.ack()

    for number in (1, 2):
        await receiving.subscribe(
            Binding(address=unique, queue=f"{unique}.{number}", durable=True, prefetch=50), consume
        )
    stop = asyncio.Event()
    publishing = asyncio.ensure_future(load([sending], outgoing, unique, 50, arrived, stop))
    for _ in range(2):
        before = sum(arrived.values())
        await until(lambda before=before: sum(arrived.values()) > before + 500, timeout=60)
        await asyncio.to_thread(getattr(broker, how))
        await asyncio.to_thread(broker.start)
    before = sum(arrived.values())
    await until(lambda: sum(arrived.values()) > before + 500, timeout=60)
    stop.set()
    confirmed = await publishing

    def drain():
        while held:
            delivery = held.pop()
            arrived[int(delivery.envelope.body)] += 1
            delivery.ack()
        return all(arrived[number] >= 2 for number in range(confirmed))

    await until(drain, lambda: f"{sum(arrived[n] < 2 for n in range(confirmed))} of {confirmed} missing", timeout=60)


async def test_a_message_sent_again_after_a_crash_is_stored_once(own_broker, connect, unique, outgoing, until):
    broker = own_broker()
    provider = await connect(broker, **PATIENT)
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True, prefetch=1000)
    await (await provider.subscribe(binding, lambda delivery: None)).close()
    for _ in range(2):
        futures = [provider.publish(outgoing(unique, str(n))) for n in range(2000)]
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await asyncio.gather(*futures)
    arrived: Counter[int] = Counter()

    def consume(delivery):
        arrived[int(delivery.envelope.body)] += 1
        delivery.ack()

    await provider.subscribe(binding, consume)
    await until(lambda: sum(arrived.values()) >= 4000, lambda: sum(arrived.values()))
    assert set(arrived.values()) == {2}


async def test_what_is_published_while_the_broker_is_down_arrives_when_it_is_back(
    own_broker, connect, unique, outgoing, until
):
    broker = own_broker()
    provider, got = await connect(broker, **PATIENT), []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), got.append)
    await asyncio.to_thread(broker.kill)
    await until(lambda: not provider.connected)
    futures = [provider.publish(outgoing(unique, str(n))) for n in range(50)]
    futures += [provider.publish(outgoing(f"{unique}.new", "1", kind=AddressKind.QUEUE))]
    subscribing = asyncio.ensure_future(provider.subscribe(Binding(address=unique, queue=None), lambda delivery: None))
    await asyncio.to_thread(broker.start)
    await asyncio.gather(*futures, subscribing)
    await until(lambda: [int(delivery.envelope.body) for delivery in got] == list(range(50)))


async def confirmed_at_last(provider, message):
    """Publish until it is confirmed: with a short time limit a busy machine may be too slow for the first one."""
    end = asyncio.get_running_loop().time() + 30
    while True:
        try:
            return await provider.publish(message)
        except ConfirmTimeoutError:
            if asyncio.get_running_loop().time() > end:
                raise


async def test_a_publish_the_broker_never_confirms_ends_with_the_timeout_counted_from_the_publish(
    own_broker, connect, unique, outgoing
):
    broker = own_broker()
    provider = await connect(broker, confirm_timeout=1.0, heartbeat=0)
    await confirmed_at_last(provider, outgoing(unique))
    broker.freeze()
    try:
        with pytest.raises(ConfirmTimeoutError, match=f"'{unique}'.*may or may not"):
            await asyncio.wait_for(provider.publish(outgoing(unique)), 30)
        with pytest.raises(ConfirmTimeoutError, match="was not sent"):  # no link to this one yet
            await asyncio.wait_for(provider.publish(outgoing(f"{unique}.new")), 30)
    finally:
        broker.thaw()
    await confirmed_at_last(provider, outgoing(unique))


async def test_a_publish_times_out_while_the_broker_is_down(own_broker, connect, unique, outgoing, until):
    broker = own_broker()
    provider = await connect(broker, confirm_timeout=0.5)
    await asyncio.to_thread(broker.kill)
    await until(lambda: not provider.connected)
    with pytest.raises(ConfirmTimeoutError):
        await provider.publish(outgoing(unique))


async def test_a_silent_broker_is_noticed_by_heartbeat_and_left(own_broker, connect, unique, outgoing, until):
    broker = own_broker()
    provider, got = await connect(broker, **PATIENT), []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), got.append)
    broker.freeze()
    try:
        publishing = provider.publish(outgoing(unique, "1"))
        await until(lambda: not provider.connected)
    finally:
        broker.thaw()
    await publishing
    await until(lambda: len(got) == 1)


def my_connections(management, name):
    return [row["connectionID"] for row in management.connections() if row["clientID"].startswith(f"{name}-")]


async def test_held_deliveries_of_a_closed_connection_come_again_and_settling_the_old_ones_does_nothing(
    connect, unique, outgoing, until, management
):
    provider, other, got = await connect(server_name=unique), await connect(), []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True, prefetch=5), got.append)
    await asyncio.gather(*(other.publish(outgoing(unique, str(n))) for n in range(8)))
    await until(lambda: len(got) == 5)
    for connection in my_connections(management, unique):
        management.op("broker", "closeConnectionWithID", connection)
    await until(lambda: not provider.connected)
    # The window is taken by what is held from the old connection, so nothing comes yet.
    await until(lambda: management.consumers(f"{unique}.q") == 1 and provider.connected)
    await until(lambda: management.messages(f"{unique}.q") == 8)
    assert len(got) == 5
    for delivery in got[:3]:
        delivery.ack()
        delivery.release()
    await until(lambda: len(got) == 8)
    assert management.messages(f"{unique}.q") == 8
    for delivery in list(got):
        delivery.ack()
    await until(lambda: len(got) == 13)
    for delivery in got[8:]:
        delivery.ack()
    await until(lambda: management.messages(f"{unique}.q") == 0)
    assert [int(delivery.envelope.body) for delivery in got[5:]] == list(range(8))
    assert [delivery.redelivered for delivery in got] == [False] * 5 + [True] * 5 + [False] * 3


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files by /proc")
async def test_fifty_closed_connections_lose_nothing_and_leave_nothing_behind(
    connect, unique, outgoing, until, management
):
    provider, arrived = await connect(server_name=unique, **PATIENT), Counter()

    def consume(delivery):
        arrived[int(delivery.envelope.body)] += 1
        delivery.ack()

    for number in range(3):
        await provider.subscribe(Binding(address=unique, queue=f"{unique}.{number}", durable=True), consume)
    await provider.subscribe(Binding(address=unique, queue=None), lambda delivery: delivery.ack())
    stop = asyncio.Event()
    publishing = asyncio.ensure_future(load([provider], outgoing, unique, 20, arrived, stop))
    publishing_too = asyncio.ensure_future(load([provider], outgoing, f"{unique}.else", 20, Counter(), stop))
    before = None
    for round_ in range(52):
        rows = await until(lambda: my_connections(management, unique))
        await asyncio.to_thread(management.op, "broker", "closeConnectionWithID", rows[0])
        await until(lambda rows=rows: rows[0] not in my_connections(management, unique))
        await until(lambda: provider.connected)
        if round_ == 1:
            await until(lambda: sum(arrived.values()) > 100)
            gc.collect()
            before = open_files(), len(asyncio.all_tasks()), cproton.retained_count()
    stop.set()
    confirmed = await publishing
    await publishing_too
    await until(lambda: all(arrived[number] >= 3 for number in range(confirmed)))
    gc.collect()
    after = open_files(), len(asyncio.all_tasks()) + 2, cproton.retained_count()
    # Other connections of this process (management) may come and go.
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1]
    assert after[2] <= before[2] + 2


async def test_stopping_while_the_broker_is_down_ends_and_fails_what_is_unconfirmed(
    own_broker, connect, unique, outgoing, until
):
    broker = own_broker()
    provider = await connect(broker, confirm_timeout=1.0)
    consumer = await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), lambda d: None)
    await asyncio.to_thread(broker.kill)
    await until(lambda: not provider.connected)
    futures = [provider.publish(outgoing(unique)) for _ in range(3)]
    await asyncio.wait_for(provider.stop(), 30)
    await asyncio.wait_for(consumer.close(), 10)
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert {type(result) for result in results} <= {ConnectionLostError, ConfirmTimeoutError}


async def test_stopping_waits_for_confirmations(connect, unique, outgoing):
    provider = await connect()
    futures = [provider.publish(outgoing(unique)) for _ in range(500)]
    await provider.stop()
    assert [future.exception() for future in futures] == [None] * 500


async def test_stopping_a_provider_whose_broker_is_frozen_ends(own_broker, connect, unique, outgoing):
    broker = own_broker()
    provider = await connect(broker, confirm_timeout=1.0, heartbeat=0)
    await provider.subscribe(Binding(address=unique, queue=None), lambda delivery: None)
    broker.freeze()
    try:
        future = provider.publish(outgoing(unique))
        await asyncio.wait_for(provider.stop(), 30)
        assert isinstance(future.exception(), EventException)
    finally:
        broker.thaw()


async def test_a_pending_subscription_fails_when_the_provider_stops(own_broker, connect, unique, until):
    broker = own_broker()
    provider = await connect(broker)
    await asyncio.to_thread(broker.kill)
    await until(lambda: not provider.connected)
    subscribing = asyncio.ensure_future(provider.subscribe(Binding(address=unique, queue=None), lambda d: None))
    await asyncio.sleep(0)
    await provider.stop()
    with pytest.raises(ConnectionLostError):
        await asyncio.wait_for(subscribing, 10)


async def test_nothing_is_left_of_a_stopped_provider(connect, unique, outgoing, management, queues_of, until):
    before = asyncio.all_tasks()
    provider = await connect(server_name=unique)
    await provider.subscribe(Binding(address=unique, queue=None), lambda delivery: None)
    await provider.publish(outgoing(unique))
    await provider.stop()
    assert asyncio.all_tasks() == before
    await until(lambda: not my_connections(management, unique))
    await until(lambda: queues_of(unique) == [])


async def test_a_provider_may_be_started_and_stopped_again_and_at_the_same_time(connect, unique, outgoing, management):
    provider = await connect(server_name=unique)
    await asyncio.gather(provider.start(), provider.start())
    assert len(my_connections(management, unique)) == 1
    for _ in range(3):
        await asyncio.gather(provider.stop(), provider.stop())
        await asyncio.gather(provider.start(), provider.start())
        await provider.publish(outgoing(unique))


async def test_stopping_during_the_start_leaves_no_connection(connect, unique, management, until):
    provider = await connect(server_name=unique)
    await provider.stop()
    starting = asyncio.ensure_future(provider.start())
    await asyncio.sleep(0)
    await provider.stop()
    await asyncio.wait([starting])
    await until(lambda: not my_connections(management, unique))


async def test_a_deleted_address_is_created_again_by_the_next_publish(connect, unique, outgoing, until, management):
    provider = await connect(backoff=(0.05, 0.2))
    await provider.publish(outgoing(unique))
    await asyncio.to_thread(management.op, "broker", "deleteAddress", unique, True)
    await asyncio.gather(*(provider.publish(outgoing(unique)) for _ in range(10)))
