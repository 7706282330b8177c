"""JSON Schemas of events: read off their classes, checked where they are declared, and events checked against them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydantic import AwareDatetime, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from ..codecs.json import JsonCodec
from ..events import EventDescriptor
from ..exceptions import DeclarationError, InvalidEventSchemaError, InvalidSchemaError, MissingDriverError
from ..free_form import FreeFormEvent

Schema = dict[str, Any]
#: What schemas of events are written in, unless they say otherwise themselves.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Values in a schema, not schemas.
_VALUES = frozenset({"const", "enum", "default", "examples", "example"})
# Problems whose text names fields and no values of the payload, which may be confidential.
_NAMES_ONLY = frozenset({"required", "additionalProperties", "unevaluatedProperties", "dependentRequired"})
_SHOWN = 120

_of_class: WeakKeyDictionary[type, Schema] = WeakKeyDictionary()


def schema_of(descriptor: EventDescriptor) -> Schema:
    """Return the JSON Schema of an event's payload, for the caller to keep.

    Raises:
        DeclarationError: the class has fields that JSON Schema cannot tell.
    """
    if descriptor.declared_schema is not None:
        return deepcopy(descriptor.declared_schema)
    known = _of_class.get(descriptor.type)
    if known is None:
        known = _of_class[descriptor.type] = _class_schema(descriptor)
    return deepcopy(known)


def _class_schema(descriptor: EventDescriptor) -> Schema:
    from .written import AsWritten

    # Prepared first, because what is wrong with the class itself has a better message there.
    JsonCodec().prepare(descriptor)
    try:
        made = TypeAdapter(descriptor.type).json_schema(by_alias=True, schema_generator=AsWritten, mode="validation")
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        reason = str(error).partition("\n")[0]
        raise DeclarationError(
            f"event {descriptor.name!r}: {descriptor.type.__qualname__} has no JSON Schema: {reason}; "
            "give one: @event(schema=...)"
        ) from error
    return cast("Schema", _writable(made))


def _writable(value: Any) -> Any:
    """Return a schema without numbers that JSON does not have; they travel as texts."""
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def checked(schema: Mapping[str, Any] | str, event_name: str) -> Schema:
    """Return a declared schema as a dict of its own.

    Raises:
        InvalidSchemaError: it is no JSON, or no JSON Schema, or refers to what is not there.
        MissingDriverError: jsonschema is not installed.
    """
    what = f"event {event_name!r}: schema"
    if isinstance(schema, str):
        try:
            made = json.loads(schema)
        except ValueError as error:
            raise InvalidSchemaError(f"{what} is no JSON: {error}") from error
    else:
        made = schema
    if not isinstance(made, Mapping):
        raise InvalidSchemaError(f"{what} is {type(made).__name__}; give a JSON Schema as a mapping or as JSON text")
    try:
        own = cast("Schema", json.loads(json.dumps(dict(made), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise InvalidSchemaError(f"{what} has what JSON cannot write: {error}") from error
    kind = _validator_class(own, event_name)
    try:
        kind.check_schema(own)
    except _jsonschema().SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its root"
        raise InvalidSchemaError(f"{what} is no JSON Schema at {where}: {error.message[:_SHOWN]}") from error
    for where, reference in _references(own):
        if not _is_there(own, reference):
            raise InvalidSchemaError(
                f"{what} refers at {where or 'its root'} to {reference!r}, which is not in it; nothing is loaded from elsewhere"
            )
    return own


def _jsonschema() -> Any:
    try:
        import jsonschema
    except ImportError as error:
        raise MissingDriverError(
            "@event(schema=...) needs jsonschema, which is not installed: pip install 'aspyx-event[schema]'"
        ) from error
    return jsonschema


def _validator_class(schema: Schema, event_name: str) -> Any:
    validators = _jsonschema().validators
    dialect = schema.get("$schema")
    found = validators.validator_for(schema, default=None if dialect else validators.Draft202012Validator)
    if found is None:
        raise InvalidSchemaError(
            f"event {event_name!r}: schema has the unknown $schema {dialect!r}; leave it out, or write {DIALECT!r}"
        )
    return found


def _references(schema: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from _references(item, f"{where}/{number}")
    elif isinstance(schema, dict):
        for key, item in schema.items():
            if key == "$ref" and isinstance(item, str):
                yield where, item
            elif key not in _VALUES:
                yield from _references(item, f"{where}/{key}")


def _is_there(schema: Schema, reference: str) -> bool:
    # What has names of its own inside is found out by the first payload; texts alone do not tell.
    if '"$id"' in (text := json.dumps(schema)) or '"$anchor"' in text or '"$dynamicAnchor"' in text:
        return True
    found: Any = schema
    if not reference.startswith("#"):
        return False
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return False
    return True


class SchemaValidation:
    """Checks events against the JSON Schemas that their declarations have. Belongs to one manager.

    Attributes:
        enabled: Check at all.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._json = JsonCodec()
        self._validators: dict[str, tuple[Any, Any]] = {}

    def check(self, event: Any, descriptor: EventDescriptor) -> None:
        """Check one event; nothing happens where its declaration has no schema.

        Raises:
            InvalidEventSchemaError: it is not what the schema says.
            EncodeError: it cannot be written.
        """
        if not self.enabled or descriptor.declared_schema is None:
            return
        # In JSON, whatever codec writes it later: schemas speak of nothing else.
        body = event.write()[0] if isinstance(event, FreeFormEvent) else self._json.encode(event, descriptor)
        errors = self.errors(json.loads(body), descriptor)
        if errors:
            raise InvalidEventSchemaError(descriptor.name, errors, "its schema")

    def errors(self, payload: Any, descriptor: EventDescriptor) -> list[str]:
        """Return what is wrong with a payload, a line for each thing: the place in it, and why."""
        known = self._validators.get(descriptor.name)
        if known is None or known[0] is not descriptor.declared_schema:
            known = self._validators[descriptor.name] = (descriptor.declared_schema, _validator_of(descriptor))
        validator = known[1]
        try:
            found = sorted(
                validator.iter_errors(payload), key=lambda error: [str(part) for part in error.absolute_path]
            )
        except Exception as error:  # noqa: BLE001  references that lead nowhere, and patterns without an end
            return [f"the schema cannot be applied: {type(error).__name__}: {error}"[: 2 * _SHOWN]]
        return [_line(error) for error in found]


def _validator_of(descriptor: EventDescriptor) -> Any:
    import referencing

    schema = schema_of(descriptor)
    kind = _validator_class(schema, descriptor.name)
    # A registry that loads nothing: a schema must not make this process open connections.
    return kind(schema, registry=referencing.Registry(), format_checker=_formats())


def _formats() -> Any:
    """Return a checker of all formats, also those that jsonschema leaves to a further package."""
    checker = _jsonschema().FormatChecker()
    checker.checks("date-time", raises=ValueError)(_is_moment)
    return checker


def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        moment: TypeAdapter[Any] = TypeAdapter(AwareDatetime)
        moment.validate_json(json.dumps(value), strict=True)
    return True


def _line(error: Any) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator in _NAMES_ONLY:
        reason = error.message
    else:
        wanted = json.dumps(error.validator_value, ensure_ascii=False)
        reason = f"does not satisfy {error.validator}: {wanted[:_SHOWN]}{'…' if len(wanted) > _SHOWN else ''}"
    return f"field {where!r}: {reason}" if where else reason
