"""Payloads carry their version, older ones are brought up to date, newer ones are put aside."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import date
from types import FunctionType

import pytest
from pydantic import BaseModel

from aspyx_event import (
    DeclarationError,
    Envelope,
    EventDescriptor,
    EventManager,
    LocalProvider,
    Retry,
    event,
    event_handler,
    upcaster,
)
from aspyx_event.cloudevents import CloudEvent, from_cloudevent, to_cloudevent
from aspyx_event.codecs import JsonCodec
from aspyx_event.envelope import SendOptions
from aspyx_event.exceptions import SchemaVersionError
from aspyx_event.providers import Outgoing

HEADER = "cloudEvents_schemaversion"
DEADLINE = 30.0


class Taken:
    """A handler that remembers events and their headers."""

    def __init__(self):
        self.arrived = asyncio.Queue()

    async def on(self, event, context):
        self.arrived.put_nowait((event, dict(context.headers)))

    async def next(self):
        return await asyncio.wait_for(self.arrived.get(), DEADLINE)


def three_versions(declare):
    """The classes of one event in three releases of a program, and upcasters for the last."""
    first = declare(fields={"price": float})
    second = declare(version=2, fields={"price": str, "currency": str})
    third = declare(version=3, fields={"amount": str, "currency": str, "note": str}, durable=False)

    @upcaster(third, from_version=1)
    def with_currency(payload):
        return {"price": f"{payload['price']:.2f}", "currency": "EUR"}

    @upcaster(third, from_version=2)
    def renamed(payload):
        payload["amount"] = payload.pop("price")
        payload["note"] = ""
        return payload

    return first, second, third


async def test_old_payloads_arrive_as_todays_class(new_provider, declare, unique):
    first, second, third = three_versions(declare)
    taken = Taken()
    async with EventManager(new_provider()) as receiver:
        await receiver.subscribe(third, taken.on, name=f"{unique}-taker")
        for sent in (first(9.9), second("8.00", "USD"), third("7", "CHF", "!")):
            # Another program: its manager knows another class of this name.
            async with EventManager(new_provider()) as sender:
                await sender.send_event(sent)
        arrived = [await taken.next() for _ in range(3)]
    assert [event for event, _ in arrived] == [
        third("9.90", "EUR", ""),
        third("8.00", "USD", ""),
        third("7", "CHF", "!"),
    ]
    assert [headers.get(HEADER) for _, headers in arrived] == [None, "2", "3"]


async def test_a_newer_payload_is_a_dead_letter_at_once(new_provider, declare, unique):
    known, newer = declare(version=2), declare(version=3)
    taken = Taken()
    async with EventManager(new_provider(), retry=Retry(attempts=5, backoff=[0.01])) as receiver:
        await receiver.subscribe(known, taken.on, name=f"{unique}-taker")
        async with EventManager(new_provider()) as sender:
            await sender.send_event(newer(1))
        async with EventManager(new_provider()) as sender:
            await sender.send_event(known(2))
        assert (await taken.next())[0] == known(2)
        (letter,) = await receiver.dead_letters.list()
        assert letter.cause.type.endswith("SchemaVersionError")
        assert "version 3, this program knows versions up to 2" in letter.cause.message
        assert letter.attempts == 1
        assert await receiver.dead_letters.purge() == 1


async def test_a_replayed_letter_is_read_once_the_program_is_up_to_date(declare, unique):
    old, new = declare(version=2), declare(version=3)
    broker = LocalProvider().broker
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(old, Taken().on, name="taker", resumable=True)
        async with EventManager(LocalProvider(broker=broker)) as sender:
            await sender.provider.publish(
                Outgoing(
                    address=EventDescriptor.of(new).name,
                    envelope=Envelope(b'{"n": 1}', {HEADER: "3"}),
                    dedup_id="1",
                    options=SendOptions(wait_handled=True),
                )
            )
        # Its listener has the only queue: confirmed when it is put aside.
        assert len(await manager.dead_letters.list()) == 1
    taken = Taken()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(new, taken.on, name="taker", resumable=True)
        assert await manager.dead_letters.replay_all() == 1
        assert (await taken.next())[0] == new(1)


async def received(cls, body, version=None, codec=None):
    """Return what a listener gets of a message that some other program wrote, and the causes of dead letters."""
    taken, name = [], EventDescriptor.of(cls).name
    headers = {"cloudEvents_type": name, **({} if version is None else {HEADER: version})}
    async with EventManager(LocalProvider(), codec=codec, retry=Retry(attempts=3)) as manager:
        await manager.subscribe(cls, taken.append, name="reader", inline=True)
        message = Outgoing(
            address=name, envelope=Envelope(body, headers), dedup_id="1", options=SendOptions(wait_handled=True)
        )
        await manager.provider.publish(message)
        letters = await manager.dead_letters.list()
        assert all(letter.attempts == 1 for letter in letters)
        return taken, [letter.cause for letter in letters]


async def test_a_message_without_a_version_is_version_1(declare):
    _, _, third = three_versions(declare)
    taken, causes = await received(third, b'{"price": 9.9}')
    assert (taken, causes) == ([third("9.90", "EUR", "")], [])


@pytest.mark.parametrize("version", ["0", "-1", "two", "", "1.0", "9" * 30, "\u0662"])
async def test_a_version_that_is_none_is_a_dead_letter(declare, version):
    taken, (cause,) = await received(declare(version=2), b'{"n": 1}', version)
    assert taken == []
    assert cause.type.endswith("SchemaVersionError")
    assert "not a whole number from 1 up" in cause.message


async def test_leading_zeros_do_not_make_another_version(declare):
    cls = declare(version=2)
    assert await received(cls, b'{"n": 1}', "02") == ([cls(1)], [])


async def test_without_upcasters_an_older_payload_goes_to_the_class_as_it_is(declare):
    cls = declare(version=4)
    assert await received(cls, b'{"n": 1, "gone": true}', "2") == ([cls(1)], [])
    taken, (cause,) = await received(cls, b'{"m": 1}', "2")
    assert taken == []
    assert "field 'n'" in cause.message


async def test_a_payload_older_than_the_upcasters_is_a_dead_letter(declare):
    cls = declare(version=3)
    upcaster(cls, from_version=2)(lambda payload: payload)
    taken, (cause,) = await received(cls, b'{"n": 1}', "1")
    assert taken == []
    assert "version 1, upcasters read versions from 2 on" in cause.message


async def test_an_upcaster_may_skip_versions(declare):
    cls = declare(version=3)
    upcaster(cls, from_version=1, to_version=3)(lambda payload: {"n": payload["m"]})
    upcaster(cls, from_version=2)(lambda payload: {"n": payload["k"]})
    assert await received(cls, b'{"m": 1}', "1") == ([cls(1)], [])
    assert await received(cls, b'{"k": 2}', "2") == ([cls(2)], [])


def broken(payload):
    raise KeyError("price")


@pytest.mark.parametrize(
    ("function", "body", "words"),
    [
        (broken, b'{"n": 1}', ("broken (version 1 to 2) failed", "KeyError", "'price'")),
        (lambda payload: None, b'{"n": 1}', ("returned NoneType", "the payload, a dict")),
        (lambda payload: {"n": object()}, b'{"n": 1}', ("is not JSON",)),
        (lambda payload: {"n": "many"}, b'{"n": 1}', ("field 'n'", "of a payload of version 1")),
        (lambda payload: payload, b"[1]", ("not a JSON object",)),
        (lambda payload: payload, b"{", ("EOF",)),
    ],
)
async def test_what_an_upcaster_does_wrong_is_named_and_not_retried(declare, function, body, words):
    cls = declare(version=2)
    upcaster(cls, from_version=1)(function)
    taken, (cause,) = await received(cls, body, "1")
    assert taken == []
    assert cause.type.endswith("DecodeError")
    for word in words:
        assert word in cause.message


async def test_upcasters_may_return_python_values(declare):
    cls = declare(version=2, fields={"due": date, "data": bytes, "limit": float})
    upcaster(cls, from_version=1)(lambda payload: {"due": date(2026, 1, 31), "data": b"\xff\xfe", "limit": math.inf})
    assert await received(cls, b"{}", "1") == ([cls(date(2026, 1, 31), b"\xff\xfe", math.inf)], [])


async def test_upcasters_are_not_asked_for_payloads_of_today(declare):
    cls = declare(version=2)
    upcaster(cls, from_version=1)(broken)
    assert await received(cls, b'{"n": 1}', "2") == ([cls(1)], [])


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (((1, None), (1, None)), ("two upcasters read version 1",)),
        (((1, None),), ("no upcaster reads the result of upcaster", "(version 1 to 2)", "from_version=2")),
        (((1, 2), (2, 1)), ("does not lead to a later version", "(version 2 to 1)")),
        (((2, 2),), ("does not lead to a later version", "(version 2 to 2)")),
        (((2, 4),), ("leads past it", "@event(version=4)")),
        (((3, None),), ("leads past it",)),
    ],
)
async def test_a_chain_with_a_fault_is_an_error_at_start_that_names_it(declare, unique, steps, words):
    cls = declare(version=3)
    for number, (from_version, to_version) in enumerate(steps):
        function = FunctionType(broken.__code__, globals(), f"step_{number}")
        function.__qualname__ = f"step_{number}"
        upcaster(cls, from_version=from_version, to_version=to_version)(function)
    handler = event_handler(cls, name="reader")(lambda event: None)
    with pytest.raises(DeclarationError) as caught:
        async with EventManager(LocalProvider(), listeners=[handler]):
            pass
    for word in (*words, f"{unique}.event", "step_"):
        assert word in str(caught.value)


async def test_the_same_function_declared_again_replaces_itself(declare):
    cls = declare(version=2)
    for _ in range(2):
        upcaster(cls, from_version=1)(broken)
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(cls, lambda event: None, name="reader")


def test_impossible_upcasters_are_refused_where_they_are_declared(declare):
    cls = declare(version=2)
    with pytest.raises(DeclarationError, match="event class"):
        upcaster("shop.order", from_version=1)
    with pytest.raises(DeclarationError, match="from 1 up"):
        upcaster(cls, from_version=0)
    with pytest.raises(DeclarationError, match="from 1 up"):
        upcaster(cls, from_version="1")
    with pytest.raises(DeclarationError, match="from 1 up"):
        upcaster(cls, from_version=1, to_version=True)
    with pytest.raises(DeclarationError, match="decorates a function"):
        upcaster(cls, from_version=1)({})
    for version in (0, -1, "2", 1.5, True):
        with pytest.raises(DeclarationError, match="version"):
            event(name="x", version=version)


class Plain:
    """A codec of the simple kind."""

    content_type = "application/json"

    def __init__(self):
        self._json = JsonCodec()
        self.prepare, self.encode, self.decode = self._json.prepare, self._json.encode, self._json.decode


async def test_a_codec_that_cannot_upcast_is_refused_where_it_would_have_to(declare):
    cls, other = declare(version=2), declare("other", version=2)
    upcaster(cls, from_version=1)(broken)
    with pytest.raises(DeclarationError, match=r"codec Plain has no method decode_older"):
        await received(cls, b"{}", codec=Plain())
    assert await received(other, b'{"n": 1}', "1", codec=Plain()) == ([other(1)], [])
    _, (cause,) = await received(other, b'{"n": 1}', "3", codec=Plain())
    assert cause.type.endswith("SchemaVersionError")


@event(name="versions.strict")
class Strict(BaseModel):
    model_config = {"extra": "forbid"}
    n: int


@event(name="versions.lenient")
class Lenient(BaseModel):
    n: int


async def test_unknown_fields_are_ignored_unless_the_class_forbids_them():
    assert await received(Lenient, b'{"n": 1, "later": 2}') == ([Lenient(n=1)], [])
    taken, (cause,) = await received(Strict, b'{"n": 1, "later": 2}')
    assert taken == []
    assert "field 'later'" in cause.message


async def test_a_slotted_dataclass_and_a_model_may_be_upcast(declare):
    taken, causes = await received(Slotted, b'{"m": 3}', "1")
    assert (taken, causes) == ([Slotted(3)], [])
    taken, causes = await received(Model, b'{"m": 3}', "1")
    assert (taken, causes) == ([Model(n=3)], [])


@event(name="versions.slotted", version=2)
@dataclass(slots=True)
class Slotted:
    n: int


@event(name="versions.model", version=2)
class Model(BaseModel):
    n: int


@upcaster(Slotted, from_version=1)
@upcaster(Model, from_version=1)
def from_m(payload):
    return {"n": payload["m"]}


def test_cloudevents_made_of_events_carry_the_version_and_are_upcast():
    made = to_cloudevent(Model(n=3), source="/here")
    assert made.extensions == {"schemaversion": "2"}
    assert from_cloudevent(made, Model) == Model(n=3)
    for older in ({}, {"schemaversion": "1"}, {"schemaversion": 1}):
        old = CloudEvent(type="versions.model", source="/there", data={"m": 4}, **older)
        assert from_cloudevent(old, Model) == Model(n=4)
    with pytest.raises(SchemaVersionError, match="version 3"):
        from_cloudevent(CloudEvent(type="versions.model", source="/there", data={}, schemaversion=3), Model)
    assert to_cloudevent(Lenient(n=1), source="/here").extensions == {}


async def test_a_cloudevent_of_an_old_version_reaches_listeners_of_the_class():
    taken = []
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Model, taken.append, name="reader", inline=True)
        await manager.send_event(CloudEvent(type="versions.model", source="/there", data={"m": 4}))
        with pytest.raises(SchemaVersionError):
            await manager.send_event(CloudEvent(type="versions.model", source="/there", data={}, schemaversion=9))
    assert taken == [Model(n=4)]
