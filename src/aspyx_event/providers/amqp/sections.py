"""Codec for the sections of an AMQP 1.0 message: encodes outgoing messages, decodes headers and bodies.

Hand-written, because it is most of the cost of a message: ``proton.Message`` takes several times as long. Values that
only other senders write and events never use (nested, decimal, array values ...) are left to ``proton.Message``.

Layout: AMQP 1.0 part 3 section 3.2 (message format).
"""

from __future__ import annotations

import struct
import time

from ...envelope import CE_ID, CONTENT_TYPE, NO_OPTIONS, header_name, wire_name
from ...exceptions import HeaderError
from ..base import Outgoing
from .head_templates import DEDUP_PROPERTY, Received, TemplateCache, write_head
from .values import NeedsFullDecoder, content_start, first_item, plain_body, plain_text, value_end, value_text

# Properties with the content type of a message that Artemis received by another protocol.
_CONTENT_TYPE_PROPERTIES = ("_AMQ_CONTENT_TYPE", CONTENT_TYPE, "JMS_AMQP_ContentType")

_u32 = struct.Struct(">I").pack
_two_u32 = struct.Struct(">II").pack
_i64 = struct.Struct(">q").pack
_MAX_TTL = 0xFFFFFFFF  # header ttl is a uint of milliseconds: 49.7 days

#: The first bytes of a string, by the number of its bytes.
_STRING_PREFIX = [bytes((0xA1, size)) for size in range(256)]
#: The first bytes of a data section, by the number of bytes of the body.
_DATA_PREFIX = [bytes((0x00, 0x53, 0x75, 0xA0, size)) for size in range(256)]
_HEADER_DURABLE = b"\x00\x53\x70\xc0\x02\x01\x41"
_DELAY_KEY = b"\xa3\x14x-opt-delivery-delay"
_NULL = b"\x40"


def encode(message: Outgoing) -> bytes:
    """Return *message* as AMQP sections.

    Raises:
        EncodeError: the envelope is lazy and its event cannot be encoded.
        HeaderError: a header is not Unicode text (it has lone surrogates).
    """
    start, expiry, options = b"", None, message.options
    if options is not NO_OPTIONS and (options.ttl is not None or options.priority is not None or options.delay > 0):
        start, expiry = _start(message)
    elif message.durable:
        start = _HEADER_DURABLE
    envelope = message.envelope
    try:
        head = write_head(envelope.headers, message.dedup_id, options.key) if expiry is None else None
        if head is None:
            head = _head(envelope.headers, message, expiry)
    except UnicodeEncodeError as error:
        raise HeaderError(f"a header of a message for {message.address!r} cannot be sent: {error.reason}") from error
    body = envelope.body
    size = len(body)
    return b"".join((start, head, _DATA_PREFIX[size] if size < 256 else b"\x00\x53\x75\xb0" + _u32(size), body))


def _start(message: Outgoing) -> tuple[bytes, int | None]:
    """Return header and annotations, and the time of expiry (Unix time in ms) if it is too far away for the header."""
    options = message.options
    expiry, ttl = None, None if options.ttl is None else max(1, round(options.ttl * 1000))
    if ttl is not None and ttl > _MAX_TTL:
        expiry, ttl = round(time.time() * 1000) + ttl, None
    start = b""
    if options.ttl is not None or options.priority is not None:
        start = _header(message.durable, options.priority, ttl)
    elif message.durable:
        start = _HEADER_DURABLE
    if options.delay > 0:
        pair = _DELAY_KEY + b"\x81" + _i64(max(1, round(options.delay * 1000)))
        start += b"\x00\x53\x72\xc1" + bytes((len(pair) + 1, 2)) + pair
    return start, expiry


def _head(headers: dict[str, str], message: Outgoing, expiry: int | None) -> bytes:
    properties = _properties(headers.get(CE_ID), headers.get(CONTENT_TYPE), expiry, message.options.key)
    items = [_DEDUP_KEY + _string(message.dedup_id)]
    for name, value in headers.items():
        if name != CONTENT_TYPE:
            text, key = value.encode(), _encoded_names.get(name) or _encoded_name(name)
            size = len(text)
            items.append(b"%b%b%b" % (key, _STRING_PREFIX[size] if size < 256 else b"\xb1" + _u32(size), text))
    pairs = b"".join(items)
    return properties + b"\x00\x53\x74\xd1" + _two_u32(len(pairs) + 4, 2 * len(items)) + pairs


