"""Converts event schemas to AsyncAPI's Schema Object, a superset of JSON Schema draft 07."""

from __future__ import annotations

import json
from typing import Any

Schema = dict[str, Any]
_DRAFT = {
    "http://json-schema.org/draft-04/schema": "draft-04",
    "http://json-schema.org/draft-06/schema": "draft-06",
    "https://json-schema.org/draft/2019-09/schema": "2019-09",
    "https://json-schema.org/draft/2020-12/schema": "2020-12",
}
# The keys below these are names, not keywords.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"const", "enum", "default", "examples"})


def payload_schema(schema: Schema, pointer: str) -> Schema:
    """Return *schema* for a document in which it is at *pointer*.

    A schema that declares another draft, or has identifiers of its own, is kept unchanged, in a Multi Format
    Schema Object (https://www.asyncapi.com/docs/reference/specification/v3.0.0#multiFormatSchemaObject).

    Args:
        schema: Schema of an event.
        pointer: Such as ``#/components/schemas/Order``.
    """
    dialect = str(schema.get("$schema", "")).rstrip("#")
    text = json.dumps(schema)
    if dialect in _DRAFT or '"$id"' in text or '"$dynamicRef"' in text:
        version = _DRAFT.get(dialect, "draft-07" if dialect else "2020-12")
        return {"schemaFormat": f"application/schema+json;version={version}", "schema": schema}
    converted = _converted(schema, pointer)
    return converted if isinstance(converted, dict) else {}


def _converted(node: Any, pointer: str) -> Any:
    if isinstance(node, list):
        return [_converted(item, pointer) for item in node]
    if not isinstance(node, dict):
        return node
    converted: Schema = {}
    for key, value in node.items():
        if key in ("$schema", "discriminator"):
            continue  # pydantic's discriminator is an object, AsyncAPI's a string; the alternatives imply it anyway
        if key in _VALUES:
            converted[key] = value
        elif key in _NAMED and isinstance(value, dict):
            converted["definitions" if key == "$defs" else key] = {
                name: _converted(schema, pointer) for name, schema in value.items()
            }
        elif key == "$ref" and isinstance(value, str):
            local = value.startswith("#")
            converted[key] = pointer + value[1:].replace("/$defs/", "/definitions/") if local else value
        else:
            converted[key] = _converted(value, pointer)
    if isinstance(converted.get("prefixItems"), list):
        rest = converted.pop("items", None)
        converted["items"] = converted.pop("prefixItems")
        converted["additionalItems"] = False if rest is None else rest
    if "$ref" in converted and len(converted) > 1:
        # In draft 07, keywords beside a reference are ignored.
        converted = {"allOf": [{"$ref": converted.pop("$ref")}], **converted}
    return converted
