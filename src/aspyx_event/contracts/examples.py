"""An example of what a JSON Schema describes: the same one each time, from the schema alone."""

from __future__ import annotations

import importlib
import math
import re
import sys
from typing import Any

from ..exceptions import DeclarationError

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
#: Schemas inside each other that are followed, where they have no end.
MAX_DEPTH = 20


class ExampleError(DeclarationError):
    """No example could be made of a schema; the message names the field and the cure."""


def example_of(schema: dict[str, Any]) -> Any:
    """Return a value that *schema* describes, with all fields, also those that may be left out.

    Examples and defaults of the schema are taken where it has them.

    Raises:
        ExampleError: it asks for what cannot be guessed, a text of an unusual pattern for instance.
    """
    return _Maker(schema).make(schema, "", (), 0)


class _Maker:
    """Makes the values of one schema.

    Args:
        root: The schema that references begin in.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def make(self, schema: Any, where: str, inside: tuple[str, ...], variant: int) -> Any:
        """Return a value.

        Args:
            schema: Of the value.
            where: Path of the field, for errors and as text.
            inside: References that led here; a second time is an end that cannot be reached.
            variant: Which of several values that must differ.
        """
        if not isinstance(schema, dict) or not schema:
            return _TEXT
        for known in ("examples", "enum"):
            values = schema.get(known)
            if isinstance(values, list) and values:
                return values[variant % len(values)]
        if "const" in schema:
            return schema["const"]
        if schema.get("default") not in (None, [], {}, ""):
            return schema["default"]
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in inside:
                raise ExampleError(f"field {where!r} has itself inside, without an end")
            return self.make(self._found(reference, where), where, (*inside, reference), variant)
        if "allOf" in schema:
            return self.make(merged(self._root, schema), where, inside, variant)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            return self._first(choices, where, inside, variant)
        return self._typed(schema, where, inside, variant)

    def _first(self, choices: list[Any], where: str, inside: tuple[str, ...], variant: int) -> Any:
        # Null says least. A decimal is a number too, and is written as a text.
        ranked = sorted(choices, key=lambda one: (_is_null(one), not _is_decimal(one)))
        failed: ExampleError | None = None
        for choice in ranked:
            try:
                return self.make(choice, where, inside, variant)
            except ExampleError as error:
                failed = failed or error
        raise failed or ExampleError(f"field {where!r} has no alternative")

    def _typed(self, schema: dict[str, Any], where: str, inside: tuple[str, ...], variant: int) -> Any:
        kind = _type_of(schema)
        if kind == "object":
            return self._object(schema, where, inside)
        if kind == "array":
            return self._array(schema, where, inside)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer", variant=variant)
        if kind == "boolean":
            return variant % 2 == 0
        return None if kind == "null" else _text(schema, where, variant)

    def _object(self, schema: dict[str, Any], where: str, inside: tuple[str, ...]) -> dict[str, Any]:
        made = {}
        required = schema.get("required", ())
        for name, one in schema.get("properties", {}).items():
            try:
                made[name] = self.make(one, f"{where}.{name}" if where else name, inside, 0)
            except ExampleError:
                if name in required:
                    raise
        for name in required:
            made.setdefault(name, _TEXT)
        more = schema.get("additionalProperties")
        if not made and isinstance(more, dict):
            keys = schema.get("propertyNames")
            try:
                for number in range(max(1, schema.get("minProperties", 1))):
                    # A schema does not tell that keys are numbers; a number is a text too.
                    key = self.make({"type": "string", **keys}, "key", inside, number) if keys else number + 1
                    made[str(key)] = self.make(more, f"{where}.{key}" if where else str(key), inside, number)
            except ExampleError:
                if schema.get("minProperties"):
                    raise
        return made

    def _array(self, schema: dict[str, Any], where: str, inside: tuple[str, ...]) -> list[Any]:
        items = schema.get("items")
        tuple_items = schema.get("prefixItems") or (items if isinstance(items, list) else None)
        if tuple_items:
            return [self.make(one, f"{where}.{number}", inside, 0) for number, one in enumerate(tuple_items)]
        least = schema.get("minItems", 0)
        if schema.get("maxItems", 1) == 0:
            return []
        try:
            return [self.make(items, f"{where}.{number}", inside, number) for number in range(max(1, least))]
        except ExampleError:
            if least:
                raise
            return []

    def _found(self, reference: str, where: str) -> Any:
        found = resolve(self._root, reference)
        if found is None:
            raise ExampleError(f"field {where!r}: {reference!r} is not in the schema")
        return found


def resolve(root: Any, reference: str) -> Any:
    """Return what a reference like ``#/$defs/Line`` leads to in *root*; None where it leads nowhere."""
    found = root
    if not reference.startswith("#"):
        return None
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(name)] if name.isdigit() and int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, dict) else None
    return found


