"""Compares two JSON Schemas: does the reader accept everything the writer may write, and if not, where does it refuse?"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any

from ..schemas.references import MAX_DEPTH, merge_all_of, resolve

Schema = dict[str, Any]
_ANYTHING: Schema = {}
# Keywords without influence on what is accepted.
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$defs", "definitions", "$comment", "title", "description", "default", "examples", "example",
     "deprecated", "readOnly", "writeOnly", "discriminator"}
)  # fmt: skip
_COMPARED = frozenset(
    {"$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "required", "additionalProperties",
     "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format",
     "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minProperties", "maxProperties"}
)  # fmt: skip
_MINIMA = {"minLength": "characters", "minItems": "items", "minProperties": "entries"}
_MAXIMA = {"maxLength": "characters", "maxItems": "items", "maxProperties": "entries"}
_SIZES: dict[type, tuple[str, str]] = {
    str: ("minLength", "maxLength"),
    list: ("minItems", "maxItems"),
    dict: ("minProperties", "maxProperties"),
}


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """Why a payload may be refused.

    Attributes:
        field: Path of the field, "" for the whole payload; ``[]`` stands for the items of a list, ``*`` for any name.
        reason: What the reader expects, and what it may get.
        other_type: The values are of different types.
    """

    field: str
    reason: str
    other_type: bool = dataclasses.field(default=False, compare=False)


def refusals(reader: Schema, writer: Schema, *, writes_all: bool = False) -> list[Difference]:
    """Return why *reader* may refuse payloads written by *writer*; empty if it accepts all of them.

    Args:
        reader: Schema of the reading program.
        writer: Schema of the writing program.
        writes_all: The writer never omits a field of its schema. This framework's codec does not.
    """
    return sorted(set(_Comparison(reader, writer, writes_all).compare(reader, writer, "")))


class _Comparison:
    """Compares two schemas and the schemas they refer to."""

    def __init__(self, reader: Schema, writer: Schema, writes_all: bool) -> None:
        self._reader, self._writer, self._writes_all = reader, writer, writes_all
        self._in_progress: set[tuple[str, str]] = set()

    def compare(self, reader: Any, writer: Any, path: str) -> list[Difference]:
        if reader is False:
            return [Difference(path, "accepts nothing")]
        if writer is False or not isinstance(reader, dict):
            return []
        if not isinstance(writer, dict):
            writer = _ANYTHING
        # A schema that contains itself is accepted if the rest of it is.
        pair = (json.dumps(reader, sort_keys=True), json.dumps(writer, sort_keys=True))
        if pair in self._in_progress:
            return []
        self._in_progress.add(pair)
        try:
            differences: list[Difference] = []
            readers = _alternatives(self._reader, reader)
            for written in _alternatives(self._writer, writer):
                candidates = [self._compare_plain(accepted, written, path) for accepted in readers]
                closest = min(candidates, key=_severity)
                differences += closest
            return differences
        finally:
            self._in_progress.discard(pair)

    def _compare_plain(self, reader: Schema, writer: Schema, path: str) -> list[Difference]:
        """Compare two schemas that are neither references nor unions."""
        if not set(reader) - _ANNOTATIONS:
            return []
        accepted, written = _values(reader), _values(writer)
        if accepted is not None:
            return _compare_values(accepted, written, path)
        reader_type, writer_type = reader.get("type"), writer.get("type")
        if written is not None and writer_type is None:
            writer_type = _type_of_values(written)
        if reader_type not in (None, writer_type) and (reader_type, writer_type) != ("number", "integer"):
            actual = _with_article(writer_type) if writer_type else "anything"
            return [Difference(path, f"expects {_with_article(reader_type)}, gets {actual}", other_type=True)]
        differences = [
            *(
                _compare_bounds(reader, writer, path)
                if written is None
                else _compare_written_values(reader, writer, written, path)
            ),
            *self._compare_objects(reader, writer, path),
            *self._compare_lists(reader, writer, path),
        ]
        unknown = [key for key in set(reader) - _ANNOTATIONS - _COMPARED if reader[key] != writer.get(key)]
        return differences + [Difference(path, f"{key} differs and cannot be compared") for key in unknown]

    def _compare_objects(self, reader: Schema, writer: Schema, path: str) -> list[Difference]:
        differences = []
        read, written = reader.get("properties", {}), writer.get("properties", {})
        other_fields = reader.get("additionalProperties", True)
        for name in reader.get("required", ()):
            if name in writer.get("required", ()) or (self._writes_all and name in written):
                continue
            reason = "is required, but may be missing" if name in written else "is required, but is not there"
            differences.append(Difference(_child(path, name), reason))
        for name, schema in written.items():
            if name in read:
                differences += self.compare(read[name], schema, _child(path, name))
            elif other_fields is False:
                differences.append(Difference(_child(path, name), "is unknown, and unknown fields are forbidden"))
            else:
                differences += self.compare(other_fields, schema, _child(path, name))
        other_written = writer.get("additionalProperties")
        if other_written is not None and other_written is not False:
            if other_fields is False:
                reason = "may have any name, but unknown fields are forbidden"
                differences.append(Difference(_child(path, "*"), reason))
            else:
                differences += self.compare(other_fields, other_written, _child(path, "*"))
        return differences

    def _compare_lists(self, reader: Schema, writer: Schema, path: str) -> list[Difference]:
        read, written = reader.get("prefixItems", []), writer.get("prefixItems", [])
        differences = []
        for number in range(max(len(read), len(written))):
            accepted_item = read[number] if number < len(read) else reader.get("items", True)
            written_item = written[number] if number < len(written) else writer.get("items", _ANYTHING)
            differences += self.compare(accepted_item, written_item, f"{path}[{number}]")
        if "items" in reader and not written:
            differences += self.compare(reader["items"], writer.get("items", _ANYTHING), f"{path}[]")
        if reader.get("uniqueItems") and not writer.get("uniqueItems"):
            differences.append(Difference(path, "expects unique items, may get duplicates"))
        return differences


def _alternatives(root: Schema, schema: Any, depth: int = 0) -> list[Schema]:
    """Return the alternatives of a union, of which any may apply; references and unions at their top are resolved."""
    if depth > MAX_DEPTH:
        return [_ANYTHING]  # a union that contains itself
    if not isinstance(schema, dict):
        return [_ANYTHING] if schema is not False else []
    followed: set[str] = set()
    while isinstance(schema.get("$ref"), str) and schema["$ref"] not in followed:
        followed.add(schema["$ref"])
        target = resolve(root, schema["$ref"])
        siblings = {key: value for key, value in schema.items() if key != "$ref" and key not in _ANNOTATIONS}
        schema = {**(target if isinstance(target, dict) else {}), **siblings}
    if "allOf" in schema:
        schema = merge_all_of(root, schema)
    for union in ("anyOf", "oneOf"):
        if isinstance(schema.get(union), list):
            siblings = {key: value for key, value in schema.items() if key != union}
            return [
                {**siblings, **alternative}
                for choice in schema[union]
                for alternative in _alternatives(root, choice, depth + 1)
            ]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": name} for name in schema["type"]]
    return [schema]


def _compare_values(accepted: list[Any], written: list[Any] | None, path: str) -> list[Difference]:
    known = {json.dumps(value, sort_keys=True) for value in accepted}
    if written is None:
        return [Difference(path, f"accepts only {_listed(accepted)}, gets anything")]
    unknown = [value for value in written if json.dumps(value, sort_keys=True) not in known]
    return [Difference(path, f"does not accept {_listed(unknown)}")] if unknown else []


def _compare_bounds(reader: Schema, writer: Schema, path: str) -> list[Difference]:
    differences = []
    for key in ("format", "pattern", "multipleOf"):
        if key in reader and reader[key] != writer.get(key):
            actual = f"{writer[key]!r}" if key in writer else "any"
            differences.append(Difference(path, f"expects the {key} {reader[key]!r}, gets {actual}"))
    for key, unit in _MINIMA.items():
        if reader.get(key, 0) > writer.get(key, 0):
            differences.append(Difference(path, f"expects at least {reader[key]} {unit}, may get fewer"))
    for key, unit in _MAXIMA.items():
        if key in reader and (key not in writer or writer[key] > reader[key]):
            differences.append(Difference(path, f"expects at most {reader[key]} {unit}, may get more"))
    return differences + [Difference(path, reason) for reason in _range_reasons(reader, writer)]


def _compare_written_values(reader: Schema, writer: Schema, values: list[Any], path: str) -> list[Difference]:
    """Compare single values with the bounds of *reader*. Their types are not checked again."""
    refused = [value for value in values if not _within(reader, writer, value)]
    return [Difference(path, f"does not accept {_listed(refused)}")] if refused else []


def _within(reader: Schema, writer: Schema, value: Any) -> bool:
    if _is_number(value):
        step = reader.get("multipleOf")
        this_value = {"minimum": value, "maximum": value}
        return not _range_reasons(reader, this_value) and (step is None or value % step == 0)
    if type(value) not in _SIZES:
        return True
    minimum, maximum = _SIZES[type(value)]
    if not reader.get(minimum, 0) <= len(value) <= reader.get(maximum, len(value)):
        return False
    if not isinstance(value, str):
        return True
    same_format = "format" not in reader or reader["format"] == writer.get("format")
    return same_format and ("pattern" not in reader or _matches(reader["pattern"], value))


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # the pattern uses JavaScript syntax
        return False


def _range_reasons(reader: Schema, writer: Schema) -> list[str]:
    reasons = []
    for inclusive, exclusive, sign, word in (
        ("minimum", "exclusiveMinimum", 1, "smaller"),
        ("maximum", "exclusiveMaximum", -1, "larger"),
    ):
        expected, actual = _bound(reader, inclusive, exclusive, sign), _bound(writer, inclusive, exclusive, sign)
        if expected is not None and (actual is None or actual < expected):
            limit, is_exclusive = expected[0] * sign, expected[1]
            relation = (">" if is_exclusive else ">=") if sign == 1 else ("<" if is_exclusive else "<=")
            reasons.append(f"expects numbers {relation} {limit:g}, may get {word} ones")
    return reasons


def _bound(schema: Schema, inclusive: str, exclusive: str, sign: int) -> tuple[float, bool] | None:
    bounds = [(schema[key] * sign, key == exclusive) for key in (inclusive, exclusive) if _is_number(schema.get(key))]
    return max(bounds, default=None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _type_of_values(values: list[Any]) -> str | None:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    types = {names.get(type(value)) for value in values}
    return types.pop() if len(types) == 1 else None


def _severity(differences: list[Difference]) -> tuple[bool, int]:
    # Among several alternatives, that of the same type explains best what is wrong.
    return any(difference.other_type for difference in differences), len(differences)


def _with_article(type_name: str) -> str:
    if type_name == "null":
        return type_name
    return f"an {type_name}" if type_name[:1] in "aeiou" else f"a {type_name}"


def _listed(values: list[Any]) -> str:
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:5])
    return shown + (", …" if len(values) > 5 else "")


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
