"""JSON by pydantic, for dataclasses and models alike; validators run on receive, and once on send.

Beyond pydantic's defaults, so that every value survives the way: bytes are written in base64 (RFC 4648 section 5),
infinities and NaN as the strings "Infinity", "-Infinity" and "NaN". A class that configures these itself keeps its
own setting. Unknown fields are ignored, unless the class forbids them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import (
    PydanticSerializationError,
    SchemaError,
    SchemaSerializer,
    SchemaValidator,
    from_json,
    to_json,
)

from ..events import EventDescriptor
from ..exceptions import DeclarationError, DecodeError, EncodeError, InvalidEventSchemaError

_CONFIG = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "strings"}
_CONFIGURABLE = frozenset({"model", "dataclass", "typed-dict"})


class _Compiled(NamedTuple):
    # The methods themselves: a function around them would cost a tenth of what they do.
    to_json: Callable[..., bytes]
    validate_json: Callable[..., Any]

    def validate(self, body: bytes) -> Any:
        # Other senders may write the name of a field where we write its alias.
        return self.validate_json(body, by_alias=True, by_name=True)


class JsonCodec:
    """The default codec."""

    content_type = "application/json"

    def __init__(self) -> None:
        self._compiled: dict[type, _Compiled] = {}

    def prepare(self, descriptor: EventDescriptor) -> None:
        self._of(descriptor)

    def encode(self, event: Any, descriptor: EventDescriptor) -> bytes:
        compiled = self._compiled.get(descriptor.type) or self._of(descriptor)
        try:
            # round_trip: what a validator of this class reads, so neither computed fields nor JSON within JSON.
            body = compiled.to_json(event, by_alias=True, round_trip=True, warnings=False)
            # Dataclasses take any value. Here the sender learns of a wrong one, not every receiver for itself.
            compiled.validate_json(body, by_alias=True, by_name=True)
        except ValidationError as error:
            raise InvalidEventSchemaError(descriptor.name, _problems(error)) from error
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise EncodeError(f"event {descriptor.name!r} cannot be written as JSON: {error}") from error
        return body

    def decode(self, body: bytes, descriptor: EventDescriptor) -> Any:
        compiled = self._compiled.get(descriptor.type) or self._of(descriptor)
        try:
            return compiled.validate_json(body, by_alias=True, by_name=True)
        except ValidationError as error:
            raise DecodeError(f"event {descriptor.name!r}: {_explain(error)}") from error

    def decode_older(
        self, body: bytes, descriptor: EventDescriptor, upcast: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Any:
        try:
            payload = from_json(body)
        except ValueError as error:
            raise DecodeError(f"event {descriptor.name!r}: {error}") from error
        if not isinstance(payload, dict):
            raise DecodeError(f"event {descriptor.name!r}: the payload is no JSON object")
        made = upcast(payload)
        try:
            # As JSON again, so that validators read it as they would have from the wire.
            current = to_json(made, bytes_mode="base64", inf_nan_mode="strings")
        except (PydanticSerializationError, ValueError) as error:
            raise DecodeError(f"event {descriptor.name!r}: what the upcasters made is no JSON: {error}") from error
        return self.decode(current, descriptor)

    def _of(self, descriptor: EventDescriptor) -> _Compiled:
        compiled = self._compiled.get(descriptor.type)
        if compiled is None:
            compiled = self._compiled[descriptor.type] = _compile(descriptor)
        return compiled


def _compile(descriptor: EventDescriptor) -> _Compiled:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(descriptor.type)
        if not adapter.pydantic_complete:
            adapter.rebuild(force=True, raise_errors=True)
        schema = _configured(adapter.core_schema)
        # False: nested models must not bring the serializers they were built with, which lack our configuration.
        return _Compiled(
            SchemaSerializer(schema, None, False).to_json, SchemaValidator(schema, None, False).validate_json
        )
    except (
        PydanticUserError,
        PydanticSchemaGenerationError,
        PydanticUndefinedAnnotation,
        SchemaError,
        NameError,
    ) as error:
        reason = str(error).partition("\n")[0]  # what follows is about pydantic's own classes
        raise DeclarationError(
            f"event {descriptor.name!r}: the fields of {descriptor.type.__qualname__} cannot be analysed: {reason} "
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


def _explain(error: ValidationError) -> str:
    texts = _problems(error)
    return "; ".join(texts[:3]) + (f" (and {len(texts) - 3} more)" if len(texts) > 3 else "")


def _problems(error: ValidationError) -> list[str]:
    # The input is left out: bodies may be confidential.
    texts = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"])
        texts.append(f"field {where!r}: {problem['msg']}" if where else problem["msg"])
    return texts
