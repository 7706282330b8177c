"""Events with every kind of field, for the tests of the codec."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, Json, computed_field, field_validator
from typing_extensions import TypedDict

from aspyx_event import EventDescriptor, event
from aspyx_event.codecs import JsonCodec

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
    thing: NoSuchClass  # type: ignore[name-defined]  # noqa: F821  that is the point


@event(name="codec.aliased")
class Aliased(BaseModel):
    order_id: int = Field(alias="orderId")
    parsed: Json[list[int]]

    @computed_field  # type: ignore[prop-decorator]
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
