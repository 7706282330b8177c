"""JSON Schemas of event classes: generated from the class, or declared and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from ..exceptions import DeclarationError, InvalidSchemaError, MissingDriverError
from .compiled import compile_class

Schema = dict[str, Any]
#: Dialect of schemas that state none.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Values in a schema, not schemas.
_VALUES = frozenset({"const", "enum", "default", "examples", "example"})
_MAX_MESSAGE = 120

_generated: WeakKeyDictionary[type, Schema] = WeakKeyDictionary()


def schema_of(cls: type, event_name: str, declared: Schema | None) -> Schema:
    """Return the JSON Schema of an event's payload: *declared*, or that of the class. The caller may change it.

    Raises:
        DeclarationError: the class has fields that JSON Schema cannot express.
    """
    if declared is not None:
        return deepcopy(declared)
    schema = _generated.get(cls)
    if schema is None:
        schema = _generated[cls] = _generate(cls, event_name)
    return deepcopy(schema)


def _generate(cls: type, event_name: str) -> Schema:
    from .generator import SchemaGenerator

    compile_class(cls, event_name)  # first, because its message about a class that cannot be analysed is better
    try:
        schema = TypeAdapter(cls).json_schema(by_alias=True, schema_generator=SchemaGenerator, mode="validation")
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        reason = str(error).partition("\n")[0]
        raise DeclarationError(
            f"event {event_name!r}: {cls.__qualname__} has no JSON Schema: {reason}; declare it: @event(schema=...)"
        ) from error
    return cast("Schema", _writable(schema))


def _writable(value: Any) -> Any:
    """Return a schema without the numbers that JSON does not have; they travel as strings."""
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def checked(schema: Mapping[str, Any] | str, event_name: str) -> Schema:
    """Return a copy of a declared schema, as a dict.

    Raises:
        InvalidSchemaError: it is not JSON, is not a JSON Schema, or has a reference that leads nowhere.
        MissingDriverError: jsonschema is not installed.
    """
    what = f"event {event_name!r}: schema"
    if isinstance(schema, str):
        try:
            document = json.loads(schema)
        except ValueError as error:
            raise InvalidSchemaError(f"{what} is not JSON: {error}") from error
    else:
        document = schema
    if not isinstance(document, Mapping):
        raise InvalidSchemaError(
            f"{what} is {type(document).__name__}; declare a JSON Schema as a mapping or as JSON text"
        )
    try:
        copy = cast("Schema", json.loads(json.dumps(dict(document), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise InvalidSchemaError(f"{what} has a value that JSON cannot write: {error}") from error
    validator = validator_class(copy, event_name)
    try:
        validator.check_schema(copy)
    except jsonschema().SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its root"
        raise InvalidSchemaError(f"{what} is not a JSON Schema at {where}: {error.message[:_MAX_MESSAGE]}") from error
    for where, reference in _unresolvable_references(copy):
        raise InvalidSchemaError(
            f"{what} refers at {where or 'its root'} to {reference!r}, which is not in it; "
            "nothing is loaded from elsewhere"
        )
    return copy


def jsonschema() -> Any:
    """Import jsonschema.

    Raises:
        MissingDriverError: it is not installed.
    """
    try:
        import jsonschema
    except ImportError as error:
        raise MissingDriverError(
            "@event(schema=...) needs jsonschema, which is not installed: pip install 'aspyx-event[schema]'"
        ) from error
    return jsonschema


def validator_class(schema: Schema, event_name: str) -> Any:
    """Return the class of jsonschema that validates the dialect of *schema*.

    Raises:
        InvalidSchemaError: jsonschema does not know the dialect.
        MissingDriverError: jsonschema is not installed.
    """
    validators = jsonschema().validators
    dialect = schema.get("$schema")
    validator = validators.validator_for(schema, default=None if dialect else validators.Draft202012Validator)
    if validator is None:
        raise InvalidSchemaError(
            f"event {event_name!r}: schema has the unknown $schema {dialect!r}; leave it out, or write {DIALECT!r}"
        )
    return validator


def _unresolvable_references(schema: Schema) -> Iterator[tuple[str, str]]:
    """Iterate over the references that lead nowhere: where each stands, and its text."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, specification_with

    specification = specification_with(schema.get("$schema", DIALECT), default=DRAFT202012)
    registry: Registry[Any] = Registry()  # loads nothing: a schema must not make this process open connections
    root = registry.resolver_with_root(specification.create_resource(schema))

    def unresolvable(node: Any, resolver: Any, where: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, dict):
            if where and isinstance(node.get("$id", node.get("id")), str):
                resolver = resolver.in_subresource(specification.create_resource(node))
            for key, item in node.items():
                if key != "$ref" or not isinstance(item, str):
                    if key not in _VALUES:
                        yield from unresolvable(item, resolver, f"{where}/{key}")
                    continue
                try:
                    resolver.lookup(item)
                except (Unresolvable, ValueError, TypeError):  # the last two: a pointer into a list or a value
                    yield where, item
        elif isinstance(node, list):
            for number, item in enumerate(node):
                yield from unresolvable(item, resolver, f"{where}/{number}")

    yield from unresolvable(schema, root, "")
