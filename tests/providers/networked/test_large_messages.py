"""Messages above `max_message_size`: never in memory, never a loop, and no harm to the messages around them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from aspyx_event import AMQPProvider, EventManager, event
from aspyx_event.envelope import CE_ID, CONTENT_TYPE, Envelope
from aspyx_event.exceptions import LimitExceededError
from aspyx_event.providers.base import Binding, Outgoing

pytestmark = pytest.mark.broker

LIMIT = 100_000
JSON = {CONTENT_TYPE: "application/json"}


def number(value, size=0):
    return b'{"number": %d}' % value + b" " * size


async def test_a_message_that_is_too_large_is_not_sent(broker, connect, outgoing, unique):
    provider = await connect(broker, max_message_size=LIMIT)
    with pytest.raises(LimitExceededError, match=r"max_message_size"):
        await provider.publish(outgoing(unique, bytes(LIMIT + 1)))
    await provider.publish(outgoing(unique, bytes(LIMIT - 2000)))
    assert provider.unconfirmed == 0


async def test_a_message_that_is_too_large_costs_neither_the_connection_nor_the_next_event(
    broker, connect, make, management, protocol, unique, until
):
    """AMQP: the broker moves it to its dead-letter-address. STOMP, which cannot reject: a dead letter without a body."""

    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int

    sender, provider, handled = await connect(broker), make(broker, max_message_size=LIMIT), []
    dead = f"{unique}.dead"
    management.create_queue(dead, routing_type="ANYCAST")
    management.op("broker", "addAddressSettings", f"{unique}.order", f'{{"deadLetterAddress": "{dead}"}}')
    async with EventManager(provider) as manager:
        name = f"{unique}.listener"
        await manager.subscribe(Order, handled.append, name=name)
        for value, size in enumerate((0, 3 * LIMIT, 0, 50 * LIMIT, 0)):
            envelope = Envelope(number(value, size), {CE_ID: f"id-{value}", **JSON})
            await sender.publish(
                Outgoing(address=f"{unique}.order", envelope=envelope, dedup_id=uuid.uuid4().hex, durable=True)
            )
        await until(lambda: len(handled) == 3)
        await until(lambda: management.messages(name) == 0)
        letters = await manager.dead_letters.list(name)
        if protocol == "amqp":
            assert letters == []
            assert management.messages(dead) == 2
        else:
            assert [letter.event_id for letter in letters] == ["id-1", "id-3"]
            assert all(letter.body == b"" and letter.attempts == 1 for letter in letters)
            assert "300,013 bytes, 100,000 are the limit (max_message_size)" in letters[0].cause.message
            assert management.messages(dead) == 0
    assert handled == [Order(0), Order(2), Order(4)]
    assert provider.reconnects == 0


async def test_headers_of_megabytes_cost_neither_the_connection_nor_the_next_event(
    broker, connect, outgoing, unique, until
):
    """Artemis takes application properties of any size from AMQP, unless it stores the message, and passes them on."""
    provider, got = await connect(broker), []
    sender = AMQPProvider("sender", broker.host, broker.port, user=broker.user, password=broker.password)
    await sender.start()

    def take(delivery):
        got.append(delivery)
        delivery.ack()

    try:
        await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=True), take)
        await sender.publish(outgoing(unique, b"large", durable=False, headers={"large": "x" * 3_000_000}))
        await sender.publish(outgoing(unique, b"small"))
        await until(lambda: len(got) == 2)
        assert [delivery.envelope.body for delivery in got] == [b"large", b"small"]
        assert len(got[0].envelope.headers["large"]) == 3_000_000
    finally:
        await sender.stop()
    assert provider.reconnects == 0
