"""CloudEvents as events of a manager: sent, subscribed to by type, and as the class of their name where one is known."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from aspyx_event import (
    AbstractEnvelopePipeline,
    DeclarationError,
    Deduplicate,
    Envelope,
    EventManager,
    LocalBroker,
    LocalProvider,
    event,
    event_handler,
)
from aspyx_event.clock import ManualClock
from aspyx_event.cloudevents import CloudEvent, from_cloudevent, from_envelope, to_cloudevent
from aspyx_event.codecs import JsonCodec
from aspyx_event.exceptions import DecodeError, InvalidNameError, UnregisteredEventTypeError
from aspyx_event.providers.base import AddressKind, Outgoing

BASE = {"type": "co.outcome.event", "source": "example"}


@event(name="shop.price-changed", key="article", source="/shop/prices", durable=True)
@dataclass
class PriceChanged:
    article: str
    price: Decimal


@event(name="shop.closed")
@dataclass
class Closed:
    reason: str = ""


def full_event() -> CloudEvent:
    return CloudEvent(
        **BASE,
        subject="Größe 5",
        time=datetime(2018, 4, 5, 17, 31, tzinfo=timezone.utc),
        dataschema="http://example.org/s",
        data={"a": [1, "ü", None]},
        tenant="blue",
        count=5,
        flag=True,
    )


async def test_a_handler_is_registered_for_a_type_and_gets_the_event_as_it_was_sent(manager, until):
    got = []
    await manager.subscribe("co.outcome.event", got.append)
    sent = full_event()
    await manager.send_event(sent)
    await until(lambda: got)
    assert got == [sent]
    assert isinstance(got[0], CloudEvent)


async def test_a_handler_that_is_registered_twice_is_called_twice(manager, until):
    got = []

    def handler(event: CloudEvent) -> None:
        got.append(event)

    await manager.subscribe("co.outcome.event", handler)
    await manager.subscribe("co.outcome.event", handler)
    await manager.send_event(CloudEvent(**BASE))
    await until(lambda: len(got) == 2)


async def test_nobody_is_bothered_with_other_types(manager, until):
    got = []
    await manager.subscribe("co.outcome.event", got.append)
    await manager.send_event(CloudEvent(type="co.outcome.other", source="x"))
    await manager.send_event(CloudEvent(**BASE, id="1"))
    await until(lambda: got)
    assert [one.id for one in got] == ["1"]


@event_handler("co.outcome.event", "co.outcome.other-event")
async def my_other_handler(event: CloudEvent) -> None:
    SEEN.append(event)


SEEN: list[CloudEvent] = []


async def test_one_decorator_registers_for_several_types_and_leaves_the_function_as_it_is(until):
    SEEN.clear()
    async with EventManager(LocalProvider(), listeners=[my_other_handler]) as manager:
        for name in ("co.outcome.event", "co.outcome.other-event"):
            await manager.send_event(CloudEvent(type=name, source="example", id=name))
        await until(lambda: len(SEEN) == 2)
    assert {one.id for one in SEEN} == {"co.outcome.event", "co.outcome.other-event"}
    await my_other_handler(CloudEvent(**BASE))
    assert len(SEEN) == 3


async def test_dispatch_here_and_now_runs_the_handlers_in_the_order_they_were_registered():
    manager, log = EventManager(LocalProvider()), []
    for number in (1, 2):
        manager.subscribe(
            "co.outcome.event", lambda event, number=number: log.append((number, event.id)), name=f"h{number}"
        )
    await manager.process_async(CloudEvent(**BASE, id="7"))
    assert log == [(1, "7"), (2, "7")]
    await manager.process_async(CloudEvent(type="co.outcome.unknown", source="x"))

    def broken(event: CloudEvent) -> None:
        raise RuntimeError("broken")

    manager.subscribe("co.outcome.broken", broken, name="broken")
    manager.subscribe("co.outcome.broken", lambda event: log.append("after"), name="after")
    with pytest.raises(RuntimeError, match="broken"):
        await manager.process_async(CloudEvent(type="co.outcome.broken", source="x"))
    assert "after" not in log
    await manager.stop()


async def test_separate_managers_are_separate_registries(until):
    async with EventManager(LocalProvider()) as mine, EventManager(LocalProvider()) as other:
        got, others = [], []
        await mine.subscribe("co.outcome.event", got.append)
        await other.subscribe("co.outcome.event", others.append)
        await mine.send_event(CloudEvent(**BASE))
        await until(lambda: got)
        assert not others


@event_handler("co.outcome.event")
def marked(event: CloudEvent) -> None:
    SEEN.append(event)


async def test_no_registry_of_the_process_exists_a_marked_function_is_handed_to_its_managers(until):
    SEEN.clear()
    async with EventManager(LocalProvider()) as stranger:
        await stranger.send_event(CloudEvent(**BASE))
    for _ in range(2):
        async with EventManager(LocalProvider(), listeners=[marked]) as manager:
            await manager.send_event(CloudEvent(**BASE))
            await until(lambda: SEEN)
    assert len(SEEN) == 2


@pytest.mark.parametrize("copy", [True, False])
async def test_a_known_class_gets_the_event_as_itself(copy, until):
    async with EventManager(LocalProvider(copy=copy)) as manager:
        got = []
        await manager.subscribe(PriceChanged, lambda event, context: got.append((event, context)), name="prices")
        sent = CloudEvent(
            type="shop.price-changed", source="/elsewhere", id="1", data={"article": "tea", "price": "9.90"}
        )
        await manager.send_event(sent)
        (found, context), *_ = await until(lambda: got)
    assert found == PriceChanged("tea", Decimal("9.90"))
    assert (context.event_id, context.source, context.key) == ("1", "/elsewhere", "tea")


async def test_the_sender_learns_that_a_known_class_does_not_fit(manager):
    await manager.subscribe(PriceChanged, lambda event: None, name="prices")
    with pytest.raises(DecodeError, match="price"):
        manager.send_event(CloudEvent(type="shop.price-changed", source="/x", data={"article": "tea"}))


async def test_a_message_of_a_class_reaches_a_handler_of_another_manager_that_has_none_as_cloudevent(until):
    broker = LocalBroker()
    async with (
        EventManager(LocalProvider(broker=broker)) as sender,
        EventManager(LocalProvider(broker=broker)) as receiver,
    ):
        got = []

        def handler(event: CloudEvent) -> None:
            got.append(event)

        await receiver.subscribe("shop.price-changed", handler)
        receipt = sender.send_event(PriceChanged("tea", Decimal("9.90")))
        await receipt
        await until(lambda: got)
    found = got[0]
    assert (found.id, found.source, found.type) == (receipt.id, "/shop/prices", "shop.price-changed")
    assert (found.data, found.extensions["partitionkey"]) == ({"article": "tea", "price": "9.90"}, "tea")


async def test_headers_travel_beside_an_event_and_are_no_attributes(manager, until):
    got = []

    def handler(event, context):
        got.append((event, context))

    await manager.subscribe("co.outcome.event", handler)
    sent = CloudEvent(**BASE)
    await manager.send_event(sent, headers={"session": "alice"})
    (found, context), *_ = await until(lambda: got)
    assert found == sent
    assert context.headers["session"] == "alice"


async def test_the_expiry_of_an_event_is_told_by_the_clock_of_the_provider(until):
    got, clock = [], ManualClock(datetime(2030, 1, 1, tzinfo=timezone.utc).timestamp())
    async with EventManager(LocalProvider(clock=clock)) as manager:
        await manager.subscribe("co.outcome.event", lambda event, context: got.append(context), name="c")
        await manager.send_event(CloudEvent(**BASE), ttl=90.5)
        await until(lambda: len(got) == 1)
    assert got[0].headers["cloudEvents_expirytime"] == "2030-01-01T00:01:30.500000Z"


async def test_a_partition_key_is_an_attribute_of_the_event_or_given_with_it(manager, until):
    got = []

    def handler(event, context):
        got.append((event.extensions.get("partitionkey"), context.key))

    await manager.subscribe("co.outcome.event", handler)
    await manager.send_event(CloudEvent(**BASE, partitionkey="a"))
    await manager.send_event(CloudEvent(**BASE), key="b")
    await manager.send_event(CloudEvent(**BASE, partitionkey="a"), key="b")
    await manager.send_event(CloudEvent(**BASE))
    await until(lambda: len(got) == 4)
    assert got == [("a", "a"), ("b", "b"), ("b", "b"), (None, "")]


async def test_what_follows_from_an_event_names_it_as_its_cause(manager, until):
    got = []

    async def first(event: CloudEvent) -> None:
        await manager.send_event(CloudEvent(type="co.outcome.second", source="x"))

    def second(event: CloudEvent) -> None:
        got.append(event)

    await manager.subscribe("co.outcome.event", first)
    await manager.subscribe("co.outcome.second", second)
    sent = CloudEvent(**BASE)
    await manager.send_event(sent)
    await until(lambda: got)
    assert got[0].extensions == {"correlationid": sent.id, "causationid": sent.id}


async def test_a_cloudevent_that_a_handler_returns_is_sent(manager, until):
    got = []

    def answer(event: CloudEvent) -> CloudEvent:
        return CloudEvent(type="co.outcome.answer", source="/answers", subject=event.id)

    def take(event: CloudEvent) -> None:
        got.append(event)

    await manager.subscribe("co.outcome.event", answer)
    await manager.subscribe("co.outcome.answer", take)
    await manager.send_event(CloudEvent(**BASE, id="7"))
    await until(lambda: got)
    assert (got[0].subject, got[0].extensions["causationid"]) == ("7", "7")


@pytest.mark.parametrize("name", ["a*", "a#", "a::b", "dead-letters.x", "aspyx.x", " a", "x" * 300])
async def test_a_type_that_cannot_be_an_address_is_refused(manager, name):
    with pytest.raises(InvalidNameError):
        manager.send_event(CloudEvent(type=name, source="x"))


class Spy(AbstractEnvelopePipeline):
    """Remembers the events that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[CloudEvent] = []

    async def send(self, envelope, event_descriptor):
        self.seen.append(from_envelope(envelope))
        await self.proceed_send(envelope, event_descriptor)

    async def handle(self, envelope, event_listener_descriptor):
        self.seen.append(from_envelope(envelope))
        await self.proceed_handle(envelope, event_listener_descriptor)


