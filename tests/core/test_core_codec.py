"""AX-05: what the fields of an event may be, and that they arrive as they were sent."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ConfigDict, Field, Json, computed_field, field_validator
from typing_extensions import TypedDict

from aspyx_event import DeclarationError, DecodeError, EncodeError, EventDescriptor, JsonCodec, event

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict, total=False):
    verbose: bool


@dataclass(frozen=True)
class Item:
    name: str
    price: Decimal
    tags: frozenset[str] = frozenset()


class Customer(BaseModel):
    id: UUID
    born: date | None = None


@event(name="codec.everything")
@dataclass
class Everything:
    at: datetime
    day: date
    hour: time
    span: timedelta
    id: UUID
    colour: Colour
    size: Size
    price: Decimal
    raw: bytes
    numbers: set[int]
    pair: tuple[int, str]
    many: tuple[float, ...]
    maybe: Optional[int]  # noqa: UP045  the old way to write it must work too
    either: Union[int, str]  # noqa: UP007
    modern: int | None
    word: Literal["a", "b"]
    anything: Any
    item: Item
    items: list[Item]
    by_name: dict[str, Item]
    by_number: dict[int, Colour]
    customer: Customer
    perhaps: Customer | None
    point: Point
    options: Options
    flags: frozenset[Colour] = frozenset()
    created: list[int] = field(default_factory=list)


EVERYTHING = Everything(
    at=datetime(2024, 2, 29, 23, 59, 59, 999999, timezone(timedelta(hours=-3, minutes=-30))),
    day=date(2024, 2, 29),
    hour=time(1, 2, 3, 4),
    span=timedelta(days=-1, microseconds=1),
    id=uuid4(),
    colour=Colour.BLUE,
    size=Size.LARGE,
    price=Decimal("12345678901234567890.10"),
    raw=bytes(range(256)),
    numbers={1, 2, 3},
    pair=(1, "one"),
    many=(1.5, -0.0, 1e300),
    maybe=None,
    either="5",
    modern=7,
    word="b",
    anything={"nested": [1, 2.5, None, True, "x"]},
    item=Item("i", Decimal("0.10"), frozenset({"t"})),
    items=[Item("a", Decimal(1)), Item("b", Decimal("2.50"))],
    by_name={"k": Item("c", Decimal(3))},
    by_number={1: Colour.RED},
    customer=Customer(id=uuid4(), born=date(1999, 1, 1)),
    perhaps=None,
    point=Point(1, 2),
    options={"verbose": True},
    flags=frozenset({Colour.RED}),
    created=[1],
)


@event(name="codec.slots")
@dataclass(slots=True)
class Slots:
    raw: bytes
    item: Item


@event(name="codec.generic")
class Page(BaseModel, Generic[T]):
    content: list[T]


@event(name="codec.validated")
class Validated(BaseModel):
    count: int = Field(gt=0)
    name: str

    @field_validator("name")
    @classmethod
    def lower(cls, value: str) -> str:
        if value == "forbidden":
            raise ValueError("this name is taken")
        return value.lower()


@event(name="codec.constrained")
@dataclass
class Constrained:
    count: Annotated[int, Field(gt=0)]


@event(name="codec.float")
@dataclass
class Floats:
    value: float
    more: list[float] = field(default_factory=list)


@event(name="codec.plain")
@dataclass
class Plain:
    number: int
    text: str = "default"


@event(name="codec.strict")
class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


@event(name="codec.own-config")
class OwnConfig(BaseModel):
    model_config = ConfigDict(ser_json_bytes="utf8", val_json_bytes="utf8")
    raw: bytes


@event(name="codec.unresolvable")
@dataclass
class Unresolvable:
    thing: NoSuchClass  # noqa: F821  that is the point


@event(name="codec.aliased")
class Aliased(BaseModel):
    order_id: int = Field(alias="orderId")
    parsed: Json[list[int]]

    @computed_field
    @property
    def double(self) -> int:
        return 2 * self.order_id


@event(name="codec.forward")
@dataclass
class Forward:
    later: Later
    inner: list[ForwardModel]
    computed: int = field(init=False, default=3)


class ForwardModel(BaseModel):
    later: Later | None = None


class Later(BaseModel):
    number: int


class Opaque:
    """A class that JSON knows nothing of."""


@event(name="codec.opaque")
@dataclass
class HoldsOpaque:
    thing: Opaque


def round_trip(sent):
    codec, descriptor = JsonCodec(), EventDescriptor.of(type(sent))
    body = codec.encode(sent, descriptor)
    json.loads(body)
    # Another codec: nothing may be remembered from the encoding side.
    return JsonCodec().decode(body, descriptor)


def decode(cls: type, body: bytes | str):
    return JsonCodec().decode(body.encode() if isinstance(body, str) else body, EventDescriptor.of(cls))


def test_ax_05_every_kind_of_field_arrives_as_it_was_sent():
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
def test_ax_05_models_slots_and_generics_arrive_as_they_were_sent(sent):
    received = round_trip(sent)
    assert received == sent
    assert type(received) is type(sent)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1, 5e-324])
def test_ax_05_infinities_and_extremes_survive(value):
    assert round_trip(Floats(value, [value])) == Floats(value, [value])


def test_ax_05_nan_survives_and_the_body_stays_json():
    codec, descriptor = JsonCodec(), EventDescriptor.of(Floats)
    body = codec.encode(Floats(math.nan), descriptor)
    json.loads(body, parse_constant=pytest.fail)
    assert math.isnan(codec.decode(body, descriptor).value)


def test_ax_05_validators_run_on_receive():
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
    ids=repr,
)
def test_a_value_that_the_class_does_not_allow_is_an_encode_error(sent):
    descriptor = EventDescriptor.of(type(sent))
    with pytest.raises(EncodeError, match=descriptor.name):
        JsonCodec().encode(sent, descriptor)


def test_a_harmless_difference_in_type_is_written_all_the_same():
    assert round_trip(Floats(1, [2])) == Floats(1.0, [2.0])
    assert round_trip(Plain(True)) == Plain(1)


def test_an_object_in_any_must_be_writable():
    sent = Everything(**{**vars(EVERYTHING), "anything": Opaque()})
    with pytest.raises(EncodeError, match=r"codec\.everything.*cannot be written as JSON.*Opaque"):
        JsonCodec().encode(sent, EventDescriptor.of(Everything))


@pytest.mark.parametrize("cls", [Unresolvable, HoldsOpaque])
def test_a_class_whose_fields_cannot_be_analysed_is_refused_when_it_is_prepared(cls):
    with pytest.raises(DeclarationError, match=rf"{cls.__name__} cannot be analysed: .*annotations must name classes"):
        JsonCodec().prepare(EventDescriptor.of(cls))


def test_twenty_megabytes_arrive():
    big = Plain(1, "ä" * 10_000_000)
    assert round_trip(big) == big
