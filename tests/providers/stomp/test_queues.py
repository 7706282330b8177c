"""Queues over STOMP on a real broker: volatile ones, clashes of names, missing rights."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support_stomp import durable, numbered, publish_all

from aspyx_event.exceptions import PermissionDeniedError, QueueClashError
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


async def test_a_queue_of_ones_own_vanishes_with_its_consumer(
    broker, management, provider, inbox, outgoing, unique, until
):
    connected, box = await provider(broker), inbox()
    consumer = await connected.subscribe(Binding(address=unique, queue=None), box)
    assert len(management.queues_of(unique)) == 1
    await publish_all(connected, outgoing, unique, numbered(3), durable=False)
    await box.until(3)
    await consumer.close()
    assert management.queues_of(unique) == []
    consumer = await connected.subscribe(Binding(address=unique, queue=None), box)
    await connected.stop()
    await until(lambda: management.queues_of(unique) == [])


async def test_a_volatile_queue_is_shared_by_name_and_vanishes_with_the_last_consumer(
    broker, management, provider, inbox, outgoing, unique, until
):
    first, second = await provider(broker), await provider(broker)
    boxes = [inbox(), inbox()]
    binding = Binding(address=unique, queue="news", prefetch=1)
    consumers = [await each.subscribe(binding, box) for each, box in zip((first, second), boxes, strict=True)]
    assert management.queues_of(unique) == [f"{unique}.news:shared-volatile:global"]
    await publish_all(first, outgoing, unique, numbered(20), durable=False)
    await until(lambda: sum(len(box.deliveries) for box in boxes) == 20)
    assert sorted(boxes[0].bodies + boxes[1].bodies) == numbered(20)
    await consumers[0].close()
    assert first.reconnects == 0
    await publish_all(second, outgoing, unique, [b"still there"], durable=False)
    await until(lambda: b"still there" in boxes[1].bodies)
    await consumers[1].close()
    await until(lambda: management.queues_of(unique) == [])


async def test_a_volatile_queue_that_an_amqp_client_made_is_joined(
    broker, management, provider, inbox, outgoing, unique, until
):
    connected, box = await provider(broker), inbox()
    link, close = await asyncio.to_thread(_receive_amqp, broker, unique, f"{unique}.a%7Cb|1")
    assert management.queues_of(unique) == [f"{unique}.a%7Cb:shared-volatile:global"]
    consumer = await connected.subscribe(Binding(address=unique, queue="a|b"), box)
    assert management.consumers(f"{unique}.a%7Cb:shared-volatile:global") == 2
    await publish_all(connected, outgoing, unique, numbered(4), durable=False)
    messages = await asyncio.to_thread(lambda: [link.receive(timeout=20) for _ in range(2)])
    received = [bytes(message.body) for message in messages]
    await box.until(2)
    assert sorted(received + box.bodies) == numbered(4)
    await consumer.close()
    # Artemis answers the leaving of such a queue with an ERROR while others are there.
    await connected.publish(outgoing(unique))
    await asyncio.to_thread(close)
    await until(lambda: management.queues_of(unique) == [])


def _receive_amqp(broker, address, link):
    from proton import Data, symbol
    from proton.reactor import LinkOption
    from proton.utils import BlockingConnection

    class Shared(LinkOption):
        def apply(self, link):
            capabilities = link.source.capabilities
            capabilities.put_array(False, Data.SYMBOL)
            capabilities.enter()
            for name in ("topic", "shared", "global"):
                capabilities.put_symbol(symbol(name))
            capabilities.exit()

    connection = BlockingConnection(
        f"amqp://{broker.where}", user=broker.user, password=broker.password, allowed_mechs="PLAIN", timeout=20
    )
    receiver = connection.create_receiver(address, name=link, options=Shared(), credit=2)
    return receiver, connection.close


@pytest.mark.parametrize("queue", [None, "news"])
async def test_a_queue_that_is_not_durable_survives_the_pause_of_its_only_consumer(
    queue, broker, provider, inbox, outgoing, unique
):
    connected, box = await provider(broker), inbox()
    consumer = await connected.subscribe(Binding(address=unique, queue=queue, prefetch=10), box)
    await connected.publish(outgoing(unique, b"before", durable=False))
    await box.until(1)
    await consumer.pause()
    await publish_all(connected, outgoing, unique, numbered(30), durable=False)
    assert len(box.deliveries) == 1
    await consumer.resume()
    await box.until(31)
    assert sorted(box.bodies[1:]) == numbered(30)


async def test_a_queue_of_another_address_is_a_clash_that_names_the_cures(broker, provider, inbox, outgoing, unique):
    connected, box = await provider(broker), inbox()
    await connected.subscribe(Binding(address=f"{unique}.a", queue=unique, durable=True), box)
    with pytest.raises(QueueClashError, match=r"name=.*QueueNaming\.QUALIFIED") as raised:
        await connected.subscribe(Binding(address=f"{unique}.b", queue=unique, durable=True, label="billing"), inbox())
    for part in (f"{unique}.a", f"{unique}.b", "billing"):
        assert part in str(raised.value)
    await connected.publish(outgoing(f"{unique}.a"))
    await box.until(1)
    assert connected.reconnects == 0


RIGHTS = (
    "send", "consume", "createAddress", "createDurableQueue", "deleteDurableQueue", "createNonDurableQueue",
    "deleteNonDurableQueue",
)  # fmt: skip
APPLICATION = {
    "users": {"app": ("secret", "apps"), "nobody": ("secret", "nobodies")},
    "permissions": {
        "#": dict.fromkeys(RIGHTS, ("apps",)),
        "activemq.management": {"manage": ("administrators",)},
    },
}


async def test_without_the_manage_right_listeners_work_and_one_warning_says_what_is_missing(
    own_broker, provider, inbox, outgoing, unique, caplog, until
):
    broker = own_broker(**APPLICATION)
    connected, box = await provider(broker, user="app", password="secret"), inbox()
    with caplog.at_level(logging.WARNING, "aspyx.event.stomp"):
        await connected.subscribe(durable(unique, "1"), box)
        await connected.subscribe(durable(unique, "2"), box)
        await connected.subscribe(Binding(address=unique, queue="volatile"), box)
    assert ["manage right" in record.getMessage() for record in caplog.records] == [True]
    await connected.publish(outgoing(unique))
    await box.until(3)
    # The clash shows when a foreign event comes; it must neither be handled nor be lost.
    caplog.clear()
    foreign = inbox()
    await connected.subscribe(Binding(address=f"{unique}.b", queue=f"{unique}.1", durable=True), foreign)
    await publish_all(connected, outgoing, unique, numbered(4))
    await until(lambda: any("queue names are unique" in record.getMessage() for record in caplog.records))
    await box.until(3 + 12)
    assert foreign.deliveries == []


async def test_a_missing_right_is_named_and_the_connection_goes_on(own_broker, provider, inbox, outgoing, unique):
    broker = own_broker(**APPLICATION)
    owner = await provider(broker, user="app", password="secret")
    await owner.subscribe(durable(unique), inbox())
    connected = await provider(broker, user="nobody", password="secret")
    for binding in (
        durable(unique),
        durable(f"{unique}.new"),
        Binding(address=unique, queue=None),
        Binding(address=unique, queue="volatile"),
    ):
        with pytest.raises(PermissionDeniedError):
            await connected.subscribe(binding, inbox())
    with pytest.raises(PermissionDeniedError, match="CREATE_ADDRESS"):
        await connected.publish(outgoing(f"{unique}.new"))
    assert connected.unconfirmed == 0


async def test_queues_that_come_and_go_meanwhile_do_not_confuse_the_questions_to_the_broker(
    broker, provider, inbox, unique, caplog
):
    connected, restless = await provider(broker), await provider(broker)
    running = True

    async def come_and_go(name):
        while running:
            consumer = await restless.subscribe(Binding(address=f"{unique}.other", queue=name), inbox())
            await consumer.close()

    coming = [asyncio.create_task(come_and_go(name)) for name in (None, "a", "b", "c")]
    for number in range(100):
        consumer = await connected.subscribe(Binding(address=unique, queue=f"news{number % 3}"), inbox())
        await consumer.close()
    running = False
    await asyncio.gather(*coming)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_volatile_queue_that_vanishes_while_it_is_joined_does_not_stay_for_ever(
    broker, management, proxy, provider, inbox, outgoing, unique, until
):
    middle, binding = await proxy(broker), Binding(address=unique, queue="news")
    leaver, joiner, box = await provider(broker), await provider(middle), inbox()
    last = await leaver.subscribe(binding, inbox())

    async def leave_first(data):
        if b"SUBSCRIBE" in data and b"shared-volatile" in data:
            middle.before = None
            await last.close()
            await until(lambda: management.queues_of(unique) == [])

    middle.before = leave_first
    consumer = await joiner.subscribe(binding, box)
    assert middle.before is None
    await joiner.publish(outgoing(unique, durable=False))
    await box.until(1)
    await consumer.close()
    await until(lambda: management.queues_of(unique) == [])
