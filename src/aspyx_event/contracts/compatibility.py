"""Whether one JSON Schema reads what is written by another, and where it does not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..schemas.references import MAX_DEPTH, merge_all_of, resolve

Schema = dict[str, Any]
_ANYTHING: Schema = {}
# Of no weight for what is read.
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$defs", "definitions", "$comment", "title", "description", "default", "examples", "example",
     "deprecated", "readOnly", "writeOnly", "discriminator"}
)  # fmt: skip
_COMPARED = frozenset(
    {"$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "required", "additionalProperties",
     "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format",
     "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minProperties", "maxProperties"}
)  # fmt: skip
_LEAST = {"minLength": "characters", "minItems": "items", "minProperties": "entries"}
_SIZES: dict[type, tuple[str, str]] = {
    str: ("minLength", "maxLength"),
    list: ("minItems", "maxItems"),
    dict: ("minProperties", "maxProperties"),
}
_MOST = {"maxLength": "characters", "maxItems": "items", "maxProperties": "entries"}


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """Why a payload may be refused.

    Attributes:
        field: Path of the field, "" for the whole payload; ``[]`` stands for the items of a list, ``*`` for any name.
        reason: What the reader asks, and what it may get.
    """

    field: str
    reason: str


def refusals(reader: Schema, writer: Schema, *, writes_all: bool = False) -> list[Difference]:
    """Return why payloads written by *writer* may be refused by *reader*; empty if none is.

    Args:
        reader: Schema of who reads.
        writer: Schema of who writes.
        writes_all: The writer leaves no field out that its schema has, as this framework's codec does not.
    """
    return sorted(set(_Comparison(reader, writer, writes_all).compare(reader, writer, "")))


class _Comparison:
    """Compares two schemas and what they refer to."""

    def __init__(self, reader: Schema, writer: Schema, writes_all: bool) -> None:
        self._reader, self._writer, self._writes_all = reader, writer, writes_all
        self._under_way: set[tuple[str, str]] = set()

    def compare(self, reader: Any, writer: Any, where: str) -> list[Difference]:
        if reader is False:
            return [Difference(where, "takes nothing")]
        if writer is False or not isinstance(reader, dict):
            return []
        if not isinstance(writer, dict):
            writer = _ANYTHING
        # A schema that has itself inside is equal if it is equal without.
        pair = (json.dumps(reader, sort_keys=True), json.dumps(writer, sort_keys=True))
        if pair in self._under_way:
            return []
        self._under_way.add(pair)
        try:
            found: list[Difference] = []
            readers = _alternatives(self._reader, reader)
            for one in _alternatives(self._writer, writer):
                candidates: list[list[Difference]] = [self._plain(other, one, where) for other in readers]
                best = min(candidates, key=_weight)
                found += best
            return found
        finally:
            self._under_way.discard(pair)

    def _plain(self, reader: Schema, writer: Schema, where: str) -> list[Difference]:
        if not set(reader) - _ANNOTATIONS:
            return []
        wanted, given = _values(reader), _values(writer)
        if wanted is not None:
            return _compare_values(wanted, given, where)
        kind, other = reader.get("type"), writer.get("type")
        if given is not None and other is None:
            other = _type_of_values(given)
        if kind is not None and kind != other and not (kind == "number" and other == "integer"):
            return [Difference(where, f"takes {_article(kind)}, gets {_article(other) if other else 'anything'}")]
        found = [
            *(
                _compare_bounds(reader, writer, where)
                if given is None
                else _compare_given(reader, writer, given, where)
            ),
            *self._objects(reader, writer, where),
            *self._lists(reader, writer, where),
        ]
        strange = [key for key in set(reader) - _ANNOTATIONS - _COMPARED if reader[key] != writer.get(key)]
        return found + [Difference(where, f"{key} differs, which cannot be compared") for key in strange]

    def _objects(self, reader: Schema, writer: Schema, where: str) -> list[Difference]:
        found = []
        theirs, ours = writer.get("properties", {}), reader.get("properties", {})
        more = reader.get("additionalProperties", True)
        for name in reader.get("required", ()):
            if name in writer.get("required", ()) or (self._writes_all and name in theirs):
                continue
            reason = "is required, and may be left out" if name in theirs else "is required, and is not there"
            found.append(Difference(_below(where, name), reason))
        for name, schema in theirs.items():
            if name in ours:
                found += self.compare(ours[name], schema, _below(where, name))
            elif more is False:
                found.append(Difference(_below(where, name), "is unknown, and unknown fields are forbidden"))
            else:
                found += self.compare(more, schema, _below(where, name))
        rest = writer.get("additionalProperties")
        if rest is not None and rest is not False:
            if more is False:
                found.append(Difference(_below(where, "*"), "has fields of any name, and unknown ones are forbidden"))
            else:
                found += self.compare(more, rest, _below(where, "*"))
        return found

    def _lists(self, reader: Schema, writer: Schema, where: str) -> list[Difference]:
        ours, theirs = reader.get("prefixItems", []), writer.get("prefixItems", [])
        found = []
        for number in range(max(len(ours), len(theirs))):
            one = ours[number] if number < len(ours) else reader.get("items", True)
            other = theirs[number] if number < len(theirs) else writer.get("items", _ANYTHING)
            found += self.compare(one, other, f"{where}[{number}]")
        if "items" in reader and not theirs:
            found += self.compare(reader["items"], writer.get("items", _ANYTHING), f"{where}[]")
        if reader.get("uniqueItems") and not writer.get("uniqueItems"):
            found.append(Difference(where, "takes no item twice"))
        return found


def _alternatives(root: Schema, schema: Any, depth: int = 0) -> list[Schema]:
    """Return the schemas of which one holds, without references and unions at their top."""
    if depth > MAX_DEPTH:
        return [_ANYTHING]  # a union that has itself inside
    if not isinstance(schema, dict):
        return [_ANYTHING] if schema is not False else []
    inside: set[str] = set()
    while isinstance(schema.get("$ref"), str) and schema["$ref"] not in inside:
        inside.add(schema["$ref"])
        target = resolve(root, schema["$ref"])
        beside = {key: value for key, value in schema.items() if key != "$ref" and key not in _ANNOTATIONS}
        schema = {**(target if isinstance(target, dict) else {}), **beside}
    if "allOf" in schema:
        schema = merge_all_of(root, schema)
    for union in ("anyOf", "oneOf"):
        if isinstance(schema.get(union), list):
            beside = {key: value for key, value in schema.items() if key != union}
            return [{**beside, **one} for choice in schema[union] for one in _alternatives(root, choice, depth + 1)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": one} for one in schema["type"]]
    return [schema]


def _compare_values(wanted: list[Any], given: list[Any] | None, where: str) -> list[Difference]:
    known = {json.dumps(one, sort_keys=True) for one in wanted}
    if given is None:
        return [Difference(where, f"takes {_listed(wanted)} only, and gets anything")]
    unknown = [one for one in given if json.dumps(one, sort_keys=True) not in known]
    return [Difference(where, f"does not take {_listed(unknown)}")] if unknown else []


def _compare_bounds(reader: Schema, writer: Schema, where: str) -> list[Difference]:
    found = []
    for key in ("format", "pattern", "multipleOf"):
        if key in reader and reader[key] != writer.get(key):
            given = f"{writer[key]!r}" if key in writer else "any"
            found.append(Difference(where, f"takes the {key} {reader[key]!r}, gets {given}"))
    for key, unit in _LEAST.items():
        if reader.get(key, 0) > writer.get(key, 0):
            found.append(Difference(where, f"takes {reader[key]} {unit} at least, may get fewer"))
    for key, unit in _MOST.items():
        if key in reader and (key not in writer or writer[key] > reader[key]):
            found.append(Difference(where, f"takes {reader[key]} {unit} at most, may get more"))
    return found + [Difference(where, reason) for reason in _range_reasons(reader, writer)]


def _compare_given(reader: Schema, writer: Schema, given: list[Any], where: str) -> list[Difference]:
    """Return whether single values are within the bounds of *reader*, whatever their types: those were compared."""
    refused = [one for one in given if not _within(reader, writer, one)]
    return [Difference(where, f"does not take {_listed(refused)}")] if refused else []


def _within(reader: Schema, writer: Schema, value: Any) -> bool:
    if _is_number(value):
        step = reader.get("multipleOf")
        just = {"minimum": value, "maximum": value}
        return not _range_reasons(reader, just) and (step is None or value % step == 0)
    if type(value) not in _SIZES:
        return True
    least, most = _SIZES[type(value)]
    if not reader.get(least, 0) <= len(value) <= reader.get(most, len(value)):
        return False
    if not isinstance(value, str):
        return True
    same_format = "format" not in reader or reader["format"] == writer.get("format")
    return same_format and ("pattern" not in reader or _matches(reader["pattern"], value))


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # it is written for the expressions of JavaScript
        return False


def _range_reasons(reader: Schema, writer: Schema) -> list[str]:
    reasons = []
    for inclusive, exclusive, sign, word in (
        ("minimum", "exclusiveMinimum", 1, "smaller"),
        ("maximum", "exclusiveMaximum", -1, "larger"),
    ):
        wanted, given = _bound(reader, inclusive, exclusive, sign), _bound(writer, inclusive, exclusive, sign)
        if wanted is not None and (given is None or given < wanted):
            limit, open_end = wanted[0] * sign, wanted[1]
            relation = (">" if open_end else ">=") if sign == 1 else ("<" if open_end else "<=")
            reasons.append(f"takes numbers {relation} {limit:g}, may get {word} ones")
    return reasons


def _bound(schema: Schema, inclusive: str, exclusive: str, sign: int) -> tuple[float, bool] | None:
    bounds = [(schema[key] * sign, key == exclusive) for key in (inclusive, exclusive) if _is_number(schema.get(key))]
    return max(bounds, default=None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found = schema.get("enum")
    return found if isinstance(found, list) else None


def _type_of_values(values: list[Any]) -> str | None:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    found = {names.get(type(one)) for one in values}
    return found.pop() if len(found) == 1 else None


def _weight(found: list[Difference]) -> tuple[bool, int]:
    # Of several alternatives the one of the same kind tells best what is wrong.
    return any(" gets " in one.reason and one.reason.startswith("takes a") for one in found), len(found)


def _article(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiou" else kind if kind == "null" else f"a {kind}"


def _listed(values: list[Any]) -> str:
    shown = ", ".join(json.dumps(one, ensure_ascii=False) for one in values[:5])
    return shown + (", …" if len(values) > 5 else "")


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
