"""Builds an example value from a JSON Schema: the same value each time, from the schema alone."""

from __future__ import annotations

import importlib
import math
import re
import sys
from typing import Any

from ..exceptions import DeclarationError
from .references import merge_all_of, resolve

_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H30M",
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "name-email": "Ada <ada@example.com>",
    "uri": "https://example.com/",
    "uri-reference": "/path",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipvanyaddress": "192.0.2.1",
    "ipv4network": "192.0.2.0/24",
    "ipv6network": "2001:db8::/32",
    "decimal": "9.90",
    "base64url": "ZGF0YQ==",
    "binary": "data",
    "path": "/path",
    "json-string": "{}",
    "regex": ".*",
}
_TEXT = "text"


class ExampleError(DeclarationError):
    """No example could be built from a schema. The message names the field and the remedy."""


def example_of(schema: dict[str, Any]) -> Any:
    """Return a value that *schema* describes, with all fields, including the optional ones.

    Examples and defaults in the schema are used where there are any.

    Raises:
        ExampleError: the schema requires a value that cannot be guessed, such as a text with an unusual pattern.
    """
    return _ExampleBuilder(schema).build(schema, "", (), 0)


class _ExampleBuilder:
    """Builds the values of a schema.

    Args:
        root: The schema that references are resolved in.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def build(self, schema: Any, path: str, references: tuple[str, ...], variant: int) -> Any:
        """Return a value.

        Args:
            schema: Of the value.
            path: Of the field; used in errors, and as text.
            references: References followed so far. Meeting the same reference again means endless recursion.
            variant: Number of the value, where several values must differ.
        """
        if not isinstance(schema, dict) or not schema:
            return _TEXT
        for keyword in ("examples", "enum"):
            values = schema.get(keyword)
            if isinstance(values, list) and values:
                return values[variant % len(values)]
        if "const" in schema:
            return schema["const"]
        if schema.get("default") not in (None, [], {}, ""):
            return schema["default"]
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in references:
                raise ExampleError(f"field {path!r} contains itself without end")
            return self.build(self._target(reference, path), path, (*references, reference), variant)
        if "allOf" in schema:
            return self.build(merge_all_of(self._root, schema), path, references, variant)
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            return self._first(alternatives, path, references, variant)
        return self._typed(schema, path, references, variant)

    def _first(self, alternatives: list[Any], path: str, references: tuple[str, ...], variant: int) -> Any:
        # Null is the least informative value. A decimal may also be a number, but is written as text.
        ranked = sorted(alternatives, key=lambda schema: (_is_null(schema), not _is_decimal(schema)))
        first_error: ExampleError | None = None
        for alternative in ranked:
            try:
                return self.build(alternative, path, references, variant)
            except ExampleError as error:
                first_error = first_error or error
        raise first_error or ExampleError(f"field {path!r} has no alternative")

    def _typed(self, schema: dict[str, Any], path: str, references: tuple[str, ...], variant: int) -> Any:
        kind = _type_of(schema)
        if kind == "object":
            return self._object(schema, path, references)
        if kind == "array":
            return self._array(schema, path, references)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer", variant=variant)
        if kind == "boolean":
            return variant % 2 == 0
        return None if kind == "null" else _text(schema, path, variant)

    def _object(self, schema: dict[str, Any], path: str, references: tuple[str, ...]) -> dict[str, Any]:
        fields = {}
        required = schema.get("required", ())
        for name, property_schema in schema.get("properties", {}).items():
            try:
                fields[name] = self.build(property_schema, f"{path}.{name}" if path else name, references, 0)
            except ExampleError:
                if name in required:
                    raise
        for name in required:
            fields.setdefault(name, _TEXT)
        more = schema.get("additionalProperties")
        if not fields and isinstance(more, dict):
            keys = schema.get("propertyNames")
            try:
                for number in range(max(1, schema.get("minProperties", 1))):
                    # A schema does not say whether keys are numbers; a number is valid text too.
                    key = self.build({"type": "string", **keys}, "key", references, number) if keys else number + 1
                    fields[str(key)] = self.build(more, f"{path}.{key}" if path else str(key), references, number)
            except ExampleError:
                if schema.get("minProperties"):
                    raise
        return fields

    def _array(self, schema: dict[str, Any], path: str, references: tuple[str, ...]) -> list[Any]:
        items = schema.get("items")
        tuple_items = schema.get("prefixItems") or (items if isinstance(items, list) else None)
        if tuple_items:
            return [self.build(item, f"{path}.{number}", references, 0) for number, item in enumerate(tuple_items)]
        minimum = schema.get("minItems", 0)
        if schema.get("maxItems", 1) == 0:
            return []
        try:
            return [self.build(items, f"{path}.{number}", references, number) for number in range(max(1, minimum))]
        except ExampleError:
            if minimum:
                raise
            return []

    def _target(self, reference: str, path: str) -> Any:
        target = resolve(self._root, reference)
        if target is None:
            raise ExampleError(f"field {path!r}: {reference!r} is not in the schema")
        return target


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _is_decimal(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("format") == "decimal"


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema or "additionalProperties" in schema else None
    if kind is None:
        kind = "array" if "items" in schema or "prefixItems" in schema else "string"
    return str(kind)


def _number(schema: dict[str, Any], *, whole: bool, variant: int) -> float | int:
    step = schema.get("multipleOf") or (1 if whole else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    start = 1 if whole else 1.5
    if low is not None and start <= low:
        start = low
    if high is not None and start >= high:
        start = high if low is None else low
    value = math.ceil(start / step) * step
    if value == schema.get("exclusiveMinimum"):
        value += step
    if value == schema.get("exclusiveMaximum"):
        value = value - step if low is None else (low + high) / 2
    value += variant * step
    return int(value) if whole else float(round(value, 9))


def _text(schema: dict[str, Any], path: str, variant: int) -> str:
    min_length, max_length = schema.get("minLength", 0), schema.get("maxLength")
    pattern = schema.get("pattern")
    if pattern is None and schema.get("format") in _FORMATS:
        text = _FORMATS[schema["format"]]
        return text if not variant else text[:-1] + str(variant % 10)
    if pattern is not None:
        text = _text_for(pattern)
        too_long = max_length is not None and len(text) > max_length
        if not re.search(pattern, text) or len(text) < min_length or too_long:
            raise ExampleError(
                f"field {path!r}: no text for the pattern {pattern!r} could be guessed; give the field an example: "
                "Field(examples=[...])"
            )
        return text
    text = path.rpartition(".")[2] or _TEXT
    text = _TEXT if text.isdigit() else text
    text = f"{text}-{variant + 1}" if variant else text
    text = text if len(text) >= min_length else (text + "-") * (min_length // (len(text) + 1) + 1)
    return text[: max(min_length, min(len(text), max_length if max_length is not None else len(text)))]


def _text_for(pattern: str) -> str:
    """Return a text that probably matches a regular expression. The caller checks whether it does."""
    try:
        parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
        return "".join(_text_for_token(token) for token in parser.parse(pattern))
    except (re.error, KeyError, IndexError, ImportError, OverflowError):
        return _TEXT


def _text_for_token(token: Any) -> str:
    name, value = str(token[0]), token[1]
    if name == "LITERAL":
        return chr(value)
    if name == "ANY":
        return "a"
    if name == "NOT_LITERAL":
        return "a" if value != ord("a") else "b"
    if name == "IN":
        return _character_in(value)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        minimum, maximum, inner = value
        return "".join(_text_for_token(part) for part in inner) * min(max(int(minimum), 1), int(maximum))
    if name == "SUBPATTERN":
        return "".join(_text_for_token(part) for part in value[-1])
    if name == "BRANCH":
        return "".join(_text_for_token(part) for part in value[1][0])
    return ""


def _character_in(members: list[Any]) -> str:
    first, value = str(members[0][0]), members[0][1]
    if first == "NEGATE":
        excluded = "".join(_character_in([member]) for member in members[1:])
        return next(character for character in "a1-_ Z" if character not in excluded)
    if first == "RANGE":
        return chr(value[0])
    if first == "CATEGORY":
        return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}.get(str(value), "-")
    return chr(value)
