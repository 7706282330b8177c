"""Sending while there is no broker: bounded in messages and bytes, ended by the deadline, and made up for."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from aspyx_event import ConfirmTimeoutError
from aspyx_event.exceptions import BufferFullError, ConnectionLostError
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker
MEGABYTE = 1_000_000


async def outage(door, provider, until):
    await door.shut()
    await until(lambda: not provider.connected)


async def test_an_outage_keeps_so_many_bytes_and_no_more_and_sends_them_when_it_is_over(
    door, connect, outgoing, unique, until
):
    provider, got = await connect(door, max_unconfirmed_bytes=8 * MEGABYTE), []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)

    def take(delivery):
        got.append(delivery.envelope.body[:3])
        delivery.ack()

    await provider.subscribe(binding, take)
    await outage(door, provider, until)
    tracemalloc.start()
    try:
        futures = []
        for number in range(150):
            futures.append(provider.publish(outgoing(unique, b"%03d" % number + bytes(MEGABYTE))))
            await asyncio.sleep(0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert provider.unconfirmed == 7
    # What waits, and what was just being looked at, perhaps in several copies.
    assert most < 20 * MEGABYTE
    for refused in futures[7:]:
        with pytest.raises(BufferFullError, match="max_unconfirmed_bytes"):
            refused.result()
    await door.open()
    await asyncio.wait_for(asyncio.gather(*futures[:7]), 30)
    await until(lambda: len(got) == 7)
    assert got == [b"%03d" % number for number in range(7)]
    assert provider.unconfirmed == 0
    await provider.publish(outgoing(unique, bytes(7 * MEGABYTE)))


async def test_one_message_larger_than_the_bound_is_sent_alone(connect, broker, outgoing, unique):
    provider = await connect(broker, max_unconfirmed_bytes=1000)
    first = provider.publish(outgoing(unique, bytes(5000)))
    with pytest.raises(BufferFullError):
        await provider.publish(outgoing(unique, b"x"))
    await first
    await provider.publish(outgoing(unique, bytes(5000)))


async def test_the_deadline_counts_through_an_outage_and_gives_the_room_back(door, connect, outgoing, unique, until):
    provider = await connect(door, confirm_timeout=4.0, max_unconfirmed=3)
    await outage(door, provider, until)
    futures = [provider.publish(outgoing(unique)) for _ in range(4)]
    results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 30)
    assert [type(result) for result in results] == [ConfirmTimeoutError] * 3 + [BufferFullError]
    assert provider.unconfirmed == 0
    await door.open()
    await until(lambda: provider.connected)
    await asyncio.gather(*(provider.publish(outgoing(unique)) for _ in range(3)))


async def test_stopping_in_an_outage_fails_what_waits(door, connect, outgoing, unique, until):
    provider = await connect(door, confirm_timeout=1.5)
    await outage(door, provider, until)
    waiting = provider.publish(outgoing(unique))
    await asyncio.wait_for(provider.stop(), 20)
    with pytest.raises((ConnectionLostError, ConfirmTimeoutError)):
        await waiting


async def test_large_messages_pass_a_connection_that_takes_them_slowly_in_order(
    connect, broker, outgoing, unique, until
):
    provider, got = await connect(broker), []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)

    def take(delivery):
        got.append(int(delivery.envelope.body[:4]))
        delivery.ack()

    await provider.subscribe(binding, take)
    # Far more than a connection takes at once, with small ones between.
    bodies = [b"%04d" % number + bytes(300_000 if number % 3 else 10) for number in range(90)]
    await asyncio.gather(*(provider.publish(outgoing(unique, body)) for body in bodies))
    await until(lambda: len(got) == 90)
    assert got == list(range(90))


async def test_a_message_that_was_written_to_a_lost_connection_is_not_called_unsent(
    door, connect, outgoing, unique, until, management
):
    """The broker has it; only its confirmation went with the connection."""
    provider = await connect(door, confirm_timeout=4.0)
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True, prefetch=1), lambda _: None)
    await provider.publish(outgoing(unique))
    door.mute = True
    waiting = provider.publish(outgoing(unique))
    await until(lambda: management.messages(f"{unique}.q") == 2)
    await outage(door, provider, until)
    with pytest.raises(ConfirmTimeoutError, match="may or may not") as raised:
        await waiting
    assert "not sent" not in str(raised.value)