def merged(root: Any, schema: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return *schema* with what its ``allOf`` says put beside it."""
    made = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        one = part
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            one = resolve(root, part["$ref"])
        if isinstance(one, dict) and "allOf" in one:
            one = merged(root, one, depth + 1) if depth < MAX_DEPTH else {}
        for key, value in (one if isinstance(one, dict) else {}).items():
            if key == "properties":
                made[key] = {**made.get(key, {}), **value}
            elif key == "required":
                made[key] = [*made.get(key, ()), *value]
            else:
                made.setdefault(key, value)
    return made


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _is_decimal(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("format") == "decimal"


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
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
    found = math.ceil(start / step) * step
    if found == schema.get("exclusiveMinimum"):
        found += step
    if found == schema.get("exclusiveMaximum"):
        found = found - step if low is None else (low + high) / 2
    found += variant * step
    return int(found) if whole else float(round(found, 9))


def _text(schema: dict[str, Any], where: str, variant: int) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    pattern = schema.get("pattern")
    if pattern is None and schema.get("format") in _FORMATS:
        text = _FORMATS[schema["format"]]
        return text if not variant else text[:-1] + str(variant % 10)
    if pattern is not None:
        text = _sample(pattern)
        if not re.search(pattern, text) or len(text) < least or (most is not None and len(text) > most):
            raise ExampleError(
                f"field {where!r}: no text for the pattern {pattern!r} could be guessed; give the field an example: "
                "Field(examples=[...])"
            )
        return text
    text = where.rpartition(".")[2] or _TEXT
    text = _TEXT if text.isdigit() else text
    text = f"{text}-{variant + 1}" if variant else text
    text = text if len(text) >= least else (text + "-") * (least // (len(text) + 1) + 1)
    return text[: max(least, min(len(text), most if most is not None else len(text)))]


def _sample(pattern: str) -> str:
    """Return a text that a regular expression may match; whether it does is for the caller to see."""
    try:
        parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
        return "".join(_part(one) for one in parser.parse(pattern))
    except (re.error, KeyError, IndexError, ImportError, OverflowError):
        return _TEXT


def _part(token: Any) -> str:
    name, value = str(token[0]), token[1]
    if name == "LITERAL":
        return chr(value)
    if name == "ANY":
        return "a"
    if name == "NOT_LITERAL":
        return "a" if value != ord("a") else "b"
    if name == "IN":
        return _one_of(value)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, inner = value
        return "".join(_part(one) for one in inner) * min(max(int(least), 1), int(most))
    if name == "SUBPATTERN":
        return "".join(_part(one) for one in value[-1])
    if name == "BRANCH":
        return "".join(_part(one) for one in value[1][0])
    return ""


def _one_of(members: list[Any]) -> str:
    first, value = str(members[0][0]), members[0][1]
    if first == "NEGATE":
        taken = "".join(_one_of([one]) for one in members[1:])
        return next(one for one in "a1-_ Z" if one not in taken)
    if first == "RANGE":
        return chr(value[0])
    if first == "CATEGORY":
        return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}.get(str(value), "-")
    return chr(value)
