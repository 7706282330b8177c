"""The sections of an AMQP 1.0 message (OASIS part 3, section 3.2) as far as the messages of the benchmark need them."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

_U32 = struct.Struct(">I")
_DATA, _APPLICATION_PROPERTIES = 0x75, 0x74
_DURABLE = b"\x00Sp\xc0\x02\x01A"

# Width of a value's content by the upper half of its type code, where it is fixed (part 1, section 1.2).
_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def encode(message_id: str, content_type: str, properties: dict[str, str], body: bytes) -> bytes:
    """Return a durable message with a binary body."""
    described = _text(message_id) + b"@@@@@" + _sized(0xA3, content_type.encode())
    pairs = b"".join([_name(name) + _text(value) for name, value in properties.items()])
    return b"".join(
        (
            _DURABLE,
            b"\x00Ss\xd0",
            _U32.pack(len(described) + 4),
            _U32.pack(7),
            described,
            b"\x00St\xd1",
            _U32.pack(len(pairs) + 4),
            _U32.pack(2 * len(properties)),
            pairs,
            b"\x00Su",
            _sized(0xA0, body),
        )
    )


def decode(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return body and application properties; the other sections are skipped.

    Raises:
        ValueError: it is not the message of the benchmark.
    """
    at, body = 0, None
    properties: dict[str, Any] = {}
    while at < len(data):
        if data[at] != 0 or data[at + 1] != 0x53:
            raise ValueError(f"no section at {at}")
        section, at = data[at + 2], at + 3
        if section == _DATA:
            body, at = _value(data, at)
        elif section == _APPLICATION_PROPERTIES:
            properties, at = _map(data, at)
        else:
            at = _skip(data, at)
    if body is None:
        raise ValueError("no body")
    return body, properties


def _sized(code: int, content: bytes) -> bytes:
    if len(content) < 256:
        return bytes((code, len(content))) + content
    return bytes((code + 0x10,)) + _U32.pack(len(content)) + content


def _text(value: str) -> bytes:
    return _sized(0xA1, value.encode())


_name = lru_cache(maxsize=256)(_text)


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the value at *at* begins and ends."""
    code = data[at]
    kind = code >> 4
    if kind in _WIDTHS:
        return at + 1, at + 1 + _WIDTHS[kind]
    if kind in (0xA, 0xC, 0xE):
        return at + 2, at + 2 + data[at + 1]
    return at + 5, at + 5 + _U32.unpack_from(data, at + 1)[0]


def _skip(data: bytes, at: int) -> int:
    return _content(data, at)[1]


def _value(data: bytes, at: int) -> tuple[Any, int]:
    start, end = _content(data, at)
    content = data[start:end]
    return (content.decode() if data[at] in (0xA1, 0xB1) else content), end


def _map(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    start, end = _content(data, at)
    # After the size comes the count, as wide as the size was.
    at = start + (1 if data[at] == 0xC1 else 4)
    found = {}
    while at < end:
        name, at = _value(data, at)
        found[name], at = _value(data, at)
    return found, end