def _header(durable: bool, priority: int | None, ttl: int | None) -> bytes:
    fields = [b"\x41" if durable else b"\x42"]
    if priority is not None or ttl is not None:
        fields.append(_NULL if priority is None else bytes((0x50, priority)))
    if ttl is not None:
        fields.append(b"\x70" + _u32(ttl))
    content = b"".join(fields)
    return b"\x00\x53\x70\xc0" + bytes((len(content) + 1, len(fields))) + content


def _properties(message_id: str | None, content_type: str | None, expiry: int | None, group: str | None) -> bytes:
    # In this order: message-id, user-id, to, subject, reply-to, correlation-id, content-type, content-encoding,
    # absolute-expiry-time, creation-time, group-id. Missing fields are null, or left out at the end.
    fields = _string(message_id) if message_id else _NULL
    count = 1
    if content_type or expiry is not None or group is not None:
        fields += b"\x40\x40\x40\x40\x40" + (_symbol(content_type) if content_type else _NULL)
        count = 7
    if expiry is not None or group is not None:
        fields += _NULL + (_NULL if expiry is None else b"\x83" + _i64(expiry))
        count = 9
    if group is not None:
        fields += _NULL + _string(group)
        count = 11
    return b"\x00\x53\x73\xd0" + _two_u32(len(fields) + 4, count) + fields


def _string(text: str) -> bytes:
    data = text.encode()
    size = len(data)
    return _STRING_PREFIX[size] + data if size < 256 else b"\xb1" + _u32(size) + data


def _symbol(text: str) -> bytes:
    data = text.encode("ascii")
    size = len(data)
    return b"\xa3" + bytes((size,)) + data if size < 256 else b"\xb3" + _u32(size) + data


# Names are few and recur; values are not cached. Bounded, because a caller may generate names, and a hostile sender may
# send long ones. Plain dicts, because an lru_cache makes the decoding of a message 9 % slower.
_CACHE_LIMIT = 4096
_MAX_CACHED_NAME = 256
_DEDUP_KEY = _string(DEDUP_PROPERTY)
_encoded_names: dict[str, bytes] = {}
#: By the bytes of a property's name: the name, and the name of the header or None.
_decoded_names: dict[bytes, tuple[str, str | None]] = {}


def _encoded_name(name: str) -> bytes:
    data = _string(wire_name(name))
    if len(_encoded_names) < _CACHE_LIMIT and len(data) <= _MAX_CACHED_NAME:
        _encoded_names[name] = data
    return data


def _decoded_name(data: bytes) -> tuple[str, str | None]:
    name = data.decode()
    names = (name, header_name(name))
    if len(_decoded_names) < _CACHE_LIMIT and len(data) <= _MAX_CACHED_NAME:
        _decoded_names[data] = names
    return names


def decode(data: bytes, templates: TemplateCache | None = None) -> Received:
    """Return the decoded message. Never raises: data that cannot be decoded becomes a body without headers.

    Args:
        data: The sections of a message, written by anybody who may send to the queue.
        templates: Of the receiver; None decodes without templates.
    """
    try:
        if templates is None:
            return _decode(data)
        received = templates.read(data)
        if received is None:
            received = _decode(data)
            templates.learn(data, received)
        return received
    except Exception:  # noqa: BLE001  a hostile sender decides what is raised here
        return _decode_by_driver(data)


def _decode(data: bytes) -> Received:
    at, size = 0, len(data)
    parts: list[bytes] = []
    headers: dict[str, str] = {}
    others: dict[str, str] = {}
    content_type, count = "", 0
    while at < size:
        if data[at] or data[at + 1] != 0x53:  # a described type whose descriptor is a small ulong
            raise NeedsFullDecoder
        section, at = data[at + 2], at + 3
        kind = data[at] >> 4
        if kind == 0xD:
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
        elif kind in (0xC, 0xA):
            end = at + 2 + data[at + 1]
        else:
            end = value_end(data, at)
        if end > size:
            raise NeedsFullDecoder
        if section == 0x74:
            headers, others = _application_properties(data, at, end)
        elif section == 0x75:
            parts.append(data[content_start(data, at) : end])
        elif section == 0x77:
            parts = [_value_body(data, at, end)]
        elif section == 0x73:
            content_type = _content_type(data, at)
        elif section == 0x70:
            header = data[at:end]
            known_count = _delivery_counts.get(header)
            count = _delivery_count(header) if known_count is None else known_count
        elif section == 0x76:
            raise NeedsFullDecoder
        at = end
    dedup_id = others.get(DEDUP_PROPERTY, "")
    _add_content_type(headers, others, content_type)
    return Received(b"".join(parts), headers, count, dedup_id)


