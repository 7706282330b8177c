"""Serializer and validator of an event class, compiled by pydantic.

Beyond pydantic's defaults, so that every value survives the round trip: bytes are written in base64 (RFC 4648 section 5),
infinities and NaN as the strings "Infinity", "-Infinity" and "NaN". A class that configures these itself keeps its
own setting. Unknown fields are ignored, unless the class forbids them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import SchemaError, SchemaSerializer, SchemaValidator

from ..exceptions import DeclarationError

_CONFIG = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "strings"}
_CONFIGURABLE = frozenset({"model", "dataclass", "typed-dict"})


class CompiledClass(NamedTuple):
    """The two methods of pydantic themselves: a function around them would cost a tenth of what they do."""

    to_json: Callable[..., bytes]
    validate_json: Callable[..., Any]


def compile_class(cls: type, event_name: str) -> CompiledClass:
    """Return serializer and validator of *cls*.

    Raises:
        DeclarationError: a field cannot be analysed; the message names the event, the class and the reason.
    """
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(cls)
        if not adapter.pydantic_complete:
            adapter.rebuild(force=True, raise_errors=True)
        schema = _configured(adapter.core_schema)
        # False: nested models must not bring the serializers they were built with, which lack our configuration.
        return CompiledClass(
            SchemaSerializer(schema, None, False).to_json, SchemaValidator(schema, None, False).validate_json
        )
    except (
        PydanticUserError,
        PydanticSchemaGenerationError,
        PydanticUndefinedAnnotation,
        SchemaError,
        NameError,
    ) as error:
        reason = str(error).partition("\n")[0]  # the further lines are about pydantic's own classes
        raise DeclarationError(
            f"event {event_name!r}: the fields of {cls.__qualname__} cannot be analysed: {reason} "
            "(annotations must name classes that pydantic knows and that are visible in the class's module)"
        ) from error


def _configured(node: Any) -> Any:
    """Return a copy of a core schema with our configuration where the class has none of its own."""
    if isinstance(node, dict):
        # Defaults and metadata are the user's values, not schemas.
        copy = {key: value if key in ("metadata", "default") else _configured(value) for key, value in node.items()}
        if copy.get("type") in _CONFIGURABLE:
            copy["config"] = {**_CONFIG, **(copy.get("config") or {})}
        return copy
    if isinstance(node, list):
        return [_configured(item) for item in node]
    if type(node) is tuple:
        return tuple(_configured(item) for item in node)
    return node