async def test_interceptors_can_have_the_cloudevent_of_what_passes(until):
    spy, got = Spy(), []
    async with EventManager(LocalProvider(), pipelines=[spy]) as manager:
        await manager.subscribe(PriceChanged, got.append, name="prices")
        await manager.send_event(PriceChanged("tea", Decimal("9.90")))
        await until(lambda: got)
    assert spy.seen[0] == spy.seen[1]
    assert spy.seen[0].data == {"article": "tea", "price": "9.90"}


async def put(provider, address, body, headers) -> None:
    await provider.publish(
        Outgoing(address=address, envelope=Envelope(body, headers), dedup_id="x", kind=AddressKind.TOPIC)
    )


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "specversion"),
        ({"cloudEvents_specversion": "1.0", "cloudEvents_type": "co.outcome.event", "cloudEvents_id": "1"}, "source"),
        (
            {
                "cloudEvents_specversion": "1.0",
                "cloudEvents_type": "co.outcome.event",
                "cloudEvents_id": "1",
                "cloudEvents_source": "x",
                "cloudEvents_My": "x",
            },
            "My",
        ),
        ({"content-type": "application/cloudevents+json"}, "JSON"),
        ({"content-type": "application/cloudevents+avro"}, "avro"),
        ({"content-type": "application/cloudevents-batch+json"}, "batch"),
    ],
)
async def test_a_message_that_is_no_cloudevent_is_a_dead_letter_that_says_why(manager, until, headers, message):
    def handler(event: CloudEvent) -> None:
        raise AssertionError("it got here")

    subscription = await manager.subscribe("co.outcome.event", handler, resumable=True)
    await put(manager.provider, "co.outcome.event", b"{broken", headers)
    await until(lambda: subscription.stats.dead_letters)
    letters = await manager.dead_letters.list()
    assert message in letters[0].cause.message
    assert letters[0].body == b"{broken"


