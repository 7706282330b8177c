"""How many deliveries an AMQP consumer holds, settling them, pausing and closing."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker


@pytest.fixture
def binding(unique):
    def make(prefetch, durable=True):
        return Binding(address=unique, queue=f"{unique}.q", durable=durable, prefetch=prefetch)

    return make


async def publish(provider, outgoing, address, count, start=0):
    await asyncio.gather(*(provider.publish(outgoing(address, str(n))) for n in range(start, start + count)))


def numbers(deliveries):
    return [int(delivery.envelope.body) for delivery in deliveries]


async def settled(management, queue, until, messages=0, delivering=0):
    await until(
        lambda: management.messages(queue) == messages and management.delivering(queue) == delivering,
        lambda: management.describe(queue),
    )


@pytest.mark.parametrize("window", [1, 2, 7, 100])
async def test_no_more_than_the_window_is_handed_over_before_something_is_settled(
    connect, unique, binding, outgoing, until, management, window
):
    provider, held, most = await connect(), [], 0
    await provider.subscribe(binding(window), held.append)
    await publish(provider, outgoing, unique, 150)
    seen = []
    while len(seen) < 150:
        await until(lambda: held, lambda: f"stalled after {len(seen)}")
        await until(lambda: len(held) == min(window, 150 - len(seen)) or len(held) * 2 >= window)
        most = max(most, len(held))
        # Others stay held: one in two of them goes.
        for delivery in held[: max(1, len(held) // 2)]:
            held.remove(delivery)
            seen.append(delivery)
            delivery.ack()
    assert most <= window
    assert numbers(seen) == list(range(150))
    await settled(management, f"{unique}.q", until)


async def test_deliveries_keep_coming_while_all_but_one_of_the_window_are_held(
    connect, unique, binding, outgoing, until
):
    provider, held, done = await connect(), [], []

    def consume(delivery):
        if len(held) < 99:
            held.append(delivery)
        else:
            done.append(delivery)
            delivery.ack()

    await provider.subscribe(binding(100), consume)
    await publish(provider, outgoing, unique, 500)
    await until(lambda: len(done) == 401, lambda: f"stalled after {len(done)}")


async def test_the_whole_window_is_used_though_deliveries_are_settled_one_by_one(
    connect, unique, binding, outgoing, until
):
    provider, held = await connect(), []
    await provider.subscribe(binding(8), held.append)
    await publish(provider, outgoing, unique, 100)
    for settled_at_once in (1, 2, 3, 5, 7):
        await until(lambda: len(held) == 8, lambda: f"{len(held)} held")
        for _ in range(settled_at_once):
            held.pop().ack()
            await asyncio.sleep(0)
    await until(lambda: len(held) == 8, lambda: f"{len(held)} held")


async def test_a_released_delivery_comes_again(connect, unique, binding, outgoing, until, management):
    provider, got = await connect(), []

    def consume(delivery):
        got.append(delivery)
        if len(got) == 1:
            delivery.release()
        else:
            delivery.ack()

    await provider.subscribe(binding(10), consume)
    await publish(provider, outgoing, unique, 1)
    await until(lambda: len(got) == 2)
    assert numbers(got) == [0, 0]
    await settled(management, f"{unique}.q", until)


async def test_only_the_first_settling_of_a_delivery_counts(connect, unique, binding, outgoing, until, management):
    provider, got = await connect(), []
    await provider.subscribe(binding(1), got.append)
    await publish(provider, outgoing, unique, 3)
    for count in (1, 2, 3):
        await until(lambda count=count: len(got) == count)
        got[-1].ack()
        got[-1].ack()
        got[-1].release()
    await settled(management, f"{unique}.q", until)
    assert numbers(got) == [0, 1, 2]


async def test_a_settling_just_before_close_and_stop_reaches_the_broker(
    connect, unique, binding, outgoing, until, management
):
    provider, got = await connect(), []
    consumer = await provider.subscribe(binding(100), got.append)
    await publish(provider, outgoing, unique, 60)
    await until(lambda: len(got) == 60)
    for delivery in got[:30]:
        delivery.ack()
    await consumer.close()
    await settled(management, f"{unique}.q", until, messages=30)
    again = []
    await provider.subscribe(binding(100), again.append)
    await until(lambda: len(again) == 30)
    assert numbers(again) == numbers(got[30:])
    for delivery in again:
        delivery.ack()
    await provider.stop()
    await settled(management, f"{unique}.q", until)


async def test_a_paused_consumer_gets_nothing_and_others_get_the_rest(
    connect, unique, binding, outgoing, until, management
):
    provider, other, got, rest = await connect(), await connect(), [], []
    consumer = await provider.subscribe(binding(10), got.append)
    await publish(provider, outgoing, unique, 50)
    await until(lambda: len(got) == 10)
    await consumer.pause()
    for delivery in got[:5]:
        delivery.ack()

    def consume(delivery):
        rest.append(delivery)
        delivery.ack()

    await other.subscribe(binding(10), consume)
    await publish(provider, outgoing, unique, 50, start=50)
    await until(lambda: len(rest) == 90)
    assert numbers(rest) == list(range(10, 100))
    assert len(got) == 10
    # What was held at the pause can still be settled.
    for delivery in got[5:]:
        delivery.ack()
    await settled(management, f"{unique}.q", until)


async def test_a_resumed_consumer_gets_deliveries_again(connect, unique, binding, outgoing, until):
    provider, got = await connect(), []
    consumer = await provider.subscribe(binding(10), got.append)
    await consumer.pause()
    await consumer.pause()
    await publish(provider, outgoing, unique, 30)
    await consumer.resume()
    await consumer.resume()
    await until(lambda: len(got) == 10)
    for delivery in list(got):
        delivery.ack()
    await until(lambda: len(got) == 20)
    assert numbers(got) == list(range(20))


async def test_pausing_in_the_middle_of_a_stream_loses_and_repeats_nothing(
    connect, unique, binding, outgoing, until, management
):
    provider, other, counts = await connect(), await connect(), {}

    def consume(delivery):
        number = int(delivery.envelope.body)
        counts[number] = counts.get(number, 0) + 1
        delivery.ack()

    paused, too_late = set(), []

    def consume_as(name):
        def take(delivery):
            if name in paused:
                too_late.append(delivery)
            consume(delivery)

        return take

    consumers = {
        "first": await provider.subscribe(binding(50), consume_as("first")),
        "second": await other.subscribe(binding(50), consume_as("second")),
    }
    publishing = asyncio.ensure_future(publish(provider, outgoing, unique, 5000))
    while not publishing.done():
        for name, consumer in consumers.items():
            await consumer.pause()
            paused.add(name)
            await asyncio.sleep(0.003)
            paused.discard(name)
            await consumer.resume()
            await asyncio.sleep(0.003)
    await publishing
    await until(lambda: len(counts) == 5000, lambda: f"{len(counts)} arrived")
    assert set(counts.values()) == {1}
    assert too_late == []
    await settled(management, f"{unique}.q", until)


async def test_a_paused_consumer_with_room_takes_no_turn(connect, unique, binding, outgoing, until):
    provider, other, got, rest = await connect(), await connect(), [], []
    consumer = await provider.subscribe(binding(10), got.append)
    await consumer.pause()

    def consume(delivery):
        rest.append(delivery)
        delivery.ack()

    await other.subscribe(binding(10), consume)
    await publish(other, outgoing, unique, 100)
    await until(lambda: len(rest) == 100)
    # Those that went to the paused one first would have come back late.
    assert numbers(rest) == list(range(100))
    assert got == []


async def test_a_large_delivery_under_way_at_a_pause_is_handed_back_whole(
    connect, unique, binding, outgoing, until, management
):
    provider, got = await connect(), []
    consumer = await provider.subscribe(binding(2), got.append)
    body = b"x" * (8 * 1024 * 1024)
    for _ in range(3):
        publishing = provider.publish(outgoing(unique, body))
        while not publishing.done():
            await consumer.pause()
            await asyncio.sleep(0.002)
            await consumer.resume()
            await asyncio.sleep(0.002)
        await publishing
        await until(lambda: got)
        delivery = got.pop()
        assert delivery.envelope.body == body
        delivery.ack()
    await settled(management, f"{unique}.q", until)


async def test_a_paused_consumer_of_a_volatile_queue_keeps_its_queue(connect, unique, binding, outgoing, until):
    provider, got = await connect(), []
    consumer = await provider.subscribe(binding(10, durable=False), got.append)
    await consumer.pause()
    await publish(provider, outgoing, unique, 3)
    await consumer.resume()
    await until(lambda: len(got) == 3)


async def test_a_consumer_paused_while_the_connection_is_lost_stays_paused(
    connect, unique, binding, outgoing, until, management
):
    provider, other, got = await connect(server_name=unique), await connect(), []
    consumer = await provider.subscribe(binding(10), got.append)
    await consumer.pause()
    (row,) = [row for row in management.connections() if row["clientID"].startswith(unique)]
    management.op("broker", "closeConnectionWithID", row["connectionID"])
    await until(lambda: not provider.connected)
    await until(lambda: provider.connected)
    await publish(other, outgoing, unique, 5)
    await until(lambda: management.consumers(f"{unique}.q") == 1)
    assert got == []
    await consumer.resume()
    await until(lambda: len(got) == 5)


async def test_every_consumer_method_may_be_called_again_and_after_the_end(connect, unique, binding, outgoing):
    provider = await connect()
    consumer = await provider.subscribe(binding(10), lambda delivery: None)
    for _ in range(2):
        await consumer.pause()
        await consumer.close()
        await consumer.resume()
    await provider.stop()
    await consumer.close()
    await consumer.pause()
    await consumer.resume()
    await provider.stop()


async def test_acknowledging_within_the_callback_and_publishing_from_it_works(
    connect, unique, binding, outgoing, until, management
):
    provider, futures = await connect(), []

    def consume(delivery):
        number = int(delivery.envelope.body)
        if number < 500:
            futures.append(provider.publish(outgoing(unique, str(number + 1))))
        delivery.ack()

    await provider.subscribe(binding(10), consume)
    await provider.publish(outgoing(unique, "0"))
    await until(lambda: len(futures) == 500)
    await asyncio.gather(*futures)
    await settled(management, f"{unique}.q", until)


async def test_a_callback_that_raises_stops_neither_its_consumer_nor_others(
    connect, unique, binding, outgoing, until, caplog
):
    provider, got = await connect(), []

    def consume(delivery):
        got.append(delivery)
        if len(got) == 1:
            raise RuntimeError("the engine promised not to")
        delivery.ack()

    await provider.subscribe(binding(10), consume)
    await publish(provider, outgoing, unique, 20)
    await until(lambda: len(got) == 20)
    assert "the engine promised not to" in caplog.text
