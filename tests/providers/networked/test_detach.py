"""What a consumer holds when it closes goes back to the queue in its order."""

from __future__ import annotations

import pytest

from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


async def test_held_deliveries_return_in_their_order_when_the_consumer_closes(
    broker, connect, outgoing, unique, until, management
):
    provider, held, got = await connect(broker), [], []
    binding = Binding(address=unique, queue=f"{unique}.q", durable=True)
    consumer = await provider.subscribe(binding, held.append)
    for number in range(20):
        await provider.publish(outgoing(unique, b"%d" % number))
    await until(lambda: len(held) == 20)
    for delivery in held[::5]:
        delivery.ack()
    await consumer.close()
    assert all(delivery.stale for number, delivery in enumerate(held) if number % 5)
    for delivery in held:  # settling them changes nothing any more
        delivery.ack()

    def take(delivery):
        got.append(int(delivery.envelope.body))
        delivery.ack()

    await provider.subscribe(binding, take)
    await until(lambda: len(got) == 16)
    assert got == [number for number in range(20) if number % 5]
    await until(lambda: management.messages(f"{unique}.q") == 0)