async def test_a_structured_message_that_is_broken_does_not_become_an_event_of_defaults(manager, until):
    subscription = await manager.subscribe(Closed, lambda event: None, name="closed", resumable=True)
    await put(
        manager.provider,
        "shop.closed",
        b'{"specversion": "1.0", "id": ""}',
        {"content-type": "application/cloudevents+json"},
    )
    await until(lambda: subscription.stats.dead_letters)
    assert subscription.stats.count == 0


def test_every_declared_event_is_a_cloudevent_and_back():
    price = PriceChanged("tea", Decimal("9.90"))
    made = to_cloudevent(price, subject="tea", tenant="blue")
    assert (made.type, made.source, made.datacontenttype) == ("shop.price-changed", "/shop/prices", "application/json")
    assert made.data == {"article": "tea", "price": "9.90"}
    assert made.extensions == {"partitionkey": "tea", "tenant": "blue"}
    assert from_cloudevent(made, PriceChanged) == price
    assert to_cloudevent(made) is made


def test_the_source_is_that_of_the_declaration_unless_one_is_given():
    assert to_cloudevent(PriceChanged("a", Decimal(1)), source="/given").source == "/given"
    assert to_cloudevent(Closed(), source="/given").source == "/given"
    with pytest.raises(DeclarationError, match="source"):
        to_cloudevent(Closed())


