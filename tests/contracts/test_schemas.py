"""JSON Schemas: of classes, of declarations, and of what is sent."""

from __future__ import annotations

import builtins
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from aspyx_event import (
    DeclarationError,
    EventConfiguration,
    EventDescriptor,
    EventManager,
    GenericEvent,
    LocalProvider,
    event,
)
from aspyx_event.exceptions import (
    EncodeError,
    InvalidEventSchemaError,
    InvalidSchemaError,
    MissingDriverError,
    UnregisteredEventTypeError,
)

BABY = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "required": ["baby_name", "birth_date"],
    "properties": {
        "baby_name": {"type": "string", "minLength": 1},
        "birth_date": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "twins": {"type": "array", "items": {"$ref": "#/definitions/name"}},
    },
    "definitions": {"name": {"type": "string"}},
}


@event(name="schemas.baby-born", schema=BABY, description="A baby was born.", owner="ward", tags=("joy",))
@dataclass
class BabyBorn:
    baby_name: str
    birth_date: str
    twins: list[str] = field(default_factory=list)
    at: str = "2026-01-31T12:00:00Z"


@event(name="schemas.measured")
@dataclass
class Measured:
    """Something was measured."""

    value: float
    exact: Decimal
    raw: bytes
    limit: float = math.inf
    least: float = -math.inf
    lost: float = math.nan


@event(name="schemas.aliased")
class Aliased(BaseModel):
    inner: int = Field(alias="outer", description="Renamed.")


def test_the_schema_of_a_class_describes_what_travels():
    manager = EventManager(LocalProvider())
    schema = manager.events.add(Measured).schema
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["value", "exact", "raw"]
    assert schema["description"] == "Something was measured."
    assert schema["properties"]["raw"]["format"] == "base64url"
    assert {one.get("format") for one in schema["properties"]["exact"]["anyOf"]} == {None, "decimal"}
    # JSON has no infinity: it travels as a text.
    defaults = [schema["properties"][name]["default"] for name in ("limit", "least", "lost")]
    assert defaults == ["Infinity", "-Infinity", "NaN"]
    json.dumps(schema, allow_nan=False)


def test_fields_have_the_names_that_travel():
    assert list(EventDescriptor.of(Aliased).schema["properties"]) == ["outer"]


def test_a_declared_schema_is_what_an_event_has():
    descriptor = EventDescriptor.of(BabyBorn)
    assert descriptor.schema == descriptor.declared_schema == BABY
    assert (descriptor.description, descriptor.owner, descriptor.tags) == ("A baby was born.", "ward", {"joy"})


def test_a_schema_belongs_to_its_reader():
    for cls in (BabyBorn, Measured):
        EventDescriptor.of(cls).schema["properties"].clear()
        assert EventDescriptor.of(cls).schema["properties"]
    BABY["title"] = "changed later"
    assert "title" not in EventDescriptor.of(BabyBorn).schema
    del BABY["title"]


def test_an_event_may_be_asked_for_by_name_when_it_is_known():
    manager = EventManager(LocalProvider())
    with pytest.raises(UnregisteredEventTypeError):
        manager.events.by_name("schemas.measured")
    assert manager.events.add(Measured).schema == manager.events.by_name("schemas.measured").schema
    with pytest.raises(UnregisteredEventTypeError):
        manager.events.add(int)


@event(name="schemas.callable")
class WithCallable(BaseModel):
    call: Callable[[], int]


def test_a_class_that_json_schema_cannot_tell_is_named_with_the_cure():
    with pytest.raises(DeclarationError, match=r"'schemas.callable'.*declare it: @event\(schema="):
        _ = EventDescriptor.of(WithCallable).schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "is not JSON: Expecting"),
        ("[1]", "is list; declare a JSON Schema"),
        (7, "is int; declare a JSON Schema"),
        ({"type": "text"}, "is not a JSON Schema at type: 'text'"),
        ({"properties": {"n": {"minimum": "low"}}}, "is not a JSON Schema at properties/n/minimum: 'low'"),
        ({"required": "n"}, "is not a JSON Schema at required"),
        ({"$ref": "#/$defs/gone"}, "refers at its root to '#/$defs/gone', which is not in it"),
        (
            {"properties": {"a": {"$ref": "https://example.com/a.json"}}},
            "/properties/a to 'https://example.com/a.json'",
        ),
        ({"$id": "urn:a", "$ref": "urn:gone"}, "refers at its root to 'urn:gone', which is not in it"),
        ({"$defs": {"a": {"$id": "urn:a"}}, "$ref": "urn:a#/$defs/b"}, "refers at its root to 'urn:a#/$defs/b'"),
        ({"$defs": {"a": {"$anchor": "here"}}, "$ref": "#there"}, "refers at its root to '#there'"),
        ({"prefixItems": [True], "$ref": "#/prefixItems/last"}, "refers at its root to '#/prefixItems/last'"),
        ({"$schema": "https://example.com/own"}, "unknown $schema 'https://example.com/own'"),
        ({"default": {1, 2}}, "a value that JSON cannot write"),
        ({"maximum": math.inf}, "a value that JSON cannot write"),
    ],
)
def test_a_malformed_schema_is_an_error_of_the_declaration(schema, words):
    with pytest.raises(InvalidSchemaError) as caught:
        event(name="schemas.wrong", schema=schema)(dataclass(type("Wrong", (), {"__annotations__": {}})))
    assert "event 'schemas.wrong'" in str(caught.value)
    assert words in str(caught.value)
    assert isinstance(caught.value, DeclarationError)


