"""The HTTP protocol binding: events to headers and body, and back.

Source: HTTP Protocol Binding for CloudEvents v1.0.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from ..exceptions import InvalidCloudEventError, UnknownFormatError
from .attributes import canonical
from .data import decode_data
from .event import CloudEvent
from .formats import JSON_FORMAT, Format, find_format, is_batch, is_structured, make_event, read_structured

Mode = Literal["binary", "structured"]
Headers = Mapping[str, str] | Iterable[tuple[str, str]]
_PREFIX = "ce-"
_CONTENT_TYPE = "content-type"
# Section 3.1.3.2: U+0021 to U+007E are not encoded, except the double quote and the percent sign.
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_broken_percent = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_unprintable = re.compile(r"[^\t -~]").search
# RFC 7230 section 3.2.6, "quoted-string".
_is_quoted = re.compile(r'"(?:[^"\\]|\\.)*"').fullmatch
_escaped = re.compile(r"\\(.)")


class HTTPMessage(NamedTuple):
    """Headers, with lower-case names, and body of a request or response."""

    headers: dict[str, str]
    body: bytes


def to_http(event: CloudEvent, mode: Mode = "binary", *, format: Format = JSON_FORMAT) -> HTTPMessage:  # noqa: A002
    """Encode *event* as an HTTP message.

    Args:
        event: The event.
        mode: "binary": attributes in headers, data in the body. "structured": everything in the body.
        format: The format of structured messages.

    Raises:
        EncodeError: the data cannot be encoded.
    """
    if mode == "structured":
        return HTTPMessage({_CONTENT_TYPE: format.content_type}, format.encode(event))
    if mode != "binary":
        raise ValueError(f'mode={mode!r} is neither "binary" nor "structured"; use to_http_batch for batches')
    headers = {
        _PREFIX + name: encode_header_value(canonical(value))
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    content_type = event.content_type
    if content_type is not None:
        headers[_CONTENT_TYPE] = content_type
    return HTTPMessage(headers, event.encoded_data)


def from_http(headers: Headers, body: bytes, *, raw: bool = False) -> CloudEvent:
    """Decode the event of a message. The content type determines the mode: binary or structured.

    Args:
        headers: A mapping, or pairs of names and values; names in any case.
        body: The whole body.
        raw: Leave the data encoded; it is checked anyway.

    Raises:
        InvalidCloudEventError: it is not a CloudEvent; names the attribute.
        DecodeError: the data does not match its media type.
        UnknownFormatError: the format is not registered, or the message is a batch.
    """
    fields = _fields(headers)
    content_type = fields.get(_CONTENT_TYPE)
    if content_type is not None and is_structured(content_type):
        if is_batch(content_type):
            raise UnknownFormatError(f"{content_type[:80]!r} is a batch, not a single event; use from_http_batch")
        return read_structured(content_type, body, raw=raw)
    attributes: dict[str, Any] = {
        name[len(_PREFIX) :]: _attribute(name, value) for name, value in fields.items() if name.startswith(_PREFIX)
    }
    if "datacontenttype" in attributes:
        raise InvalidCloudEventError(
            "ce-datacontenttype is not allowed: the media type of the data is in the header Content-Type",
            "datacontenttype",
        )
    if "data" in attributes:
        raise InvalidCloudEventError("not a CloudEvent: ce-data is not allowed, the data is the body", "data")
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    event = make_event(attributes)
    if body:
        data = decode_data(body, content_type)
        event.data = body if raw else data
    return event


def to_http_batch(events: Iterable[CloudEvent], *, format: Format = JSON_FORMAT) -> HTTPMessage:  # noqa: A002
    """Encode *events*, which may be empty, as a batch. Send batches only to receivers that expect them.

    Raises:
        EncodeError: the data of an event cannot be encoded.
    """
    return HTTPMessage({_CONTENT_TYPE: format.batch_content_type}, format.encode_batch(events))


def from_http_batch(headers: Headers, body: bytes, *, raw: bool = False) -> list[CloudEvent]:
    """Decode a batch. An invalid event fails the whole batch.

    Raises:
        InvalidCloudEventError: an event is not a CloudEvent; names its index and the attribute.
        DecodeError: the data of an event does not match its media type.
        UnknownFormatError: the message is not a batch, or its format is not registered.
    """
    content_type = _fields(headers).get(_CONTENT_TYPE, "")
    if not is_batch(content_type):
        raise UnknownFormatError(f"{content_type[:80]!r} is not a batch; use from_http")
    return find_format(content_type).decode_batch(body, raw=raw)


def encode_header_value(text: str) -> str:
    """Encode the canonical string of an attribute as a header value (section 3.1.3.2)."""
    return quote(text, safe=_SAFE)


def decode_header_value(value: str) -> str:
    """Decode a header value: first the quoted string, then, once, the percent-encoding.

    Raises:
        ValueError: it has an invalid escape, encodes bytes that are not UTF-8, or is not printable ASCII.
    """
    value = value.strip(" \t")
    if _unprintable(value):
        raise ValueError("a header must be printable ASCII; percent-encode other characters")
    if value.startswith('"'):
        if not _is_quoted(value):
            raise ValueError("a quoted string is not terminated")
        value = _escaped.sub(r"\1", value[1:-1])
    if "%" not in value:
        return value
    if _broken_percent(value):
        raise ValueError("a percent sign must be followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise ValueError("percent-encoded bytes are not UTF-8") from None


def _fields(headers: Headers) -> dict[str, str]:
    """Return the headers of the event, with lower-case names."""
    fields: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lower = name.lower()
        if lower == _CONTENT_TYPE or lower.startswith(_PREFIX):
            if lower in fields:
                raise InvalidCloudEventError(f"the header {lower[:80]!r} appears twice", lower.removeprefix(_PREFIX))
            fields[lower] = value
    return fields


def _attribute(name: str, value: str) -> str:
    try:
        return decode_header_value(value)
    except ValueError as error:
        raise InvalidCloudEventError(f"header {name[:80]!r}: {error}", name.removeprefix(_PREFIX)) from error
