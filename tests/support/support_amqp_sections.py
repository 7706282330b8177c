"""Writes sections of AMQP messages byte by byte, sound or malformed."""

from __future__ import annotations

import struct


def section(number: int, value: bytes) -> bytes:
    return bytes((0x00, 0x53, number)) + value


def nested(levels: int, innermost: bytes = b"\x40") -> bytes:
    """Lists in lists: code, size and number of items of each, written from the outside."""
    sizes = [len(innermost) + 9 * level for level in range(levels)]
    heads = [b"\xd0" + struct.pack(">II", size + 4, 1) for size in reversed(sizes)]
    return b"".join(heads) + innermost


def string_map(*pairs: tuple[bytes, bytes]) -> bytes:
    content = b"".join(key + value for key, value in pairs)
    return b"\xd1" + struct.pack(">II", len(content) + 4, 2 * len(pairs)) + content
