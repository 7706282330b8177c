"""Messages that are not what they should be: dead letters with their cause, and nobody else disturbed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import uuid4

import pytest
from support_core import Gate, Recorder, RefusingLetters, eventually, settle

from aspyx_event import (
    AbstractEnvelopePipeline,
    AckPolicy,
    Envelope,
    EventManager,
    LocalBroker,
    LocalProvider,
    Retry,
    event,
)
from aspyx_event.providers import AddressKind, Binding, Outgoing


@event(name="messages.order")
@dataclass
class Order:
    number: int
    text: str = ""


DEAD = "dead-letters.messages.order.careful"
GOOD = b'{"number": 7, "text": "good"}'
BODIES = {
    "no json": b"hello",
    "empty": b"",
    "binary": bytes(range(256)),
    "wrong encoding": '{"number": 1}'.encode("utf-16"),
    "list": b"[]",
    "null": b"null",
    "missing field": b"{}",
    "wrong field": b'{"number": "many"}',
    "twenty megabytes": b'{"number": "' + b"x" * 20_000_000 + b'"}',
    "fifty thousand deep": b'{"number": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep and open": b"[" * 50_000,
}


def raw(body: bytes, address: str = "messages.order", **headers: str) -> Outgoing:
    return Outgoing(address=address, envelope=Envelope(body, headers), dedup_id=str(uuid4()))


async def letters(manager: EventManager, address: str = DEAD) -> list[Envelope]:
    """Read, and take, the dead letters of a subscription."""
    taken: list[Envelope] = []

    def consume(delivery) -> None:
        taken.append(delivery.envelope)
        delivery.ack()

    binding = Binding(address=address, queue=address, kind=AddressKind.QUEUE, durable=True)
    consumer = await manager.provider.subscribe(binding, consume)
    await eventually(lambda: taken)
    await consumer.close()
    return taken


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_an_undecodable_body_is_a_dead_letter_and_disturbs_nobody(body, caplog):
    seen, raw_reader = Recorder(), []

    async def reads_bytes(event, context) -> None:
        raw_reader.append(event)

    async with EventManager(LocalProvider()) as manager:
        # Retries are for handlers: a body does not get better.
        careful = await manager.subscribe(Order, seen, name="careful", retry=Retry(attempts=5, delay=60))
        await manager.subscribe(Order, reads_bytes, name="other")
        await manager.provider.publish(raw(body, tenant="a"))
        await manager.provider.publish(raw(GOOD))
        await eventually(lambda: seen.handled and raw_reader and careful.stats.dead_letters)
        [letter] = await letters(manager)
    assert seen.events == raw_reader == [Order(7, "good")]
    assert letter.body == body
    assert letter.get("tenant") == "a"
    error = "LimitExceededError" if len(body) > 16 * 1024 * 1024 else "DecodeError"
    assert letter.get("aspyx-cause-type") == f"aspyx_event.exceptions.{error}"
    assert letter.get("aspyx-cause-message").startswith("event 'messages.order': ")
    assert letter.get("aspyx-attempts") == "1"
    assert (careful.stats.failures, careful.stats.count) == (1, 1)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 2  # one for each listener
    assert all(len(message) < 1000 for message in errors)


async def test_a_message_of_another_event_type_is_a_dead_letter():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen, name="careful")
        await manager.provider.publish(raw(GOOD, cloudEvents_type="messages.unheard-of"))
        [letter] = await letters(manager)
    assert seen.events == []
    assert "says that it is a 'messages.unheard-of'" in letter.get("aspyx-cause-message")


async def test_a_foreign_message_without_any_attribute_is_an_event():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen)
        await manager.provider.publish(raw(GOOD))
        await eventually(lambda: seen.handled == [Order(7, "good")])
    assert (seen.contexts[0].event_id, seen.contexts[0].time, seen.contexts[0].key) == ("", "", "")


async def test_a_dead_letter_tells_everything_about_its_event():
    async def fail(event: Order) -> None:
        raise LookupError(f"no such article {'x' * 5000}")

    async with EventManager(LocalProvider()) as manager:
        retry = Retry(attempts=3, delay=0)
        await manager.subscribe(Order, fail, name="careful", group="crew", retry=retry)
        receipt = manager.send_event(Order(1, "ä"), headers={"tenant": "a", "aspyx": "mine"}, key="k")
        [letter] = await letters(manager, "dead-letters.messages.order.crew")
    assert json.loads(letter.body) == {"number": 1, "text": "ä"}
    assert letter.headers["cloudEvents_id"] == receipt.id
    assert (letter.get("tenant"), letter.get("aspyx"), letter.get("cloudEvents_partitionkey")) == ("a", "mine", "k")
    assert letter.get("aspyx-cause-type") == "builtins.LookupError"
    assert letter.get("aspyx-cause-message").startswith("no such article xxx")
    assert len(letter.get("aspyx-cause-message")) <= 1000
    assert "in fail" in letter.get("aspyx-cause-traceback") or letter.get("aspyx-cause-traceback").endswith("x\n")
    assert letter.get("aspyx-attempts") == "3"
    assert letter.get("aspyx-original-address") == "messages.order"
    assert letter.get("aspyx-original-queue") == "crew"
    assert letter.get("aspyx-subscription") == "crew"
    assert letter.get("aspyx-failed-at").endswith("Z")


class Rewriting(AbstractEnvelopePipeline):
    def handle(self, envelope, event_listener_descriptor):
        envelope.body = b"rewritten"
        envelope.set("tenant", "changed")
        envelope.headers["broken"] = "yes"
        self.proceed_handle(envelope, event_listener_descriptor)


async def test_a_dead_letter_holds_what_was_received_not_what_interceptors_made_of_it():
    async with EventManager(LocalProvider(), pipelines=[Rewriting()]) as manager:
        await manager.subscribe(Order, Recorder(), name="careful")
        await manager.provider.publish(raw(GOOD, tenant="a"))
        [letter] = await letters(manager)
    assert (letter.body, letter.get("tenant"), letter.get("broken")) == (GOOD, "a", "")


async def test_every_listener_has_dead_letters_of_its_own():
    broker = LocalBroker()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        for name in ("one", "two"):
            await manager.subscribe(Order, Recorder(failures=[ValueError(name)]), name=name)
        await manager.send_event(Order(1))
        for name in ("one", "two"):
            [letter] = await letters(manager, f"dead-letters.messages.order.{name}")
            assert letter.get("aspyx-cause-message") == name
        # A letter waits for somebody; taken, it is gone.
        assert broker.depth("dead-letters.messages.order.one") == 0


async def test_no_dead_letter_is_kept_where_none_is_wished(caplog):
    broker = LocalBroker()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        subscription = await manager.subscribe(
            Order, Recorder(failures=[ValueError("dropped")]), name="careless", retry=Retry(dead_letter=False)
        )
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.failures)
        await settle()
        assert broker.queues() == ["careless"]
        assert broker.depth("careless") == 0
    assert "dropped" in caplog.text


async def test_at_most_once_neither_retries_nor_keeps_a_dead_letter(caplog):
    broker, seen = LocalBroker(), Recorder(failures=[ValueError("lost")])
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(Order, seen, name="once", ack=AckPolicy.BEFORE, retry=Retry(attempts=5, delay=0))
        await manager.send_event(Order(1))
        await manager.send_event(Order(2))
        await eventually(lambda: seen.handled)
        assert broker.queues() == ["once"]
    assert seen.events == [Order(1), Order(2)]
    assert "lost" in caplog.text


async def test_events_whose_key_cannot_be_had_stay_in_order_among_themselves(caplog):
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, gate, name="ordered", concurrency=3, order_by=lambda event: 1 / 0)
        for number in range(3):
            await manager.send_event(Order(number))
        await eventually(lambda: gate.entered)
        await settle()
        assert gate.running == 1
        gate.opened.set()
        await eventually(lambda: gate.left == [Order(0), Order(1), Order(2)])
    assert "order_by failed" in caplog.text


async def test_an_event_is_not_forgotten_before_its_dead_letter_is_stored(caplog):
    async with EventManager(RefusingLetters(2)) as manager:
        subscription = await manager.subscribe(Order, Recorder(failures=[ValueError("x")]), name="careful")
        await manager.send_event(Order(1))
        [letter] = await letters(manager)
        await eventually(lambda: manager.provider.broker.depth("careful") == 0)  # type: ignore[attr-defined]
    assert letter.get("aspyx-attempts") == "1"
    assert subscription.stats.dead_letters == 1
    assert caplog.text.count("the disk is full") == 2


@pytest.mark.parametrize("order_by", [lambda event: 1 / 0, lambda event: ({},), "number.deeper"])
async def test_a_key_that_cannot_be_had_does_not_disturb_the_sender_nor_the_listener(order_by):
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen, name="ordered", concurrency=2, order_by=order_by)
        await manager.send_event(Order(1))
        await manager.provider.publish(raw(b"undecodable"))
        await manager.send_event(Order(2))
        await eventually(lambda: len(seen.handled) == 2)