def test_an_event_that_cannot_be_converted_says_why():
    with pytest.raises(UnregisteredEventTypeError):
        to_cloudevent(object(), source="/x")
    with pytest.raises(UnregisteredEventTypeError):
        from_cloudevent(CloudEvent(**BASE), dict)
    with pytest.raises(DecodeError, match=r"co\.outcome\.event"):
        from_cloudevent(CloudEvent(**BASE), PriceChanged)
    with pytest.raises(DecodeError, match="price"):
        from_cloudevent(CloudEvent(type="shop.price-changed", source="/x", data={"article": "x"}), PriceChanged)


class Shouting(JsonCodec):
    """A codec of a media type of its own."""

    content_type = "application/x-shout"

    def encode(self, event, descriptor):
        return super().encode(event, descriptor).upper()

    def decode(self, body, descriptor):
        return super().decode(body.lower(), descriptor)


def test_a_codec_of_ones_own_writes_and_reads_the_data():
    made = to_cloudevent(Closed("storm"), source="/x", codec=Shouting())
    assert (made.datacontenttype, made.data) == ("application/x-shout", b'{"REASON":"STORM"}')
    assert from_cloudevent(made, Closed, codec=Shouting()) == Closed("storm")


async def test_sources_go_out_as_declared_and_as_the_server_is_called(until):
    broker = LocalBroker()
    async with EventManager(LocalProvider(broker=broker), source="büro 1") as manager:
        got = []

        def handler(event: CloudEvent, context) -> None:
            got.append(event.source)

        async with EventManager(LocalProvider(broker=broker)) as receiver:
            for name in ("shop.closed", "shop.price-changed"):
                await receiver.subscribe(name, handler, name=name)
            await manager.send_event(Closed())
            await manager.send_event(PriceChanged("a", Decimal(1)))
            await until(lambda: len(got) == 2)
    assert sorted(got) == ["/shop/prices", "b%C3%BCro%201"]


def test_without_a_loop_a_cloudevent_is_sent_like_any_other():
    manager, got = EventManager(LocalProvider()), []
    manager.subscribe("co.outcome.event", got.append)
    sent = full_event()
    manager.send_event(sent)
    assert got == [sent]
    asyncio.run(manager.stop())


@pytest.mark.parametrize("package", ["aspyx_event.cloudevents", "aspyx_event.http"])
def test_nothing_is_needed_but_what_the_package_needs_itself(package):
    code = f"""
import sys
sys.modules.update(dict.fromkeys(["starlette", "fastapi", "httpx", "cloudevents", "proton", "stomp", "jsonschema"]))
import {package}
from aspyx_event.cloudevents import CloudEvent, to_http
print(to_http(CloudEvent(type="a", source="b")).headers["ce-type"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "a\n", done.stderr


async def test_ids_are_unique_within_their_source_only(until):
    got = []

    def handler(event: CloudEvent) -> None:
        got.append(event.source)

    async with EventManager(LocalProvider(), pipelines=[Deduplicate()]) as manager:
        subscription = await manager.subscribe("co.outcome.event", handler)
        for source in ("/a", "/b", "/a", "/c"):
            await manager.send_event(CloudEvent(type="co.outcome.event", source=source, id="1"))
        await until(lambda: subscription.stats.count >= 3 and got[-1] == "/c")
    assert got == ["/a", "/b", "/c"]


async def test_dead_letters_of_one_id_from_two_sources_are_two(manager, until):
    def handler(event: CloudEvent) -> None:
        raise RuntimeError(event.source)

    subscription = await manager.subscribe("co.outcome.event", handler, resumable=True)
    for source in ("/a", "/b"):
        await manager.send_event(CloudEvent(type="co.outcome.event", source=source, id="1"))
    await until(lambda: subscription.stats.dead_letters == 2)
    letters = await manager.dead_letters.list()
    assert [letter.headers["cloudEvents_source"] for letter in letters] == ["/a", "/b"]
    assert len({letter.id for letter in letters}) == 2
