"""Subscriptions over STOMP on a real broker: which queue, who gets what, what goes back when."""

from __future__ import annotations

import asyncio

import pytest
from support_stomp import durable, numbered, publish_all

from aspyx_event.providers.base import AddressKind, Binding

pytestmark = pytest.mark.broker


async def test_every_queue_gets_all_and_consumers_of_one_queue_share(broker, provider, inbox, outgoing, unique, until):
    first, second = await provider(broker), await provider(broker)
    shared, alone = [inbox(), inbox()], inbox()
    for connected, box in zip((first, second), shared, strict=True):
        await connected.subscribe(durable(unique, prefetch=1), box)
    await first.subscribe(durable(unique, "other"), alone)
    await publish_all(first, outgoing, unique, numbered(40))
    await alone.until(40)
    await until(lambda: sum(len(box.deliveries) for box in shared) == 40)
    assert sorted(shared[0].bodies + shared[1].bodies) == numbered(40)
    assert all(box.deliveries for box in shared)


async def test_a_durable_queue_keeps_messages_while_nobody_consumes(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await (await connected.subscribe(durable(unique), inbox())).close()
    await publish_all(connected, outgoing, unique, numbered(5))
    await connected.subscribe(durable(unique), box)
    await box.until(5)
    assert box.bodies == numbered(5)


async def test_no_more_than_prefetch_deliveries_are_out_at_once(broker, provider, inbox, outgoing, unique, until):
    connected, box = await provider(broker), inbox(ack=False)
    await connected.subscribe(durable(unique, prefetch=7), box)
    await publish_all(connected, outgoing, unique, numbered(30))
    settled = 0
    while settled < 30:
        await box.until(min(30, settled + 7))
        assert len(box.deliveries) - settled <= 7
        box.deliveries[settled].ack()
        settled += 1
    assert box.bodies == numbered(30)


async def test_with_prefetch_one_a_second_consumer_gets_the_next_message(broker, provider, inbox, outgoing, unique):
    connected, busy, free = await provider(broker), inbox(ack=False), inbox()
    await connected.subscribe(durable(unique, prefetch=1), busy)
    await publish_all(connected, outgoing, unique, numbered(10))
    await busy.until(1)
    await connected.subscribe(durable(unique, prefetch=1), free)
    await free.until(9)
    assert free.bodies == numbered(10)[1:]
    busy.deliveries[0].ack()


async def test_a_delivery_is_settled_once(broker, management, provider, inbox, outgoing, unique, until):
    connected, box = await provider(broker), inbox(ack=False)
    await connected.subscribe(durable(unique), box)
    await publish_all(connected, outgoing, unique, numbered(2))
    await box.until(2)
    for delivery in list(box.deliveries):
        delivery.ack()
        delivery.ack()
        delivery.release()
    await until(lambda: management.messages(f"{unique}.q") == 0)
    assert connected.reconnects == 0
    assert len(box.deliveries) == 2


async def test_a_released_message_is_delivered_again_and_in_order(
    broker, management, provider, inbox, outgoing, unique, until
):
    connected, box = await provider(broker), inbox(ack=False)
    await connected.subscribe(durable(unique, prefetch=3), box)
    await publish_all(connected, outgoing, unique, numbered(5))
    await box.until(3)
    box.deliveries[0].envelope.headers["changed"] = "by the consumer"
    for delivery in (box.deliveries[1], box.deliveries[0], box.deliveries[2]):
        delivery.release()
    box.ack = True
    await box.until(8)
    assert box.bodies[3:] == numbered(5)
    assert [delivery.redelivered for delivery in box.deliveries] == [False] * 3 + [True] * 3 + [False] * 2
    assert "changed" not in box.deliveries[3].envelope.headers
    await until(lambda: management.messages(f"{unique}.q") == 0)


async def test_a_consumer_that_releases_everything_does_not_spin(broker, provider, outgoing, unique, until):
    connected, seen = await provider(broker), []

    def refuse(delivery):
        seen.append(delivery)
        delivery.release()

    await connected.subscribe(durable(unique), refuse)
    await connected.publish(outgoing(unique))
    await until(lambda: len(seen) >= 3)
    assert len(seen) < 10


async def test_releasing_is_no_attempt_the_message_never_becomes_a_dead_letter(
    broker, provider, inbox, outgoing, unique
):
    connected, box = await provider(broker), inbox(ack=False)
    await connected.publish(outgoing(unique, kind=AddressKind.QUEUE))
    for _ in range(12):  # Artemis takes a message for poison after ten attempts
        held = inbox(ack=False)
        binding = Binding(address=unique, queue=unique, kind=AddressKind.QUEUE, durable=True)
        consumer = await connected.subscribe(binding, held)
        await held.until(1)
        held.deliveries[0].release()
        await consumer.close()
    await connected.subscribe(binding, box)
    await box.until(1)


async def test_closing_a_consumer_gives_back_what_it_holds(broker, provider, inbox, outgoing, unique):
    connected, box, next_box = await provider(broker), inbox(ack=False), inbox()
    consumer = await connected.subscribe(durable(unique, prefetch=2), box)
    await publish_all(connected, outgoing, unique, numbered(5))
    await box.until(2)
    await consumer.close()
    await consumer.close()
    for delivery in box.deliveries:
        delivery.ack()  # stale: an ACK would end the connection
    await connected.subscribe(durable(unique), next_box)
    await next_box.until(5)
    assert next_box.bodies == numbered(5)
    assert connected.reconnects == 0
    assert len(box.deliveries) == 2


async def test_a_paused_consumer_leaves_the_rest_to_others_and_settles_what_it_has(
    broker, management, provider, inbox, outgoing, unique, until
):
    connected, box, other = await provider(broker), inbox(ack=False), inbox()
    consumer = await connected.subscribe(durable(unique, prefetch=3), box)
    await publish_all(connected, outgoing, unique, numbered(20))
    await box.until(3)
    await consumer.pause()
    await consumer.pause()
    other_consumer = await connected.subscribe(durable(unique), other)
    for delivery in box.deliveries:
        delivery.ack()
    await other.until(17)
    assert sorted(other.bodies) == numbered(20)[3:]
    assert len(box.deliveries) == 3
    await until(lambda: management.messages(f"{unique}.q") == 0)
    await other_consumer.close()
    await publish_all(connected, outgoing, unique, [b"later"])
    box.ack = True
    await consumer.resume()
    await consumer.resume()
    await box.until(4)
    assert box.bodies[3] == b"later"
    assert connected.reconnects == 0


async def test_a_consumer_resumed_before_it_could_leave_goes_on(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox(ack=False)
    consumer = await connected.subscribe(durable(unique, prefetch=1), box)
    await publish_all(connected, outgoing, unique, numbered(5))
    await box.until(1)
    await consumer.pause()
    await consumer.resume()
    box.ack = True
    box.deliveries[0].ack()
    await box.until(5)
    assert box.bodies == numbered(5)


async def test_nothing_is_lost_or_handed_over_while_a_consumer_pauses_and_resumes(
    broker, provider, inbox, outgoing, unique
):
    connected, box = await provider(broker), inbox()
    consumer = await connected.subscribe(durable(unique, prefetch=5), box)
    sending = asyncio.gather(*[connected.publish(outgoing(unique, body)) for body in numbered(300)])
    for _ in range(10):
        await consumer.pause()
        count = len(box.deliveries)
        await asyncio.sleep(0.01)
        assert len(box.deliveries) == count
        await consumer.resume()
    await sending
    await box.until(300)
    assert sorted(box.bodies) == numbered(300)
