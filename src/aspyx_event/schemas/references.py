"""Follows the references of a JSON Schema and merges its ``allOf``. Loads nothing from outside of the schema."""

from __future__ import annotations

from typing import Any

#: Nested schemas that are followed before an endless recursion is assumed.
MAX_DEPTH = 20


def resolve(root: Any, reference: str) -> Any:
    """Return the target of a reference such as ``#/$defs/Line`` in *root*; None if there is no such target."""
    if not reference.startswith("#"):
        return None
    target = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list):
            target = target[int(name)] if name.isdigit() and int(name) < len(target) else None
        else:
            target = target.get(name) if isinstance(target, dict) else None
    return target


def merge_all_of(root: Any, schema: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return *schema* with the schemas of its ``allOf`` merged into it. Its own keywords take precedence."""
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        target = part
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            target = resolve(root, part["$ref"])
        if isinstance(target, dict) and "allOf" in target:
            target = merge_all_of(root, target, depth + 1) if depth < MAX_DEPTH else {}
        for key, value in (target if isinstance(target, dict) else {}).items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = [*merged.get(key, ()), *value]
            else:
                merged.setdefault(key, value)
    return merged
