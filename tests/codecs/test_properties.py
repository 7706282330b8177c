"""AX-05 as a property: whatever an event of many field types holds, it arrives equal."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import BaseModel

from aspyx_event import EventDescriptor, event
from aspyx_event.codecs import JsonCodec
from aspyx_event.exceptions import DecodeError, EncodeError


class Suit(Enum):
    HEARTS = "h"
    SPADES = 4


@dataclass(frozen=True)
class Leaf:
    raw: bytes
    amount: Decimal


class Branch(BaseModel):
    leaf: Leaf
    more: dict[str, Leaf] = {}


@event(name="codec.tree")
class Tree(BaseModel):
    at: datetime
    day: date
    span: timedelta
    id: UUID
    suit: Suit
    amount: Decimal
    raw: bytes
    text: str
    number: int
    ratio: float
    flags: set[bool]
    pair: tuple[int, str]
    either: int | str | None
    branch: Branch
    branches: list[Branch]
    anything: Any


TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=30)
DECIMALS = some.decimals(allow_nan=False, allow_infinity=False)
LEAVES = some.builds(Leaf, raw=some.binary(max_size=30), amount=DECIMALS)
BRANCHES = some.builds(Branch, leaf=LEAVES, more=some.dictionaries(TEXT, LEAVES, max_size=3))
OFFSETS = some.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = some.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**60), 2**60) | TEXT,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
TREES = some.builds(
    Tree,
    at=MOMENTS,
    day=some.dates(),
    span=some.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
    id=some.uuids(),
    suit=some.sampled_from(Suit),
    amount=DECIMALS,
    raw=some.binary(max_size=100),
    text=TEXT,
    number=some.integers(),
    ratio=some.floats(allow_nan=False),
    flags=some.sets(some.booleans()),
    pair=some.tuples(some.integers(), TEXT),
    either=some.none() | some.integers() | TEXT,
    branch=BRANCHES,
    branches=some.lists(BRANCHES, max_size=3),
    anything=JSON,
)
CODEC, DESCRIPTOR = JsonCodec(), EventDescriptor.of(Tree)


@given(TREES)
@settings(max_examples=150, deadline=None)
def test_any_tree_arrives_equal(tree):
    received = CODEC.decode(CODEC.encode(tree, DESCRIPTOR), DESCRIPTOR)
    assert received == tree
    assert math.copysign(1, received.ratio) == math.copysign(1, tree.ratio)
    assert type(received.either) is type(tree.either)


@given(some.binary(max_size=200) | TEXT.map(str.encode))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_an_event_or_a_decode_error(body):
    with contextlib.suppress(DecodeError):
        assert isinstance(CODEC.decode(body, DESCRIPTOR), Tree)


@given(some.integers() | some.floats() | TEXT | some.binary(max_size=9) | some.none() | some.lists(some.integers()))
@settings(max_examples=150, deadline=None)
def test_whatever_is_put_into_a_field_is_readable_or_refused_at_once(value):
    tree = Tree.model_construct(**{**SAMPLE, "number": value})
    try:
        body = CODEC.encode(tree, DESCRIPTOR)
    except EncodeError:
        return
    assert isinstance(CODEC.decode(body, DESCRIPTOR).number, int)


SAMPLE = {
    "at": datetime(2020, 1, 1, tzinfo=timezone.utc),
    "day": date(2020, 1, 1),
    "span": timedelta(1),
    "id": UUID(int=1),
    "suit": Suit.SPADES,
    "amount": Decimal(1),
    "raw": b"",
    "text": "",
    "number": 1,
    "ratio": 1.0,
    "flags": set(),
    "pair": (1, ""),
    "either": None,
    "branch": Branch(leaf=Leaf(b"", Decimal(1))),
    "branches": [],
    "anything": None,
}
