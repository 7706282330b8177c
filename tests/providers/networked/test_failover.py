"""Further brokers to fail over to, and an end to reconnecting where that is wanted."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event import ConfirmTimeoutError, ConnectionHooks
from aspyx_event.exceptions import ConnectError
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


async def test_when_one_broker_goes_the_next_one_is_used_with_all_that_was_attached_and_unconfirmed(
    door, back_door, connect, outgoing, unique, until
):
    provider, got = await connect(door, failover=(f"{back_door.host}:{back_door.port}",)), []

    def take(delivery):
        got.append(int(delivery.envelope.body))
        delivery.ack()

    consumer = await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), take)
    await provider.publish(outgoing(unique, b"1"))
    await door.shut()
    await provider.publish(outgoing(unique, b"2"))
    await until(lambda: sorted(set(got)) == [1, 2])
    await until(lambda: consumer.attached)
    assert provider.reconnects == 1
    # And back again.
    await door.open()
    await back_door.shut()
    await provider.publish(outgoing(unique, b"3"))
    await until(lambda: 3 in got)


async def test_a_start_takes_the_first_broker_that_answers(door, back_door, connect, outgoing, unique):
    await door.shut()
    provider = await connect(door, failover=("127.0.0.1:1", f"{back_door.host}:{back_door.port}"))
    await provider.publish(outgoing(unique))


async def test_reconnecting_ends_after_so_many_attempts_and_a_restart_begins_anew(door, make, outgoing, unique, until):
    errors = []
    provider = make(door, max_retries=3, backoff=(0.01, 0.02), confirm_timeout=4.0)
    provider.hooks = ConnectionHooks(on_error=errors.append)
    await provider.start()
    await door.shut()
    await until(lambda: provider.reconnect_exhausted)
    assert not provider.connected
    assert all(isinstance(error, ConnectError) for error in errors)
    with pytest.raises(ConfirmTimeoutError):
        await asyncio.wait_for(provider.publish(outgoing(unique)), 20)
    await asyncio.wait_for(provider.stop(), 20)
    await door.open()
    await provider.start()
    assert not provider.reconnect_exhausted
    await provider.publish(outgoing(unique))
    await provider.stop()