def _add_content_type(headers: dict[str, str], others: dict[str, str], content_type: str) -> None:
    if not content_type:
        candidates = (others.get(name) or headers.get(name) for name in _CONTENT_TYPE_PROPERTIES)
        content_type = next(filter(None, candidates), "")
    if content_type:
        headers[CONTENT_TYPE] = content_type


def _application_properties(data: bytes, at: int, section_end: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of the sender under their own names, and the properties that a broker or a protocol added."""
    headers: dict[str, str] = {}
    others: dict[str, str] = {}
    at, count = first_item(data, at)
    for _ in range(count >> 1):
        if data[at] == 0xA1:
            end = at + 2 + data[at + 1]
            raw = data[at + 2 : end]
            wire, header = _decoded_names.get(raw) or _decoded_name(raw)
        else:
            end = value_end(data, at)
            wire = value_text(data, at, end)
            header = header_name(wire)
        if data[end] == 0xA1:
            at = end + 2 + data[end + 1]
            value = data[end + 2 : at].decode()
        else:
            at = value_end(data, end)
            value = value_text(data, end, at)
        if header is None:
            others[wire] = value
        else:
            headers[header] = value
    if at > section_end:  # the count is wrong, or the length of a value
        raise NeedsFullDecoder
    return headers, others


#: By the bytes of a header section; few different ones occur.
_delivery_counts: dict[bytes, int] = {}


def _delivery_count(header: bytes) -> int:
    count = int(_field_text(header, 0, 4) or 0)
    if len(_delivery_counts) < _CACHE_LIMIT and len(header) < 64:
        _delivery_counts[header] = count
    return count


def _content_type(data: bytes, at: int) -> str:
    """Return the content type of the properties section whose list is at *at*."""
    if data[at] == 0xD0 and data[at + 8] >= 7 and data[at + 9] == 0xA1:
        # As `_properties` writes it: only nulls between a short message id and the content type.
        gap = at + 11 + data[at + 10]
        if data.startswith(b"\x40\x40\x40\x40\x40\xa3", gap):
            return data[gap + 7 : gap + 7 + data[gap + 6]].decode("ascii")
    return _field_text(data, at, 6)


def _field_text(data: bytes, at: int, index: int) -> str:
    at, count = first_item(data, at)
    if index >= count:
        return ""
    for _ in range(index):
        at = at + 1 if data[at] == 0x40 else value_end(data, at)  # missing fields are null
    return value_text(data, at, value_end(data, at))


def _value_body(data: bytes, at: int, end: int) -> bytes:
    code = data[at]
    if code in (0xA0, 0xB0, 0xA1, 0xB1):
        return data[content_start(data, at) : end]
    if code == 0x40:
        return b""
    raise NeedsFullDecoder


def _decode_by_driver(data: bytes) -> Received:
    try:
        return _read_by_driver(data)
    except Exception:  # noqa: BLE001  a damaged message, text that is not UTF-8, values nested too deeply, ...
        return Received(data, {}, 0)


def _read_by_driver(data: bytes) -> Received:
    from proton import Message

    message = Message()
    message.decode(data)
    decoded = message.properties
    if not isinstance(decoded, dict):  # None, or the message is damaged
        decoded = {}
    properties = {str(name): plain_text(value) for name, value in decoded.items()}
    content_type = str(message.content_type or "")
    if content_type == "None":  # what proton 0.40 returns for a missing content type
        content_type = ""
    headers = {header: value for name, value in properties.items() if (header := header_name(name)) is not None}
    _add_content_type(headers, properties, content_type)
    return Received(plain_body(message.body), headers, message.delivery_count, properties.get(DEDUP_PROPERTY, ""))
