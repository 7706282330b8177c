"""How JSON Schema tells what `JsonCodec` writes. Apart, because pydantic's part of it takes long to import."""

from __future__ import annotations

from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Schema = dict[str, Any]


class AsWritten(GenerateJsonSchema):
    """Tells what `JsonCodec` reads and writes, in the same words with every release of pydantic."""

    def bytes_schema(self, schema: core_schema.BytesSchema) -> Schema:
        made = super().bytes_schema(schema)
        if not self._config.config_dict.get("val_json_bytes"):
            made["format"] = "base64url"
        return made

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> Schema:
        number = self.float_schema(cast("core_schema.FloatSchema", {**schema, "type": "float"}))
        return {"anyOf": [number, {"type": "string", "format": "decimal"}]}
