"""Canonical JSON: equal values have equal text and equal hashes."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def canonical_json(value: Any) -> str:
    """Return *value* with sorted keys and without white space.

    ASCII only: a lone surrogate would not survive the way to bytes.

    Raises:
        ValueError, TypeError: JSON cannot hold it.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of *value*, in hex."""
    return sha256(canonical_json(value).encode()).hexdigest()
