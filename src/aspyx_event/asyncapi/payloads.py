"""Schemas of events in the words of AsyncAPI's Schema Object, a superset of JSON Schema draft 07."""

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
# Schemas below these are keyed by names, so their keys are no keywords.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"const", "enum", "default", "examples"})


def payload_schema(schema: Schema, pointer: str) -> Schema:
    """Return *schema* for a document in which it stands at *pointer*.

    What was written in another draft on purpose, or has identifiers of its own, is kept as it is, in a Multi Format
    Schema Object (https://www.asyncapi.com/docs/reference/specification/v3.0.0#multiFormatSchemaObject).

    Args:
        schema: Of an event.
        pointer: Like ``#/components/schemas/Order``.
    """
    dialect = str(schema.get("$schema", "")).rstrip("#")
    text = json.dumps(schema)
    if dialect in _DRAFT or '"$id"' in text or '"$dynamicRef"' in text:
        version = _DRAFT.get(dialect, "draft-07" if dialect else "2020-12")
        return {"schemaFormat": f"application/schema+json;version={version}", "schema": schema}
    made = _converted(schema, pointer)
    return made if isinstance(made, dict) else {}


def _converted(node: Any, pointer: str) -> Any:
    if isinstance(node, list):
        return [_converted(one, pointer) for one in node]
    if not isinstance(node, dict):
        return node
    made: Schema = {}
    for key, value in node.items():
        if key in ("$schema", "discriminator"):
            continue  # pydantic's discriminator is an object, AsyncAPI's a text; the alternatives tell it as well
        if key in _VALUES:
            made[key] = value
        elif key in _NAMED and isinstance(value, dict):
            made["definitions" if key == "$defs" else key] = {
                name: _converted(one, pointer) for name, one in value.items()
            }
        elif key == "$ref" and isinstance(value, str):
            made[key] = pointer + value[1:].replace("/$defs/", "/definitions/") if value.startswith("#") else value
        else:
            made[key] = _converted(value, pointer)
    if isinstance(made.get("prefixItems"), list):
        rest = made.pop("items", None)
        made["items"] = made.pop("prefixItems")
        made["additionalItems"] = False if rest is None else rest
    if "$ref" in made and len(made) > 1:
        # In draft 07 a reference hides what stands beside it.
        made = {"allOf": [{"$ref": made.pop("$ref")}], **made}
    return made
