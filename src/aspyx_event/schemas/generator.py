"""Generates JSON Schemas that describe what `JsonCodec` writes. A file of its own, because pydantic's part of it is slow to import."""

from __future__ import annotations

from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Schema = dict[str, Any]


class SchemaGenerator(GenerateJsonSchema):
    """Describes what `JsonCodec` reads and writes, in the same words with every release of pydantic."""

    def bytes_schema(self, schema: core_schema.BytesSchema) -> Schema:
        generated = super().bytes_schema(schema)
        if not self._config.config_dict.get("val_json_bytes"):
            generated["format"] = "base64url"
        return generated

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> Schema:
        number = self.float_schema(cast("core_schema.FloatSchema", {**schema, "type": "float"}))
        return {"anyOf": [number, {"type": "string", "format": "decimal"}]}
