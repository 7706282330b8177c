"""AX-05: bodies and values that do not fit their event are refused with event, field and reason."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from codec_events import (
    EVERYTHING,
    Aliased,
    Closed,
    Constrained,
    Everything,
    Floats,
    HoldsOpaque,
    Item,
    Opaque,
    Plain,
    Slots,
    Unresolvable,
    Validated,
    decode,
)

from aspyx_event import DeclarationError, EventDescriptor
from aspyx_event.codecs import JsonCodec
from aspyx_event.exceptions import DecodeError, EncodeError


def test_validators_run_on_receive():
    assert decode(Validated, '{"count": 1, "name": "UPPER"}').name == "upper"
    with pytest.raises(DecodeError, match=r"field 'name': .*this name is taken"):
        decode(Validated, '{"count": 1, "name": "forbidden"}')
    with pytest.raises(DecodeError, match=r"field 'count': .*greater than 0"):
        decode(Constrained, '{"count": 0}')


def test_aliases_are_the_names_on_the_wire_and_field_names_are_read_too():
    body = JsonCodec().encode(Aliased(orderId=1, parsed="[1]"), EventDescriptor.of(Aliased))
    assert json.loads(body) == {"orderId": 1, "parsed": "[1]"}
    assert decode(Aliased, '{"order_id": 5, "parsed": "[]"}').order_id == 5


def test_unknown_fields_are_tolerated_unless_the_class_forbids_them():
    assert decode(Plain, '{"number": 1, "added later": {"x": [1]}}') == Plain(1)
    with pytest.raises(DecodeError, match=r"codec\.strict.*extra.*[Ee]xtra inputs are not permitted"):
        decode(Closed, '{"number": 1, "extra": 2}')


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"text": "s3cret"}', ["field 'number'", "required"]),
        ('{"number": "s3cret"}', ["field 'number'", "integer"]),
        ('{"number": 1, "text": ["s3cret"]}', ["field 'text'", "string"]),
        ('["s3cret"]', ["codec.plain"]),
        ('"s3cret"', ["codec.plain"]),
        ("null", ["codec.plain"]),
        ("", ["codec.plain", "JSON"]),
        ("s3cret", ["codec.plain", "JSON"]),
        ('{"number": 1', ["codec.plain", "JSON"]),
        (b'{"number": 1, "text": "s3cret\xff"}', ["codec.plain", "JSON"]),
        ('{"number": 1}'.encode("utf-16"), ["codec.plain", "JSON"]),
        ("[" * 50_000, ["codec.plain", "JSON"]),
        ('{"number":' * 50_000, ["codec.plain"]),
    ],
    ids=[
        "missing",
        "wrong",
        "nested",
        "list",
        "string",
        "null",
        "empty",
        "text",
        "cut",
        "latin",
        "utf16",
        "deep",
        "deeper",
    ],
)
def test_a_wrong_body_is_a_decode_error_naming_event_field_and_reason_and_never_the_value(body, words):
    with pytest.raises(DecodeError) as caught:
        decode(Plain, body)
    for word in ["codec.plain", *words]:
        assert word in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_many_problems_are_cut_short():
    with pytest.raises(DecodeError, match=r"\(and \d+ more\)"):
        decode(Everything, "{}")


@pytest.mark.parametrize(
    "sent",
    [
        Plain("not a number"),
        Plain(1, None),
        Constrained(0),
        Slots("no bytes", Item("x", Decimal(1))),
        Slots(b"x", "no item"),
        Validated.model_construct(count="x", name="n"),
        Floats(1.0, [object()]),
        Plain(1, "\ud800"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_value_that_the_class_does_not_allow_is_an_encode_error(sent):
    descriptor = EventDescriptor.of(type(sent))
    with pytest.raises(EncodeError, match=descriptor.name):
        JsonCodec().encode(sent, descriptor)


def test_an_object_in_any_must_be_writable():
    sent = Everything(**{**vars(EVERYTHING), "anything": Opaque()})
    with pytest.raises(EncodeError, match=r"codec\.everything.*cannot be written as JSON.*Opaque"):
        JsonCodec().encode(sent, EventDescriptor.of(Everything))


@pytest.mark.parametrize("cls", [Unresolvable, HoldsOpaque])
def test_a_class_whose_fields_cannot_be_analysed_is_refused_when_it_is_prepared(cls):
    with pytest.raises(DeclarationError, match=rf"{cls.__name__} cannot be analysed: .*annotations must name classes"):
        JsonCodec().prepare(EventDescriptor.of(cls))
