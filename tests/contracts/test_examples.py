"""Examples are made of schemas alone, are the same each time, and are read by the classes they are made for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt

from aspyx_event import DeclarationError, EventDescriptor, event
from aspyx_event.codecs import JsonCodec
from aspyx_event.schemas.examples import example_of


class Colour(Enum):
    RED = 1
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: float


class Tree(BaseModel):
    left: Tree | None = None
    kids: list[Tree] = []
    by_name: dict[str, Tree] = {}
    name: str


@event(name="examples.all")
@dataclass
class All:
    number: int
    share: Annotated[float, Field(gt=0, lt=1)]
    negative: Annotated[int, Field(lt=0)]
    sevens: Annotated[int, Field(ge=10, multiple_of=7)]
    positive: PositiveInt
    weight: NonNegativeFloat
    money: Decimal
    cents: Annotated[Decimal, Field(max_digits=4, decimal_places=2)]
    raw: bytes
    at: datetime
    day: date
    hour: time
    span: timedelta
    key: UUID
    link: AnyUrl
    address: IPv4Address
    pair: tuple[int, str]
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    counts: dict[str, int]
    by_number: dict[int, Tree]
    by_colour: dict[Literal["red", "blue"], int]
    three: Annotated[set[str], Field(min_length=3)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+(x|y)$")]
    short: Annotated[str, Field(max_length=1)]
    long: Annotated[str, Field(min_length=30, max_length=31)]
    tree: Tree
    colour: Colour
    anything: Any
    maybe: int | None = None
    chosen: Annotated[str, Field(examples=["this one", "that one"])] = "default"
    more: list[Cat] = field(default_factory=list)


def test_an_example_is_read_by_its_class():
    descriptor = EventDescriptor.of(All)
    made = example_of(descriptor.schema)
    assert made == example_of(descriptor.schema)
    found = JsonCodec().decode(json.dumps(made).encode(), descriptor)
    assert set(made) == set(All.__dataclass_fields__), "fields that may be left out are there too"
    assert (found.chosen, found.maybe, found.more) == ("this one", 1, [Cat(kind="cat", lives=1)])
    assert found.tree.left is None
    # What a sender would write is read again.
    assert JsonCodec().decode(JsonCodec().encode(found, descriptor), descriptor) == found


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({}, "text"),
        ({"const": 7}, 7),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "null"}, None),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "integer", "minimum": 5, "maximum": 6}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "number", "exclusiveMaximum": 0}, -0.5),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "maxItems": 0}, []),
        ({"prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [1, True]),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"b": 2, "a": 1}),
        ({"properties": {"a": {"type": "string"}}, "required": ["b"]}, {"a": "a", "b": "text"}),
        ({"additionalProperties": {"type": "integer"}, "minProperties": 2}, {"1": 1, "2": 2}),
        ({"type": "string", "pattern": "^[^a-c]x.*(?:one|two)\\w+$"}, "1xaonea"),
    ],
)
def test_what_schemas_say_is_followed(schema, made):
    assert example_of(schema) == made


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string", "pattern": "^(?=.*b)(?!b)a$"}},
                "required": ["a"],
            },
            "'a'",
        ),
        ({"$ref": "#/$defs/gone"}, "'#/$defs/gone' is not in the schema"),
        ({"$ref": "#"}, "contains itself"),
        (
            {"$defs": {"A": {"required": ["a"], "properties": {"a": {"$ref": "#/$defs/A"}}}}, "$ref": "#/$defs/A"},
            "contains itself",
        ),
    ],
)
def test_what_cannot_be_guessed_is_named(schema, words):
    with pytest.raises(DeclarationError, match="field") as caught:
        example_of(schema)
    assert words in str(caught.value)


@event(name="examples.given")
class Given(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "only this"}]})
    code: str


def test_the_examples_of_a_class_come_first():
    assert example_of(EventDescriptor.of(Given).schema) == {"code": "only this"}
