"""Sends that end before they are confirmed: what had not left is not sent, and errors say what is known."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest

from aspyx_event import EventManager, event
from aspyx_event.exceptions import ConfirmTimeoutError, ConnectionLostError
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


def take_into(bodies):
    def take(delivery):
        bodies.append(delivery.envelope.body)
        delivery.ack()

    return take


@pytest.mark.parametrize("require_route", [False, True])
async def test_a_publish_that_is_cancelled_before_it_leaves_is_not_sent(
    door, connect, outgoing, unique, until, require_route
):
    provider, bodies = await connect(door), []
    await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), take_into(bodies))
    await door.shut()
    await until(lambda: not provider.connected)
    futures = [provider.publish(outgoing(unique, b"%d" % number, require_route=require_route)) for number in range(6)]
    futures[0].cancel()  # before its first step
    await asyncio.sleep(0)
    for future in futures[1::2]:
        future.cancel()
    await door.open()
    await asyncio.gather(futures[2], futures[4])
    await provider.publish(outgoing(unique, b"last"))
    await until(lambda: b"last" in bodies)
    assert sorted(bodies) == [b"2", b"4", b"last"]  # over STOMP, the order with require_route is not kept
    await until(lambda: provider.unconfirmed == 0)


@pytest.mark.parametrize("require_route", [False, True])
async def test_a_send_whose_task_is_cancelled_before_it_leaves_is_not_sent(door, make, unique, until, require_route):
    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int

    async def send(number, **options):
        await manager.send_event(Order(number), require_route=require_route, **options)

    provider, handled = make(door), []
    async with EventManager(provider) as manager:
        await manager.subscribe(Order, handled.append, name=f"{unique}.listener")
        await door.shut()
        await until(lambda: not provider.connected)
        waiting = asyncio.create_task(send(1))
        cancelled = asyncio.create_task(send(2))
        late = asyncio.create_task(send(3, timeout=0.1))
        await asyncio.wait([late])
        assert isinstance(late.exception(), ConfirmTimeoutError)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert cancelled.cancelled()
        await door.open()
        await waiting
        await send(4)
        await until(lambda: Order(4) in handled)
    assert handled == [Order(1), Order(4)]


async def test_the_error_says_whether_a_message_was_sent(door, connect, outgoing, unique, until):
    """A message that had flown is not "not sent", although it waits for the next connection."""
    provider = await connect(door, confirm_timeout=2.0)
    await provider.publish(outgoing(unique))
    door.mute = True
    flown = provider.publish(outgoing(unique))
    await asyncio.sleep(0.3)  # until it is on its way; nothing can be observed, because the broker's answer is lost
    await door.shut()
    await until(lambda: not provider.connected)
    waiting = provider.publish(outgoing(unique))
    with pytest.raises(ConfirmTimeoutError, match=f"{unique}.*may or may not"):
        await flown
    with pytest.raises(ConfirmTimeoutError, match=f"{unique}.*it was not sent"):
        await waiting


async def test_the_error_of_a_stop_names_the_address_and_whether_the_message_was_sent(
    door, connect, outgoing, unique, until
):
    provider = await connect(door, confirm_timeout=1.0)
    await provider.publish(outgoing(unique))
    await door.shut()
    await until(lambda: not provider.connected)
    waiting = provider.publish(outgoing(unique))
    stopping = asyncio.create_task(provider.stop())
    with pytest.raises((ConnectionLostError, ConfirmTimeoutError), match=f"{unique}.*it was not sent"):
        await waiting
    await stopping


async def test_the_log_and_errors_name_the_broker_in_use(door, back_door, connect, unique, until, caplog):
    """After a fail-over it is not the first of the list."""
    caplog.set_level(logging.INFO, "aspyx.event")
    first, second = (f"127.0.0.1:{each.port}" for each in (door, back_door))
    provider = await connect(door, failover=(second,))
    await door.shut()
    await until(lambda: provider.connected and provider.reconnects == 1)
    await until(lambda: any("connected again" in record.getMessage() for record in caplog.records))
    texts = [record.getMessage() for record in caplog.records]
    assert any("lost" in text and first in text for text in texts)
    assert any("connected again" in text and second in text and first not in text for text in texts)
    caplog.clear()
    await back_door.shut()
    await until(lambda: any("lost" in record.getMessage() for record in caplog.records))
    lost = next(record.getMessage() for record in caplog.records if "lost" in record.getMessage())
    assert second in lost
    assert first not in lost
