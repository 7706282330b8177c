"""AMQP values as text: simple values are read from their bytes, others are converted from the driver's types.

Layout: AMQP 1.0 part 1 section 1.6 (type encodings).
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any


class NeedsFullDecoder(Exception):
    """The data contains something that only a more general decoder reads, in the end the driver's."""


_FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def content_start(data: bytes, at: int) -> int:
    """Return the offset of the content of the variable-width value at *at*."""
    kind = data[at] >> 4
    if kind == 0xA:
        return at + 2
    if kind == 0xB:
        return at + 5
    raise NeedsFullDecoder


def value_end(data: bytes, at: int) -> int:
    """Return the offset after the value at *at*: the high half of its code gives its width."""
    kind = data[at] >> 4
    if kind in (0xA, 0xC, 0xE):
        return at + 2 + data[at + 1]
    if kind in (0xB, 0xD, 0xF):
        return at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
    if kind in _FIXED_WIDTH:
        return at + 1 + _FIXED_WIDTH[kind]
    raise NeedsFullDecoder


def first_item(data: bytes, at: int) -> tuple[int, int]:
    """Return the offset of the first item of the list or map at *at*, and the number of items."""
    code = data[at]
    if code in (0xC0, 0xC1):
        return at + 3, data[at + 2]
    if code in (0xD0, 0xD1):
        return at + 9, int.from_bytes(data[at + 5 : at + 9], "big")
    if code == 0x45:
        return at + 1, 0
    raise NeedsFullDecoder


_INTEGERS = {0x50: False, 0x60: False, 0x70: False, 0x80: False, 0x52: False, 0x53: False, 0x51: True, 0x61: True,
             0x71: True, 0x81: True, 0x54: True, 0x55: True}  # fmt: skip
_CONSTANTS = {0x40: "", 0x41: "true", 0x42: "false", 0x43: "0", 0x44: "0"}


def value_text(data: bytes, at: int, end: int) -> str:
    """Return a value as text, in the canonical form of CloudEvents (specification 1.0, section 3.1)."""
    code = data[at]
    if code in (0xA1, 0xA3):
        return data[at + 2 : end].decode()
    if code in (0xB1, 0xB3):
        return data[at + 5 : end].decode()
    if code in _CONSTANTS:
        return _CONSTANTS[code]
    if code in _INTEGERS:
        return str(int.from_bytes(data[at + 1 : end], "big", signed=_INTEGERS[code]))
    if code == 0x56:
        return "true" if data[at + 1] else "false"
    if code == 0x83:
        return _timestamp(int.from_bytes(data[at + 1 : end], "big", signed=True))
    if code in (0xA0, 0xB0):
        return base64.b64encode(data[content_start(data, at) : end]).decode()
    raise NeedsFullDecoder


def _timestamp(milliseconds: int) -> str:
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    except (OverflowError, ValueError, OSError):  # a year outside of datetime's range
        return str(milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain_body(value: Any) -> bytes:
    """Return the value of a body as bytes: text as UTF-8, other values as JSON text."""
    if value is None:
        return b""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return json.dumps(_plain(value), ensure_ascii=False).encode("utf-8", "replace")


def plain_text(value: Any) -> str:
    """Return a value of the driver's types as text, values that are not text as JSON text."""
    plain = _plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return *value*, of the driver's types, as JSON types."""
    from proton import Array, Described, timestamp

    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, timestamp):
        return _timestamp(int(value))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {plain_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Array):
        return [_plain(item) for item in value.elements]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Described):
        return _plain(value.value)
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)
