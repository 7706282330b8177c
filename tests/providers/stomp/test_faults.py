"""Crashes, silence, lost receipts and cut connections: nothing that was confirmed is lost."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path

import pytest
from support_stomp import durable

from aspyx_event.providers.base import AddressKind, Binding

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


class Load:
    """Publishes numbered messages from several tasks until it is stopped; keeps what was confirmed and what failed."""

    def __init__(self, connected, outgoing, address, senders=10):
        self.confirmed, self.failed = set(), []
        self._connected, self._outgoing, self._address = connected, outgoing, address
        self._running = True
        self._tasks = [asyncio.create_task(self._send(sender)) for sender in range(senders)]

    async def _send(self, sender):
        number = 0
        while self._running:
            body = f"{sender}-{number}".encode()
            try:
                await self._connected.publish(self._outgoing(self._address, body))
                self.confirmed.add(body)
            except Exception as error:
                self.failed.append(error)
            number += 1
            await asyncio.sleep(0.002)

    async def stop(self):
        self._running = False
        await asyncio.wait_for(asyncio.gather(*self._tasks), 60)


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_nothing_confirmed_is_lost_when_the_broker_crashes_or_restarts(
    end, own_broker, provider, inbox, outgoing, unique, until
):
    broker = own_broker()
    sender = await provider(broker, confirm_timeout=90.0)
    receiver = await provider(broker, heartbeat=2.0)
    box = inbox(ack=False)
    await receiver.subscribe(durable(unique, prefetch=20), box)
    load = Load(sender, outgoing, unique)
    for _ in range(3):
        target = len(load.confirmed) + 150
        await until(lambda target=target: len(load.confirmed) > target, 60)
        held = box.deliveries[-20:]
        await asyncio.to_thread(getattr(broker, end))
        for delivery in held:
            delivery.ack()  # stale ones among them
        await asyncio.to_thread(broker.start)
        for delivery in box.deliveries:
            delivery.ack()
        box.ack = True
        await until(lambda: sender.connected and receiver.connected, 60)
    await load.stop()
    assert load.failed == []
    await until(lambda: load.confirmed <= set(box.bodies), 60)
    assert sender.reconnects >= 3


async def test_a_message_held_when_the_broker_crashes_is_delivered_again(own_broker, provider, inbox, outgoing, unique):
    broker = own_broker()
    connected, box = await provider(broker), inbox(ack=False)
    await connected.subscribe(durable(unique), box)
    await connected.publish(outgoing(unique, b"held"))
    await box.until(1)
    broker.kill()
    await asyncio.to_thread(broker.start)
    await box.until(2)
    box.deliveries[0].ack()  # of the lost connection: nothing happens
    box.deliveries[1].ack()
    await connected.publish(outgoing(unique, b"next"))
    await box.until(3)
    assert box.bodies == [b"held", b"held", b"next"]


async def test_a_lost_receipt_is_noticed_and_the_message_is_not_doubled(
    broker, proxy, provider, inbox, outgoing, unique
):
    middle = await proxy(broker)
    connected = await provider(middle, confirm_timeout=9.0)  # a receipt is overdue after a third of it
    receiver, box = await provider(broker), inbox()
    await receiver.subscribe(durable(unique), box)
    dropped = []

    def drop_three(frame):
        if frame.startswith(b"RECEIPT") and len(dropped) < 3:
            dropped.append(frame)
            return True
        return False

    for number in range(3):
        middle.drop, _ = drop_three, dropped.clear()
        await asyncio.wait_for(
            asyncio.gather(*[connected.publish(outgoing(unique, b"%d-%d" % (number, n))) for n in range(10)]), 60
        )
    await receiver.publish(outgoing(unique, b"last"))
    await box.until(31)
    assert sorted(box.bodies) == sorted([b"%d-%d" % (number, n) for number in range(3) for n in range(10)] + [b"last"])
    assert connected.reconnects >= 3


async def test_a_frozen_broker_is_noticed_and_used_again_when_it_thaws(
    own_broker, provider, inbox, outgoing, unique, until, caplog
):
    broker = own_broker()
    connected, box = await provider(broker, heartbeat=0.5, connect_timeout=1.0, confirm_timeout=60.0), inbox()
    await connected.subscribe(durable(unique), box)
    load = Load(connected, outgoing, unique, senders=3)
    await box.until(30)
    broker.freeze()
    try:
        await until(lambda: any("no data received for" in record.getMessage() for record in caplog.records))
    finally:
        broker.thaw()
    await until(lambda: connected.connected)
    target = len(load.confirmed) + 30
    await until(lambda: len(load.confirmed) > target)
    await load.stop()
    assert load.failed == []
    await until(lambda: load.confirmed <= set(box.bodies))


async def test_an_idle_connection_is_kept_by_heart_beats(broker, provider, outgoing, unique):
    connected = await provider(broker, heartbeat=1.5)
    await asyncio.sleep(5.0)  # the broker ends a connection that is silent for three seconds
    await connected.publish(outgoing(unique))
    assert connected.reconnects == 0


async def test_a_connection_that_an_administrator_closes_is_opened_again(
    own_broker, provider, inbox, outgoing, unique, until
):
    from aspyx_event.testing import Management

    broker = own_broker(users={"app": ("secret", "amq")})
    connected, box = await provider(broker, user="app", password="secret"), inbox()
    await connected.subscribe(durable(unique), box)
    with Management(broker) as management:
        for number in range(3):
            await asyncio.to_thread(management.close_user_connections, "app")
            await until(lambda number=number: connected.reconnects > number)
            await connected.publish(outgoing(unique, b"%d" % number))
            await box.until(number + 1)
        # A queue that is deleted under its consumer is there again afterwards.
        await asyncio.to_thread(management.destroy_queue, f"{unique}.q")
        await until(lambda: connected.reconnects > 3 and management.consumers(f"{unique}.q") == 1)
    await connected.publish(outgoing(unique, b"after"))
    await box.until(4)


async def test_a_paused_consumer_stays_paused_over_a_reconnect(
    broker, management, proxy, provider, inbox, outgoing, unique, until
):
    middle = await proxy(broker)
    connected, box = await provider(middle), inbox()
    consumer = await connected.subscribe(durable(unique), box)
    await consumer.pause()
    middle.cut()
    await until(lambda: connected.reconnects == 1)
    await connected.publish(outgoing(unique))
    assert management.consumers(f"{unique}.q") == 0
    assert box.deliveries == []
    await consumer.resume()
    await box.until(1)


async def test_a_shared_volatile_queue_is_made_again_after_a_lost_connection(
    broker, management, proxy, provider, inbox, outgoing, unique, until
):
    middle = await proxy(broker)
    connected, box = await provider(middle), inbox()
    queue = f"{unique}.news:shared-volatile:global"
    consumer = await connected.subscribe(Binding(address=unique, queue="news"), box)
    middle.cut()
    await until(lambda: connected.reconnects == 1 and management.consumers(queue) == 1)
    await connected.publish(outgoing(unique, durable=False))
    await box.until(1)
    await consumer.close()
    await until(lambda: management.queues_of(unique) == [])


async def test_no_nack_and_no_late_ack_is_ever_sent(broker, proxy, provider, inbox, outgoing, unique, until):
    middle = await proxy(broker)
    connected, box = await provider(middle), inbox(ack=False)
    consumer = await connected.subscribe(durable(unique, prefetch=4), box)
    futures = [connected.publish(outgoing(unique, b"%d" % number)) for number in range(20)]
    await asyncio.gather(*futures)
    await box.until(4)
    for delivery, settle in zip(list(box.deliveries), ("ack", "release", "ack", "release"), strict=True):
        getattr(delivery, settle)()
    await box.until(8)
    await consumer.pause()
    box.deliveries[4].ack()
    box.deliveries[5].release()
    await consumer.resume()
    box.ack = True
    for delivery in list(box.deliveries):
        delivery.ack()
    await until(lambda: len(set(box.bodies)) == 20)
    last = inbox(ack=False)
    other = await connected.subscribe(Binding(address=unique, queue=None), last)
    await connected.publish(outgoing(unique))
    await last.until(1)
    await other.close()
    last.deliveries[0].ack()
    last.deliveries[0].release()
    await connected.stop()
    commands = middle.commands()
    assert b"NACK" not in commands
    assert {b"CONNECT", b"SEND", b"SUBSCRIBE", b"ACK", b"UNSUBSCRIBE", b"DISCONNECT"} == set(commands)
    assert connected.reconnects == 0
    # Everything is left before the connection: what waits unhandled then does not count as an attempt.
    assert commands.index(b"DISCONNECT") == len(commands) - 1


async def test_messages_that_wait_unhandled_never_become_dead_letters_when_providers_come_and_go(
    broker, management, provider, inbox, outgoing, unique
):
    connected = await provider(broker)
    await asyncio.gather(
        *[connected.publish(outgoing(unique, b"%d" % number, kind=AddressKind.QUEUE)) for number in range(30)]
    )
    binding = Binding(address=unique, queue=unique, kind=AddressKind.QUEUE, durable=True, prefetch=30)
    for _ in range(12):
        passing, held = await provider(broker), inbox(ack=False)
        await passing.subscribe(binding, held)
        await held.until(30)
        await passing.stop()
    assert management.messages(unique) == 30


async def test_fifty_cut_connections_leave_nothing_behind(broker, proxy, provider, inbox, outgoing, unique, until):
    middle = await proxy(broker)
    connected, box = await provider(middle, confirm_timeout=60.0), inbox()
    await connected.subscribe(durable(unique), box)
    await connected.subscribe(Binding(address=unique, queue=None), box)
    paused = await connected.subscribe(Binding(address=unique, queue="shared"), box)
    await paused.pause()

    async def cut(times):
        for _ in range(times):
            before = connected.reconnects
            futures = [connected.publish(outgoing(unique)) for _ in range(5)]
            middle.cut(reset=True)
            await until(lambda before=before: connected.reconnects > before)
            await asyncio.wait_for(asyncio.gather(*futures), 60)

    def left():
        gc.collect()
        tasks = [task for task in asyncio.all_tasks() if "Proxy" not in repr(task) and "_pump" not in repr(task)]
        return len(list(Path("/proc/self/fd").iterdir())), len(tasks)

    await cut(5)
    await until(lambda: connected.connected)
    await asyncio.sleep(3.0)  # the connection for questions to the broker is closed when it was idle
    before = left()
    await cut(50)
    await asyncio.sleep(3.0)
    after = left()
    assert after[0] <= before[0] + 4
    assert after[1] <= before[1]
    assert connected.unconfirmed == 0


async def test_a_broker_that_drops_every_connection_is_not_called_in_a_tight_loop(provider, outgoing, unique, caplog):
    calls = []

    async def serve(reader, writer):
        calls.append(writer)
        await reader.readuntil(b"\0")
        writer.write(b"CONNECTED\nversion:1.2\n\n\0")
        await reader.readuntil(b"\0")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.host, server.port = server.sockets[0].getsockname()  # type: ignore[attr-defined]
    caplog.set_level(logging.ERROR)
    connected = await provider(server, confirm_timeout=3.0)
    with pytest.raises(TimeoutError):
        await connected.publish(outgoing(unique))
    assert 2 <= len(calls) < 20
    server.close()
