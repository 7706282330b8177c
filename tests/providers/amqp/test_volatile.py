"""Volatile queues that vanish while somebody joins them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from aspyx_event.exceptions import EventException
from aspyx_event.providers.amqp.errors import Condition
from aspyx_event.providers.amqp.volatile import VolatileReceiver
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


async def test_who_joins_a_queue_that_is_just_vanishing_is_not_left_deaf(connect, unique, outgoing, until):
    leaving, joining = await connect(), await connect()
    got: dict[str, int] = {}

    async def hand_over(number: int) -> None:
        address = f"{unique}.{number}"
        binding = Binding(address=address, queue="q", prefetch=10)

        def take(delivery):
            got[address] = got.get(address, 0) + 1
            delivery.ack()

        last = await leaving.subscribe(binding, take)
        closing = asyncio.ensure_future(last.close())
        await asyncio.sleep(number % 8 * 0.0005)
        await joining.subscribe(binding, take)
        await closing
        got.pop(address, None)

    # One after the other: the moments between leaving and vanishing are few, and load moves them.
    for number in range(24):
        await hand_over(number)
    await asyncio.sleep(0.5)  # long enough to look again; nothing shows from outside that it was done
    for number in range(24):
        await joining.publish(outgoing(f"{unique}.{number}", durable=False))
    await until(lambda: len(got) == 24, lambda: f"deaf: {24 - len(got)}")


async def test_a_quiet_consumer_of_a_volatile_queue_gets_each_message_once_and_in_order(
    connect, unique, outgoing, until, queues_of
):
    provider, other, got = await connect(), await connect(), []
    binding = Binding(address=unique, queue="q", prefetch=10)

    def take(delivery):
        got.append(int(delivery.envelope.body))
        delivery.ack()

    consumer = await provider.subscribe(binding, take)
    for number in range(100):  # across the moment at which the consumer looks again
        await other.publish(outgoing(unique, str(number), durable=False)) if number else await asyncio.sleep(0.098)
    await until(lambda: len(got) == 99)
    assert got == list(range(1, 100))
    await consumer.close()
    await until(lambda: queues_of(unique) == [])


@pytest.mark.parametrize(
    "description",
    ["AMQ119010: Address a is being deleted", "AMQ229017: Queue a.q:shared-volatile:global does not exist"],
)
async def test_a_queue_that_vanishes_during_the_attach_is_tried_again_once(description):
    """The moment cannot be met on purpose: the broker deletes the queue between two steps of its own."""
    attempts = []
    owner = SimpleNamespace(attach_later=attempts.append, forget=lambda link: None, container_id="c")
    receiver = VolatileReceiver(
        owner, "a", name="a.q", window=1, consume=lambda delivery: None, subject="a", close_timeout=1.0
    )
    receiver.on_ended(Condition("amqp:not-found", description))
    assert attempts == [receiver]
    assert not receiver.ready.done()
    receiver.on_ended(Condition("amqp:not-found", description))
    with pytest.raises(EventException, match=description[:9]):
        await receiver.ready
