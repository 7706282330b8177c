"""One schema reads what another writes, or it is told where it does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from aspyx_event import EventDescriptor, event
from aspyx_event.contracts.compatibility import refusals
from aspyx_event.schemas.examples import example_of


def schema_of(**fields):
    """The schema of an object; a field is a schema, or a pair of one and a default."""
    return {
        "type": "object",
        "properties": {name: one[0] if isinstance(one, tuple) else one for name, one in fields.items()},
        "required": [name for name, one in fields.items() if not isinstance(one, tuple)],
    }


INTEGER, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}


def said(reader, writer, **options):
    return [(one.field, one.reason) for one in refusals(reader, writer, **options)]


@pytest.mark.parametrize(
    ("reader", "writer", "found"),
    [
        (INTEGER, INTEGER, None),
        (NUMBER, INTEGER, None),
        ({}, INTEGER, None),
        (True, INTEGER, None),
        (INTEGER, False, None),
        ({"title": "A", "description": "x", "default": 3, **INTEGER}, INTEGER, None),
        ({"anyOf": [INTEGER, TEXT]}, TEXT, None),
        ({"type": ["integer", "null"]}, {"type": "null"}, None),
        ({"enum": [1, 2]}, {"const": 2}, None),
        ({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 5}, None),
        (NUMBER, {"enum": [1, 2]}, None),
        ({"minimum": 1, **INTEGER}, {"exclusiveMinimum": 1, **INTEGER}, None),
        (INTEGER, NUMBER, "expects an integer, gets a number"),
        (INTEGER, TEXT, "expects an integer, gets a string"),
        (INTEGER, {}, "expects an integer, gets anything"),
        (False, INTEGER, "accepts nothing"),
        (INTEGER, {"type": ["integer", "null"]}, "expects an integer, gets null"),
        (TEXT, {"anyOf": [INTEGER, TEXT]}, "expects a string, gets an integer"),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, 'does not accept "b"'),
        ({"enum": ["a"]}, TEXT, 'accepts only "a", gets anything'),
        ({"const": "a"}, {"const": "b"}, 'does not accept "b"'),
        ({"format": "date", **TEXT}, TEXT, "expects the format 'date', gets any"),
        ({"format": "date", **TEXT}, {"format": "time", **TEXT}, "expects the format 'date', gets 'time'"),
        ({"pattern": "^a", **TEXT}, {"pattern": "^b", **TEXT}, "expects the pattern '^a', gets '^b'"),
        ({"minLength": 2, **TEXT}, TEXT, "expects at least 2 characters, may get fewer"),
        ({"maxLength": 2, **TEXT}, {"maxLength": 3, **TEXT}, "expects at most 2 characters, may get more"),
        ({"minimum": 1, **INTEGER}, {"minimum": 0, **INTEGER}, "expects numbers >= 1, may get smaller ones"),
        ({"exclusiveMinimum": 1, **INTEGER}, {"minimum": 1, **INTEGER}, "expects numbers > 1, may get smaller ones"),
        ({"maximum": 1, **INTEGER}, INTEGER, "expects numbers <= 1, may get larger ones"),
        ({"multipleOf": 2, **INTEGER}, INTEGER, "expects the multipleOf 2, gets any"),
        ({"contentEncoding": "base64", **TEXT}, TEXT, "contentEncoding differs and cannot be compared"),
    ],
)
def test_values(reader, writer, found):
    assert [reason for _, reason in said(reader, writer)] == ([] if found is None else [found])


@pytest.mark.parametrize(
    ("reader", "writer", "found"),
    [
        # A reader ignores what it does not know, and has defaults for what it need not get.
        (schema_of(a=INTEGER), schema_of(a=INTEGER, b=TEXT), []),
        (schema_of(a=INTEGER, b=(TEXT, "")), schema_of(a=INTEGER), []),
        (schema_of(a=INTEGER, b=TEXT), schema_of(a=INTEGER), [("b", "is required, but is not there")]),
        (schema_of(a=INTEGER), schema_of(a=(INTEGER, 1)), [("a", "is required, but may be missing")]),
        (schema_of(renamed=INTEGER), schema_of(a=INTEGER), [("renamed", "is required, but is not there")]),
        (
            {**schema_of(a=INTEGER), "additionalProperties": False},
            schema_of(a=INTEGER, b=TEXT),
            [("b", "is unknown, and unknown fields are forbidden")],
        ),
        (
            schema_of(a=schema_of(b=TEXT)),
            schema_of(a=schema_of(b=INTEGER)),
            [("a.b", "expects a string, gets an integer")],
        ),
        (
            schema_of(a={"type": "array", "items": schema_of(b=TEXT)}),
            schema_of(a={"type": "array", "items": schema_of()}),
            [("a[].b", "is required, but is not there")],
        ),
        (
            schema_of(a={"type": "array", "prefixItems": [TEXT, TEXT]}),
            schema_of(a={"type": "array", "prefixItems": [TEXT, INTEGER]}),
            [("a[1]", "expects a string, gets an integer")],
        ),
        (
            schema_of(a={"type": "array", "uniqueItems": True}),
            schema_of(a={"type": "array", "minItems": 1}),
            [("a", "expects unique items, may get duplicates")],
        ),
        (
            schema_of(a={"type": "object", "additionalProperties": TEXT}),
            schema_of(a={"type": "object", "additionalProperties": INTEGER}),
            [("a.*", "expects a string, gets an integer")],
        ),
        (
            schema_of(a={"type": "object", "additionalProperties": False}),
            schema_of(a={"type": "object", "additionalProperties": INTEGER}),
            [("a.*", "may have any name, but unknown fields are forbidden")],
        ),
    ],
)
def test_fields(reader, writer, found):
    assert said(reader, writer) == found


def test_a_writer_of_all_fields_leaves_none_out():
    reader, writer = schema_of(a=INTEGER), schema_of(a=(INTEGER, 1))
    assert said(reader, writer, writes_all=True) == []
    assert said(reader, schema_of(), writes_all=True) == [("a", "is required, but is not there")]


def test_schemas_that_have_themselves_inside_come_to_an_end():
    tree = {
        "$defs": {"T": schema_of(kids={"type": "array", "items": {"$ref": "#/$defs/T"}}, n=INTEGER)},
        "$ref": "#/$defs/T",
    }
    other = {
        "$defs": {"T": schema_of(kids={"type": "array", "items": {"$ref": "#/$defs/T"}}, n=TEXT)},
        "$ref": "#/$defs/T",
    }
    assert said(tree, tree) == []
    assert said(tree, other) == [
        ("kids[].n", "expects an integer, gets a string"),
        ("n", "expects an integer, gets a string"),
    ]
    circle = {"$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, TEXT]}}, "$ref": "#/$defs/A"}
    assert said(circle, TEXT) == []
    assert said({"allOf": [{"$ref": "#"}]}, {"allOf": [{"$ref": "#"}]}) == []


class Old(Enum):
    WEB = "web"


class New(Enum):
    WEB = "web"
    PHONE = "phone"


@dataclass
class Line:
    article: str
    amount: Annotated[int, Field(ge=1)] = 1


@event(name="compatibility.first")
@dataclass
class First:
    number: int
    total: Decimal
    channel: Old
    lines: list[Line]
    note: str | None = None


@event(name="compatibility.first")
class Second(BaseModel):
    number: int | str
    total: Decimal
    channel: New
    lines: list[Line] = []
    note: str | None = None
    later: str = ""


def test_what_pydantic_writes_is_understood():
    first, second = EventDescriptor.of(First).schema, EventDescriptor.of(Second).schema
    assert said(second, first) == []
    assert said(first, second, writes_all=True) == [
        ("channel", 'does not accept "phone"'),
        ("number", "expects an integer, gets a string"),
    ]


@pytest.mark.parametrize(
    ("reader", "taken", "refused"),
    [
        ({"type": "string", "maxLength": 2}, ["a", "ab"], ["abc"]),
        ({"type": "string", "minLength": 1}, ["a"], [""]),
        ({"type": "string", "pattern": "^a+$"}, ["aa"], ["b"]),
        ({"type": "string", "pattern": "(?<name"}, [], ["a"]),
        ({"type": "string", "format": "date"}, [], ["2026-01-01"]),
        ({"type": "integer", "minimum": 2, "exclusiveMaximum": 4}, [2, 3], [1, 4]),
        ({"type": "number", "multipleOf": 0.5}, [1.5], [0.7]),
    ],
)
def test_a_value_that_the_writer_always_gives_has_to_be_within_the_reader_s_bounds(reader, taken, refused):
    for one in taken:
        assert said(reader, {"const": one}) == []
    for one in refused:
        assert said(reader, {"const": one}) == [("", f"does not accept {json.dumps(one)}")]
        assert said(reader, {"enum": [*taken, one]}) == [("", f"does not accept {json.dumps(one)}")]


LEAVES = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, {"enum": ["a", 1]}, {"const": "b"}]),
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
        st.integers(-5, 5),
        st.integers(0, 5),
    ),
    st.builds(
        lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size},
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    st.just({"type": "number"}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one: {"type": "array", "items": one}, inner),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
        st.builds(
            lambda fields, required, closed: {
                "type": "object",
                "properties": fields,
                "required": sorted(required & set(fields)),
                **({"additionalProperties": False} if closed else {}),
            },
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            st.sets(st.sampled_from("abc")),
            st.booleans(),
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS)
def test_every_schema_reads_itself(schema):
    assert refusals(schema, schema) == []


@settings(max_examples=300, deadline=None)
@example({"type": "string", "maxLength": 0}, {"const": "b"})
@given(SCHEMAS, SCHEMAS)
def test_what_is_called_readable_is_read(reader, writer):
    # The example has all fields, so only those that the writer never has can be missing.
    if not refusals(reader, writer, writes_all=True):
        Draft202012Validator(writer).validate(example_of(writer))
        Draft202012Validator(reader).validate(example_of(writer))
