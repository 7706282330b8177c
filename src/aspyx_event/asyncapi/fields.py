"""Lists the fields of a schema as rows of a table, with references resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..schemas.references import MAX_DEPTH, merge_all_of, resolve

_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "multiple of {}",
    "pattern": "pattern {}",
}
_SIZES = (
    ("minLength", "maxLength", "character"),
    ("minItems", "maxItems", "item"),
    ("minProperties", "maxProperties", "entry"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table.

    Attributes:
        name: Name of the field; for an alternative or the items of a list, a description.
        depth: Nesting depth; 0 for the fields of the payload itself.
        type: Type in words.
        required: Whether the field must be present.
        description: Description from the schema.
        notes: Limits of the values, and the default.
        values: All allowed values, as JSON; empty if the schema does not list them.
    """

    name: str
    depth: int
    type: str
    required: bool
    description: str
    notes: tuple[str, ...]
    values: tuple[str, ...]


def fields_of(root: Any, schema: Any) -> list[Field]:
    """Return the fields of *schema* in their order, each followed by its nested fields.

    Args:
        root: Document or schema in which references are resolved.
        schema: Schema of a payload, or a reference to it.
    """
    return list(_nested_fields(root, schema, 0, ()))


def resolved(root: Any, schema: Any) -> dict[str, Any]:
    """Return *schema* with the references and ``allOf`` at its top resolved. Keywords beside a reference are kept."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict):
            return {}
        if isinstance(schema.get("$ref"), str):
            siblings = {key: value for key, value in schema.items() if key != "$ref"}
            target = resolve(root, schema["$ref"])
            schema = {**(target if isinstance(target, dict) else {}), **siblings}
        elif "allOf" in schema:
            schema = merge_all_of(root, schema)
        else:
            return schema
    return {}


def _nested_fields(root: Any, schema: Any, depth: int, parents: tuple[str, ...]) -> Iterator[Field]:
    """Yield the fields of an object, of the items of a list, or of the alternatives of a union."""
    references = _references(schema)
    if depth > 8 or set(references) & set(parents):
        return
    parents += references
    plain = resolved(root, schema)
    required = plain.get("required", ())
    for name, field_schema in _mapping(plain.get("properties")).items():
        yield _field(root, name, field_schema, depth, required=name in required)
        yield from _nested_fields(root, field_schema, depth + 1, parents)
    for items in _items(plain):
        yield from _nested_fields(root, items, depth, parents)
    if isinstance(plain.get("additionalProperties"), dict):
        yield from _nested_fields(root, plain["additionalProperties"], depth, parents)
    alternatives = [alternative for alternative in _alternatives(plain) if _has_fields(root, alternative)]
    several = len(alternatives) > 1
    for alternative in alternatives:
        if several:
            yield Field(f"as {type_of(root, alternative)}", depth, "", False, "", (), ())
        yield from _nested_fields(root, alternative, depth + several, parents)


def _field(root: Any, name: str, schema: Any, depth: int, *, required: bool) -> Field:
    plain = resolved(root, schema)
    bounded = [plain, *(resolved(root, alternative) for alternative in _alternatives(plain))]
    bounds = [text.format(bound[key]) for bound in bounded for key, text in _BOUNDS.items() if key in bound]
    notes = list(dict.fromkeys(bounds))
    notes += [_size(plain, low, high, unit) for low, high, unit in _SIZES if low in plain or high in plain]
    if plain.get("uniqueItems"):
        notes.append("unique items")
    if "default" in plain and plain["default"] is not None:
        notes.append(f"default {json.dumps(plain['default'], ensure_ascii=False)}")
    allowed = [plain["const"]] if "const" in plain else plain.get("enum", ())
    values = tuple(json.dumps(value, ensure_ascii=False) for value in allowed)
    description = str(plain.get("description") or "")
    return Field(name, depth, type_of(root, schema), required, description, tuple(notes), values)


def _size(schema: Mapping[str, Any], low: str, high: str, unit: str) -> str:
    minimum, maximum = schema.get(low), schema.get(high)
    units = "entries" if unit == "entry" else f"{unit}s"
    if maximum is None:
        return f"at least {minimum} {unit if minimum == 1 else units}"
    if minimum == maximum:
        return f"{maximum} {unit if maximum == 1 else units}"
    return f"{minimum} to {maximum} {units}" if minimum else f"at most {maximum} {unit if maximum == 1 else units}"


def type_of(root: Any, schema: Any, depth: int = 0) -> str:
    """Return the type of a schema in words."""
    plain = resolved(root, schema)
    if not plain or depth > 4:
        return "anything"
    alternatives = _alternatives(plain)
    if alternatives:
        words = list(dict.fromkeys(type_of(root, alternative, depth + 1) for alternative in alternatives))
        return " or ".join(sorted(words, key=lambda word: word == "null"))
    kind = plain.get("type")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    if kind == "array":
        items = _items(plain)
        if isinstance(plain.get("prefixItems") or plain.get("items"), list):
            return f"[{', '.join(type_of(root, item, depth + 1) for item in items)}]"
        return f"list of {type_of(root, items[0], depth + 1)}" if items else "list"
    references = _references(schema)
    if kind == "object" or "properties" in plain:
        if isinstance(plain.get("additionalProperties"), dict) and not plain.get("properties"):
            return f"map of {type_of(root, plain['additionalProperties'], depth + 1)}"
        return references[-1].rpartition("/")[2] if references else "object"
    if kind is None:
        return "constant" if "const" in plain else "one of" if "enum" in plain else "anything"
    return f"{kind} · {plain['format']}" if "format" in plain else str(kind)


def _has_fields(root: Any, schema: Any) -> bool:
    return next(_nested_fields(root, schema, 0, ()), None) is not None


def _alternatives(schema: Mapping[str, Any]) -> list[Any]:
    return [alternative for key in ("anyOf", "oneOf") for alternative in schema.get(key, ())]


def _items(schema: Mapping[str, Any]) -> list[Any]:
    items = schema.get("prefixItems") or schema.get("items")
    if isinstance(items, list):
        return items
    return [items] if isinstance(items, dict) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _references(schema: Any) -> tuple[str, ...]:
    """Return the reference that a schema consists of, itself or as the only part of an ``allOf``; empty if none."""
    if not isinstance(schema, dict):
        return ()
    if isinstance(schema.get("$ref"), str):
        return (schema["$ref"],)
    parts = schema.get("allOf")
    return _references(parts[0]) if isinstance(parts, list) and len(parts) == 1 else ()
