"""JSON by pydantic, for dataclasses and models alike; validators run on receive.

Beyond pydantic's defaults, so that every value survives the way: bytes are written in base64 (RFC 4648 section 5),
infinities and NaN as the strings "Infinity", "-Infinity" and "NaN". A class that configures these itself keeps its
own setting. Unknown fields are ignored, unless the class forbids them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import PydanticSerializationError, SchemaError, SchemaSerializer, SchemaValidator

from ..events import EventDescriptor
from ..exceptions import DeclarationError, DecodeError, EncodeError

_CONFIG = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "strings"}
_CONFIGURABLE = frozenset({"model", "dataclass", "typed-dict"})


class _Compiled(NamedTuple):
    serializer: SchemaSerializer
    validator: SchemaValidator


class JsonCodec:
    """The default codec."""

    content_type = "application/json"

    def __init__(self) -> None:
        self._compiled: dict[type, _Compiled] = {}

    def prepare(self, descriptor: EventDescriptor) -> None:
        self._of(descriptor)

    def encode(self, event: Any, descriptor: EventDescriptor) -> bytes:
        compiled = self._of(descriptor)
        try:
            return compiled.serializer.to_json(event, warnings="error")
        except PydanticSerializationError:
            return self._encode_loosely(compiled, event, descriptor)

    def _encode_loosely(self, compiled: _Compiled, event: Any, descriptor: EventDescriptor) -> bytes:
        """Encode an event whose values are not exactly what its class says, if a receiver can read it all the same.

        A list for a tuple is harmless; a text for a number would only be found by the receivers, too late.
        """
        try:
            body = compiled.serializer.to_json(event, warnings=False)
            compiled.validator.validate_json(body)
        except ValidationError as error:
            raise EncodeError(f"event {descriptor.name!r} is not what its class says: {_explain(error)}") from error
        except PydanticSerializationError as error:
            raise EncodeError(f"event {descriptor.name!r} cannot be written as JSON: {error}") from error
        return body

    def decode(self, body: bytes, descriptor: EventDescriptor) -> Any:
        try:
            return self._of(descriptor).validator.validate_json(body)
        except ValidationError as error:
            raise DecodeError(f"event {descriptor.name!r}: {_explain(error)}") from error

    def _of(self, descriptor: EventDescriptor) -> _Compiled:
        compiled = self._compiled.get(descriptor.type)
        if compiled is None:
            compiled = self._compiled[descriptor.type] = _compile(descriptor)
        return compiled


def _compile(descriptor: EventDescriptor) -> _Compiled:
    try:
        schema = _configured(TypeAdapter(descriptor.type).core_schema)
        # False: nested models must not bring the serializers they were built with, which lack our configuration.
        return _Compiled(SchemaSerializer(schema, None, False), SchemaValidator(schema, None, False))
    except (
        PydanticUserError,
        PydanticSchemaGenerationError,
        PydanticUndefinedAnnotation,
        SchemaError,
        NameError,
    ) as error:
        raise DeclarationError(
            f"event {descriptor.name!r}: the fields of {descriptor.type.__qualname__} cannot be analysed: {error}. "
            "Annotations must name classes that are visible in the class's module"
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
    # The input is left out: bodies may be confidential.
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    texts = []
    for problem in problems[:3]:
        where = ".".join(str(part) for part in problem["loc"])
        texts.append(f"field {where!r}: {problem['msg']}" if where else problem["msg"])
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return "; ".join(texts) + more
