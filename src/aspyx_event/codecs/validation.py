"""Checks events against the JSON Schemas that their declarations have."""

from __future__ import annotations

import json
from typing import Any

from pydantic import AwareDatetime, TypeAdapter

from ..events import EventDescriptor
from ..exceptions import InvalidEventSchemaError
from ..free_form import FreeFormEvent
from ..schemas.json_schema import jsonschema, validator_class
from .json import JsonCodec

# Keywords whose messages name fields and no values of the payload, which may be confidential.
_NAMES_ONLY = frozenset({"required", "additionalProperties", "unevaluatedProperties", "dependentRequired"})
_MAX_VALUE = 120


class SchemaValidation:
    """Checks events against the JSON Schemas that their declarations have. Each manager has its own.

    Attributes:
        enabled: False checks nothing.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._json = JsonCodec()
        self._validators: dict[str, tuple[Any, Any]] = {}

    def check(self, event: Any, descriptor: EventDescriptor) -> None:
        """Check an event; does nothing where its declaration has no schema.

        Raises:
            InvalidEventSchemaError: it does not satisfy the schema.
            EncodeError: it cannot be written.
        """
        if not self.enabled or descriptor.declared_schema is None:
            return
        # As JSON, whatever codec writes it later: a JSON Schema describes nothing else.
        body = event.write()[0] if isinstance(event, FreeFormEvent) else self._json.encode(event, descriptor)
        errors = self.errors(json.loads(body), descriptor)
        if errors:
            raise InvalidEventSchemaError(descriptor.name, errors, "its schema")

    def errors(self, payload: Any, descriptor: EventDescriptor) -> list[str]:
        """Return what is wrong with a payload, a line for each problem: its place in the payload, and the reason."""
        cached = self._validators.get(descriptor.name)
        if cached is None or cached[0] is not descriptor.declared_schema:
            cached = self._validators[descriptor.name] = (descriptor.declared_schema, _validator_of(descriptor))
        validator = cached[1]
        try:
            errors = sorted(
                validator.iter_errors(payload), key=lambda error: [str(part) for part in error.absolute_path]
            )
        except Exception as error:  # noqa: BLE001  such as references in a circle
            return [f"the schema cannot be applied: {type(error).__name__}: {error}"[: 2 * _MAX_VALUE]]
        return [_line(error) for error in errors]


def _validator_of(descriptor: EventDescriptor) -> Any:
    import referencing

    schema = descriptor.schema
    # A registry that loads nothing: a schema must not make this process open connections.
    return validator_class(schema, descriptor.name)(
        schema, registry=referencing.Registry(), format_checker=_format_checker()
    )


def _format_checker() -> Any:
    """Return a checker of all formats, also of the format that jsonschema leaves to another package."""
    checker = jsonschema().FormatChecker()
    checker.checks("date-time", raises=ValueError)(_is_date_time)
    return checker


def _is_date_time(value: object) -> bool:
    if isinstance(value, str):
        adapter: TypeAdapter[Any] = TypeAdapter(AwareDatetime)
        adapter.validate_json(json.dumps(value), strict=True)
    return True


def _line(error: Any) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator in _NAMES_ONLY:
        reason = error.message
    else:
        expected = json.dumps(error.validator_value, ensure_ascii=False)
        reason = (
            f"does not satisfy {error.validator}: {expected[:_MAX_VALUE]}{'…' if len(expected) > _MAX_VALUE else ''}"
        )
    return f"field {where!r}: {reason}" if where else reason