def test_a_schema_may_be_a_text_and_of_any_draft():
    for dialect in ("draft-04/schema#", "draft-06/schema#", "draft-07/schema#"):
        text = json.dumps({"$schema": f"http://json-schema.org/{dialect}", "required": ["n"]})
        cls = event(name="schemas.text", schema=text)(dataclass(type("Text", (), {"__annotations__": {}})))
        assert EventDescriptor.of(cls).schema["required"] == ["n"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"$anchor": "here", "type": "integer"}}, "properties": {"n": {"$ref": "#here"}}},
        {
            "$id": "https://example.com/root",
            "$defs": {"a": {"$id": "inner", "$defs": {"b": {"type": "integer"}}, "$ref": "#/$defs/b"}},
            "properties": {"n": {"$ref": "inner"}},
        },
        {"$defs": {"a b/c": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/a%20b~1c"}}},
        {"properties": {"n": {"type": "integer"}, "$id": {"type": "string"}}},
        {"properties": {"n": {"type": "integer", "examples": [{"$ref": "a value, not a schema"}]}}},
    ],
)
def test_references_to_names_inside_the_schema_are_followed(schema):
    cls = event(name="schemas.named", schema=schema)(dataclass(type("Named", (), {"__annotations__": {"n": int}})))
    manager = EventManager(LocalProvider())
    manager.send_event(cls(1))
    manager.send_event(GenericEvent("schemas.named", {"n": 1}))
    with pytest.raises(InvalidEventSchemaError, match="field 'n': does not satisfy type"):
        manager.send_event(GenericEvent("schemas.named", {"n": "x"}))


async def test_what_is_not_like_its_schema_is_refused_before_it_is_sent():
    taken = []
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(BabyBorn, taken.append, name="ward", inline=True)
        with pytest.raises(InvalidEventSchemaError) as caught:
            manager.send_event(BabyBorn("", "yesterday", ["Tom"], "at noon"))
        good = BabyBorn("Ada", "2026-01-31", ["Tom"])
        await manager.send_event(good)
    assert caught.value.event_name == "schemas.baby-born"
    assert caught.value.errors == [
        "field 'at': does not satisfy format: \"date-time\"",
        "field 'baby_name': does not satisfy minLength: 1",
        "field 'birth_date': does not satisfy format: \"date\"",
    ]
    assert isinstance(caught.value, (EncodeError, ValueError))
    # Payloads may be confidential.
    assert "yesterday" not in str(caught.value)
    assert taken == [good]


async def test_objects_that_travel_as_they_are_are_checked_too():
    taken = []
    async with EventManager(LocalProvider(copy=False)) as manager:
        await manager.subscribe(BabyBorn, taken.append, name="ward", inline=True)
        with pytest.raises(InvalidEventSchemaError, match="minLength"):
            manager.send_event(BabyBorn("", "2026-01-31"))
        good = BabyBorn("Ada", "2026-01-31")
        await manager.send_event(good)
    assert [one is good for one in taken] == [True]


async def test_the_check_can_be_switched_off():
    taken = []
    bad = BabyBorn("", "yesterday")
    unchecked = EventConfiguration(validate_schema=False)
    async with EventManager(LocalProvider(), configuration=unchecked) as manager:
        await manager.subscribe(BabyBorn, taken.append, name="ward", inline=True)
        await manager.send_event(bad)
        with pytest.raises(InvalidEventSchemaError):
            EventManager(LocalProvider()).send_event(bad)
    assert taken == [bad]


def test_what_is_not_like_its_class_is_refused_by_the_same_error():
    manager = EventManager(LocalProvider())
    with pytest.raises(InvalidEventSchemaError) as caught:
        manager.send_event(Measured("warm", Decimal(1), b""))  # type: ignore[arg-type]
    assert caught.value.errors[0].startswith("field 'value'")
    assert caught.value.__cause__.error_count() == 1  # type: ignore[attr-defined]


@event(name="schemas.looping", schema={"$ref": "#"})
@dataclass
class Looping:
    n: int


def test_a_schema_that_refers_to_itself_without_end_refuses_the_event():
    with pytest.raises(InvalidEventSchemaError, match="the schema cannot be applied"):
        EventManager(LocalProvider()).send_event(Looping(1))


def test_a_reference_to_another_document_loads_nothing(monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("something was loaded"))
    with pytest.raises(InvalidSchemaError, match="nothing is loaded from elsewhere"):
        event(name="schemas.elsewhere", schema={"$ref": "https://example.com/a.json"})(Looping)


def test_many_errors_are_counted():
    error = InvalidEventSchemaError("a.b", ["one", "two", "three", "four", "five"])
    assert str(error) == "event 'a.b' is not what its class says: one; two; three (and 2 more)"
    assert len(error.errors) == 5


def test_a_schema_without_jsonschema_names_what_to_install(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "jsonschema":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDriverError, match=r"pip install 'aspyx-event\[schema\]'"):
        event(name="schemas.needs", schema={"type": "object"})(BabyBorn)


def test_events_without_a_class_are_held_to_the_schema_of_their_name():
    manager = EventManager(LocalProvider())
    manager.events.add(BabyBorn)
    with pytest.raises(InvalidEventSchemaError, match="'birth_date' is a required property"):
        manager.send_event(GenericEvent("schemas.baby-born", {"baby_name": "Ada"}))
    manager.send_event(GenericEvent("schemas.baby-born", {"baby_name": "Ada", "birth_date": "2026-01-31"}))
    manager.send_event(GenericEvent("schemas.other", {"baby_name": 7}))
