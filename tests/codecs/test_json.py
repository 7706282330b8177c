"""AX-05: what the fields of an event may be, and that they arrive as they were sent."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest
from codec_events import (
    EVERYTHING,
    Aliased,
    Constrained,
    Floats,
    Forward,
    ForwardModel,
    Item,
    Later,
    OwnConfig,
    Page,
    Plain,
    Slots,
    Validated,
    round_trip,
)

from aspyx_event import EventDescriptor
from aspyx_event.codecs import JsonCodec


def test_every_kind_of_field_arrives_as_it_was_sent():
    received = round_trip(EVERYTHING)
    assert received == EVERYTHING
    assert {name: type(value) for name, value in vars(received).items()} == {
        name: type(value) for name, value in vars(EVERYTHING).items()
    }
    assert received.at.utcoffset() == EVERYTHING.at.utcoffset()
    assert str(received.price) == "12345678901234567890.10"


@pytest.mark.parametrize(
    "sent",
    [
        Slots(b"\xff\x00", Item("x", Decimal(1))),
        Page[Item](content=[Item("x", Decimal(1))]),
        Page[int](content=[1, 2]),
        Validated(count=1, name="x"),
        Constrained(2),
        OwnConfig(raw=b"plain"),
        Aliased(orderId=1, parsed="[1, 2]"),
        Forward(Later(number=1), [ForwardModel(later=Later(number=2))]),
        Plain(-(2**70), '\u0000\ud7ff\U0001f600"\\'),
    ],
    ids=lambda one: type(one).__name__,
)
def test_models_slots_and_generics_arrive_as_they_were_sent(sent):
    received = round_trip(sent)
    assert received == sent
    assert type(received) is type(sent)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1, 5e-324])
def test_infinities_and_extremes_survive(value):
    assert round_trip(Floats(value, [value])) == Floats(value, [value])


def test_nan_survives_and_the_body_stays_json():
    codec, descriptor = JsonCodec(), EventDescriptor.of(Floats)
    body = codec.encode(Floats(math.nan), descriptor)
    json.loads(body, parse_constant=pytest.fail)
    assert math.isnan(codec.decode(body, descriptor).value)


def test_twenty_megabytes_arrive():
    big = Plain(1, "ä" * 10_000_000)
    assert round_trip(big) == big


def test_a_harmless_difference_in_type_is_written_all_the_same():
    assert round_trip(Floats(1, [2])) == Floats(1.0, [2.0])
    assert round_trip(Plain(True)) == Plain(1)
