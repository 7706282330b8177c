"""The fields of a schema as lines of a table, references followed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..schemas.references import merge_all_of, resolve

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
    """One line of a table.

    Attributes:
        name: Name of the field; an alternative, or the items of a list, where it has none.
        depth: 0 for the fields of the payload itself.
        type: In words.
        required: It must be there.
        description: What its author says.
        notes: What limits its values, and what it is if it is left out.
        values: All values it may have, as JSON; empty if they are not listed.
    """

    name: str
    depth: int
    type: str
    required: bool
    description: str
    notes: tuple[str, ...]
    values: tuple[str, ...]


def fields_of(root: Any, schema: Any) -> list[Field]:
    """Return the fields of *schema* with the fields inside them, in their order.

    Args:
        root: Document or schema that references begin in.
        schema: Of a payload, or a reference to it.
    """
    return list(_inside(root, schema, 0, ()))


def followed(root: Any, schema: Any) -> dict[str, Any]:
    """Return *schema* itself where it is a reference; what stands beside it stays."""
    for _ in range(20):
        if not isinstance(schema, dict):
            return {}
        if isinstance(schema.get("$ref"), str):
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            target = resolve(root, schema["$ref"])
            schema = {**(target if isinstance(target, dict) else {}), **beside}
        elif "allOf" in schema:
            schema = merge_all_of(root, schema)
        else:
            return schema
    return {}


def _inside(root: Any, schema: Any, depth: int, above: tuple[str, ...]) -> Iterator[Field]:
    """Yield the fields of an object, of the items of a list, or of the alternatives of a union."""
    names = _names(schema)
    if depth > 8 or set(names) & set(above):
        return
    above += names
    found = followed(root, schema)
    required = found.get("required", ())
    for name, one in _mapping(found.get("properties")).items():
        yield _field(root, name, one, depth, required=name in required)
        yield from _inside(root, one, depth + 1, above)
    for items in _items(found):
        yield from _inside(root, items, depth, above)
    if isinstance(found.get("additionalProperties"), dict):
        yield from _inside(root, found["additionalProperties"], depth, above)
    choices = [one for one in _choices(found) if _fields_inside(root, one)]
    for one in choices:
        if len(choices) > 1:
            yield Field(f"as {type_of(root, one)}", depth, "", False, "", (), ())
        yield from _inside(root, one, depth + (len(choices) > 1), above)


def _field(root: Any, name: str, schema: Any, depth: int, *, required: bool) -> Field:
    found = followed(root, schema)
    bounded = [found, *(followed(root, one) for one in _choices(found))]
    notes = list(dict.fromkeys(text.format(one[key]) for one in bounded for key, text in _BOUNDS.items() if key in one))
    notes += [_size(found, low, high, unit) for low, high, unit in _SIZES if low in found or high in found]
    if found.get("uniqueItems"):
        notes.append("no item twice")
    if "default" in found and found["default"] is not None:
        notes.append(f"default {json.dumps(found['default'], ensure_ascii=False)}")
    values = [found["const"]] if "const" in found else found.get("enum", ())
    shown = tuple(json.dumps(one, ensure_ascii=False) for one in values)
    return Field(name, depth, type_of(root, schema), required, str(found.get("description") or ""), tuple(notes), shown)


def _size(found: Mapping[str, Any], low: str, high: str, unit: str) -> str:
    least, most = found.get(low), found.get(high)
    many = "entries" if unit == "entry" else f"{unit}s"
    if most is None:
        return f"{least} {unit if least == 1 else many} or more"
    if least == most:
        return f"{most} {unit if most == 1 else many}"
    return f"{least} to {most} {many}" if least else f"{most} {unit if most == 1 else many} at most"


def type_of(root: Any, schema: Any, depth: int = 0) -> str:
    """Return the type of a schema in words."""
    found = followed(root, schema)
    if not found or depth > 4:
        return "anything"
    choices = _choices(found)
    if choices:
        words = list(dict.fromkeys(type_of(root, one, depth + 1) for one in choices))
        return " or ".join(sorted(words, key=lambda word: word == "null"))
    kind = found.get("type")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    if kind == "array":
        items = _items(found)
        if isinstance(found.get("prefixItems") or found.get("items"), list):
            return f"[{', '.join(type_of(root, one, depth + 1) for one in items)}]"
        return f"list of {type_of(root, items[0], depth + 1)}" if items else "list"
    names = _names(schema)
    if kind == "object" or "properties" in found:
        if isinstance(found.get("additionalProperties"), dict) and not found.get("properties"):
            return f"map of {type_of(root, found['additionalProperties'], depth + 1)}"
        return names[-1].rpartition("/")[2] if names else "object"
    if kind is None:
        return "constant" if "const" in found else "one of" if "enum" in found else "anything"
    return f"{kind} · {found['format']}" if "format" in found else str(kind)


def _fields_inside(root: Any, schema: Any) -> bool:
    return next(_inside(root, schema, 0, ()), None) is not None


def _choices(found: Mapping[str, Any]) -> list[Any]:
    return [one for key in ("anyOf", "oneOf") for one in found.get(key, ())]


def _items(found: Mapping[str, Any]) -> list[Any]:
    items = found.get("prefixItems") or found.get("items")
    if isinstance(items, list):
        return items
    return [items] if isinstance(items, dict) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(schema: Any) -> tuple[str, ...]:
    """Return the references that a schema is, itself or as the only part of an ``allOf``."""
    if not isinstance(schema, dict):
        return ()
    if isinstance(schema.get("$ref"), str):
        return (schema["$ref"],)
    parts = schema.get("allOf")
    return _names(parts[0]) if isinstance(parts, list) and len(parts) == 1 else ()
