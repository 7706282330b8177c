"""`JsonCodec`: JSON by pydantic, for dataclasses and models; validators run on receive, and once on send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from ..events import EventDescriptor
from ..exceptions import DecodeError, EncodeError, InvalidEventSchemaError
from ..schemas.compiled import CompiledClass, compile_class


class JsonCodec:
    """The default codec."""

    content_type = "application/json"

    def __init__(self) -> None:
        self._compiled: dict[type, CompiledClass] = {}

    def prepare(self, descriptor: EventDescriptor) -> None:
        self._of(descriptor)

    def encode(self, event: Any, descriptor: EventDescriptor) -> bytes:
        compiled = self._compiled.get(descriptor.type) or self._of(descriptor)
        try:
            # round_trip: only what a validator of this class reads, so no computed fields and no JSON within JSON.
            body = compiled.to_json(event, by_alias=True, round_trip=True, warnings=False)
            # Dataclasses accept any value. Validating here reports a wrong one to the sender, not to each receiver.
            compiled.validate_json(body, by_alias=True, by_name=True)
        except ValidationError as error:
            raise InvalidEventSchemaError(descriptor.name, _problems(error)) from error
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise EncodeError(f"event {descriptor.name!r} cannot be written as JSON: {error}") from error
        return body

    def decode(self, body: bytes, descriptor: EventDescriptor) -> Any:
        compiled = self._compiled.get(descriptor.type) or self._of(descriptor)
        try:
            # by_name: other senders may write the name of a field where this codec writes its alias.
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
            raise DecodeError(f"event {descriptor.name!r}: the payload is not a JSON object")
        upcasted = upcast(payload)
        try:
            # As JSON again, so that validators read it as if it came from the wire.
            current = to_json(upcasted, bytes_mode="base64", inf_nan_mode="strings")
        except (PydanticSerializationError, ValueError) as error:
            raise DecodeError(f"event {descriptor.name!r}: the result of the upcasters is not JSON: {error}") from error
        return self.decode(current, descriptor)

    def _of(self, descriptor: EventDescriptor) -> CompiledClass:
        compiled = self._compiled.get(descriptor.type)
        if compiled is None:
            compiled = self._compiled[descriptor.type] = compile_class(descriptor.type, descriptor.name)
        return compiled


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
