"""Further brokers to fail over to, and an end to reconnecting where that is wanted."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event import ConnectionHooks, EventManager, GenericEvent
from aspyx_event.exceptions import ConnectError, ConnectionLostError
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
    attached = []
    consumer.on_reattach = lambda: attached.append(consumer.attached)
    await provider.publish(outgoing(unique, b"1"))
    await door.shut()
    await provider.publish(outgoing(unique, b"2"))
    await until(lambda: sorted(set(got)) == [1, 2])
    await until(lambda: attached == [True])
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
    gave_up = []
    provider = make(door, max_retries=3, backoff=(0.01, 0.02), confirm_timeout=60.0)
    provider.hooks = ConnectionHooks(on_error=errors.append, on_give_up=gave_up.append)
    await provider.start()
    await door.shut()
    waiting = provider.publish(outgoing(unique))
    await until(lambda: provider.reconnect_exhausted)
    assert not provider.connected
    assert all(isinstance(error, ConnectError) for error in errors)
    assert [type(reason) for reason in gave_up] == [ConnectionLostError]
    # Long before the time limit of a confirmation.
    for sent in (waiting, provider.publish(outgoing(unique)), provider.publish(outgoing(unique, require_route=True))):
        with pytest.raises(ConnectionLostError, match="stopped reconnecting"):
            await asyncio.wait_for(sent, 20)
    with pytest.raises(ConnectError, match="stopped reconnecting"):
        await asyncio.wait_for(provider.subscribe(Binding(address=unique, queue=None), lambda _: None), 20)
    assert provider.unconfirmed == 0
    await asyncio.wait_for(provider.stop(), 20)
    await door.open()
    await provider.start()
    assert not provider.reconnect_exhausted
    await provider.publish(outgoing(unique))
    await provider.stop()


async def test_a_manager_whose_provider_stopped_reconnecting_tells_everybody_who_waits(door, make, unique, until):
    """Sends fail at once, `wait_stopped` raises, and health is not live."""
    manager = EventManager(make(door, max_retries=2, backoff=(0.01, 0.02), confirm_timeout=60.0))
    async with manager:
        waiting = asyncio.create_task(manager.wait_stopped())
        await door.shut()
        with pytest.raises(ConnectionLostError, match="stopped reconnecting"):
            await asyncio.wait_for(waiting, 20)
        with pytest.raises(ConnectionLostError, match="stopped reconnecting"):
            await asyncio.wait_for(manager.wait_stopped(), 20)
        with pytest.raises(ConnectionLostError, match="stopped reconnecting"):
            await asyncio.to_thread(manager.join, 20.0)
        with pytest.raises(ConnectionLostError, match="stopped reconnecting"):
            await asyncio.wait_for(manager.send_event(GenericEvent(unique, 1)), 20)
        health = await manager.health()
        assert not health.live
    assert await manager.wait_stopped(1.0)


async def test_the_log_names_the_broker_that_was_lost_and_the_one_that_was_found(
    door, back_door, connect, unique, until, caplog
):
    caplog.set_level("INFO", "aspyx.event.connection")
    provider = await connect(door, failover=(f"{back_door.host}:{back_door.port}",))
    await door.shut()
    await until(lambda: provider.connected and provider.reconnects == 1)
    await door.open()
    await back_door.shut()
    await until(lambda: provider.connected and provider.reconnects == 2)
    told = [(line.split(":")[0], str(door.port) in line, str(back_door.port) in line) for line in caplog.messages]
    lost = [at for what, *at in told if what.startswith("connection to")]
    found = [at for what, *at in told if what.startswith("connected again")]
    assert (lost, found) == ([[True, False], [False, True]], [[False, True], [True, False]])
