"""HTTP messages: events to headers and body, and back. Payloads are left to the coders of their media types.

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
from .formats import JSON_FORMAT, Format, format_of, is_batch, is_structured, make_event, read_structured

Mode = Literal["binary", "structured"]
Headers = Mapping[str, str] | Iterable[tuple[str, str]]
_PREFIX = "ce-"
_CONTENT_TYPE = "content-type"
# Section 3.1.3.2: all of U+0021 to U+007E but the double quote and the percent sign stay as they are.
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_broken_percent = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_unprintable = re.compile(r"[^\t -~]").search
# RFC 7230 section 3.2.6, "quoted-string".
_is_quoted = re.compile(r'"(?:[^"\\]|\\.)*"').fullmatch
_escaped = re.compile(r"\\(.)")


class HTTPMessage(NamedTuple):
    """Headers, with names in lower case, and body of a request or a response."""

    headers: dict[str, str]
    body: bytes


def to_http(event: CloudEvent, mode: Mode = "binary", *, format: Format = JSON_FORMAT) -> HTTPMessage:  # noqa: A002
    """Return the message that carries *event*.

    Args:
        event: The event.
        mode: "binary": attributes in headers, the data as body. "structured": all of it in the body.
        format: Of structured messages.

    Raises:
        EncodeError: the data cannot be written.
    """
    if mode == "structured":
        return HTTPMessage({_CONTENT_TYPE: format.content_type}, format.encode(event))
    if mode != "binary":
        raise ValueError(f'mode={mode!r} is neither "binary" nor "structured"; for batches there is to_http_batch')
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
    """Return the event that a message carries, in binary or structured mode; its content type tells which.

    Args:
        headers: Names in any case, or pairs of them with their values.
        body: The whole body.
        raw: Leave the data in the bytes of its media type; it is checked nevertheless.

    Raises:
        InvalidCloudEventError: it carries none; names the attribute.
        DecodeError: its data is not what its media type says.
        UnknownFormatError: its format is not known, or it is a batch.
    """
    fields = _fields(headers)
    content_type = fields.get(_CONTENT_TYPE)
    if content_type is not None and is_structured(content_type):
        if is_batch(content_type):
            raise UnknownFormatError(f"{content_type[:80]!r} is a batch, not one event; use from_http_batch")
        return read_structured(content_type, body, raw=raw)
    attributes: dict[str, Any] = {
        name[len(_PREFIX) :]: _attribute(name, value) for name, value in fields.items() if name.startswith(_PREFIX)
    }
    if "datacontenttype" in attributes:
        raise InvalidCloudEventError(
            "the media type of the data is the header Content-Type; there must be no ce-datacontenttype",
            "datacontenttype",
        )
    if "data" in attributes:
        raise InvalidCloudEventError("no CloudEvent: the data is the body; there must be no ce-data", "data")
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    event = make_event(attributes)
    if body:
        data = decode_data(body, content_type)
        event.data = body if raw else data
    return event


def to_http_batch(events: Iterable[CloudEvent], *, format: Format = JSON_FORMAT) -> HTTPMessage:  # noqa: A002
    """Return the message that carries all *events*, none is one of them. To be sent to those only who asked for it.

    Raises:
        EncodeError: the data of one cannot be written.
    """
    return HTTPMessage({_CONTENT_TYPE: format.batch_content_type}, format.encode_batch(events))


def from_http_batch(headers: Headers, body: bytes, *, raw: bool = False) -> list[CloudEvent]:
    """Return the events of a batch, all of them or none.

    Raises:
        InvalidCloudEventError: one is none; names its place and the attribute.
        DecodeError: the data of one is not what its media type says.
        UnknownFormatError: it is no batch, or of a format that is not known.
    """
    content_type = _fields(headers).get(_CONTENT_TYPE, "")
    if not is_batch(content_type):
        raise UnknownFormatError(f"{content_type[:80]!r} is no batch; use from_http")
    return format_of(content_type).decode_batch(body, raw=raw)


def encode_header_value(text: str) -> str:
    """Return the canonical string of an attribute as the value of a header (section 3.1.3.2)."""
    return quote(text, safe=_SAFE)


def decode_header_value(value: str) -> str:
    """Return the string that a header carries: quoted strings are resolved, then percent-encoding, once.

    Raises:
        ValueError: it has a broken escape, bytes that are no UTF-8, or is no printable ASCII.
    """
    value = value.strip(" \t")
    if _unprintable(value):
        raise ValueError("a header has printable ASCII only; the rest is percent-encoded")
    if value.startswith('"'):
        if not _is_quoted(value):
            raise ValueError("a quoted string has no end")
        value = _escaped.sub(r"\1", value[1:-1])
    if "%" not in value:
        return value
    if _broken_percent(value):
        raise ValueError("a percent sign is followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise ValueError("percent-encoded bytes are no UTF-8") from None


def _fields(headers: Headers) -> dict[str, str]:
    """Return the headers that are about the event, names in lower case."""
    fields: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lower = name.lower()
        if lower == _CONTENT_TYPE or lower.startswith(_PREFIX):
            if lower in fields:
                raise InvalidCloudEventError(f"the header {lower[:80]!r} stands twice", lower.removeprefix(_PREFIX))
            fields[lower] = value
    return fields


def _attribute(name: str, value: str) -> str:
    try:
        return decode_header_value(value)
    except ValueError as error:
        raise InvalidCloudEventError(f"header {name[:80]!r}: {error}", name.removeprefix(_PREFIX)) from error
