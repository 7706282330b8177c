"""The protocol bindings for AMQP and STOMP: events to properties or headers and body, and back; also for envelopes.

Source: AMQP Protocol Binding for CloudEvents v1.0.2. STOMP has no binding of its own; the names of AMQP are used, with
all values as strings. Envelopes have the headers of STOMP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ..envelope import CE_PREFIX, CE_PREFIX_COLON, CONTENT_TYPE, Envelope
from ..exceptions import DecodeError, InvalidCloudEventError, UnknownFormatError
from .attributes import Value, canonical
from .data import decode_data
from .event import CORE_ATTRIBUTES, CloudEvent
from .formats import JSON_FORMAT, Format, is_batch, is_structured, make_event, read_structured
from .http import Mode

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AMQP_CONTENT_TYPES = ("JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE")
_STRING_ATTRIBUTES = frozenset(CORE_ATTRIBUTES) - {"time"}


class AMQPMessage(NamedTuple):
    """The parts of an AMQP message that carry an event, for any AMQP 1.0 client.

    Attributes:
        content_type: The property of this name; None leaves it unset.
        application_properties: The attributes under their wire names.
        body: For a data section.
    """

    content_type: str | None
    application_properties: dict[str, Value]
    body: bytes


class StompMessage(NamedTuple):
    """The headers of a SEND or MESSAGE frame that carry an event, and its body."""

    headers: dict[str, str]
    body: bytes


def to_amqp(
    event: CloudEvent,
    mode: Mode = "binary",
    *,
    prefix: str = CE_PREFIX,
    format: Format = JSON_FORMAT,  # noqa: A002
) -> AMQPMessage:
    """Encode *event* as an AMQP message.

    Booleans, integers and bytes are native values; times are canonical strings, which the binding allows for every value.

    Args:
        event: The event.
        mode: "binary": attributes as application properties, data in the body. "structured": everything in the body.
        prefix: Prefix of the names, "cloudEvents_" or "cloudEvents:". JMS can read only the first.
        format: The format of structured messages.

    Raises:
        EncodeError: the data cannot be encoded.
    """
    if mode == "structured":
        return AMQPMessage(format.content_type, {}, format.encode(event))
    _check_arguments(mode, prefix)
    properties: dict[str, Value] = {
        prefix + name: canonical(value) if isinstance(value, datetime) else value
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    return AMQPMessage(event.content_type, properties, event.encoded_data)


def from_amqp(
    content_type: str | None, application_properties: Mapping[str, Any] | None, body: bytes, *, raw: bool = False
) -> CloudEvent:
    """Decode the event of an AMQP message, in either mode and with either prefix.

    Args:
        content_type: The property of this name.
        application_properties: Native values or strings. Times may be milliseconds since 1970: the native form, and the
            form of clients that have no type for times.
        body: The bytes of the data sections.
        raw: Leave the data encoded; it is checked anyway.

    Raises:
        InvalidCloudEventError: it is not a CloudEvent; names the attribute.
        DecodeError: the data does not match its media type.
        UnknownFormatError: the format is not registered.
    """
    return _to_event(content_type or "", (application_properties or {}).items(), body, raw)


def to_stomp(event: CloudEvent, mode: Mode = "binary", *, format: Format = JSON_FORMAT) -> StompMessage:  # noqa: A002
    """Encode *event* as a STOMP message; see `to_amqp`."""
    if mode == "structured":
        return StompMessage({CONTENT_TYPE: format.content_type}, format.encode(event))
    _check_arguments(mode, CE_PREFIX)
    headers = {
        CE_PREFIX + name: canonical(value) for name, value in event.attributes.items() if name != "datacontenttype"
    }
    content_type = event.content_type
    if content_type is not None:
        headers[CONTENT_TYPE] = content_type
    return StompMessage(headers, event.encoded_data)


def from_stomp(headers: Mapping[str, str], body: bytes, *, raw: bool = False) -> CloudEvent:
    """Decode the event of a frame; see `from_amqp`.

    Without a `content-type`, that of an AMQP message is used, which Artemis passes to STOMP clients under another name.
    """
    content_type = headers.get(CONTENT_TYPE)
    if content_type is None:
        content_type = next((headers[name] for name in _AMQP_CONTENT_TYPES if name in headers), "")
    return _to_event(content_type, headers.items(), body, raw)


def from_envelope(envelope: Envelope, *, raw: bool = False) -> CloudEvent:
    """Decode the event of an envelope, such as that of an interceptor or a listener's context, regardless of its class.

    Raises:
        InvalidCloudEventError: it is not a CloudEvent; names the attribute.
        DecodeError: the data does not match its media type.
    """
    return from_stomp(envelope.headers, envelope.body, raw=raw)


def to_structured(headers: Mapping[str, str], body: bytes) -> StompMessage:
    """Convert a message from binary to structured mode. Headers that are not attributes stay headers.

    A message that is not a CloudEvent is returned unchanged.
    """
    try:
        event = from_stomp(headers, body)
    except InvalidCloudEventError:
        return StompMessage(dict(headers), body)
    except DecodeError:  # an interceptor has changed the data
        event = from_stomp({**headers, CONTENT_TYPE: "application/octet-stream"}, body)
        event.datacontenttype = headers[CONTENT_TYPE]
    message = to_stomp(event, "structured")
    return StompMessage({**_other_headers(headers), **message.headers}, message.body)


def to_binary(headers: Mapping[str, str], body: bytes) -> StompMessage:
    """Convert a message from structured to binary mode, the only mode that the code above the providers handles.

    Headers that are not attributes stay; attributes in the body override those in headers. A message that cannot be
    decoded is returned unchanged, and fails later, when its body is decoded.
    """
    try:
        event = _to_event(headers.get(CONTENT_TYPE, ""), (), body, True)
    except DecodeError:
        return StompMessage(dict(headers), body)
    message = to_stomp(event)
    return StompMessage({**_other_headers(headers), **message.headers}, message.body)


def _other_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.startswith(CE_PREFIX) and name != CONTENT_TYPE}


def _check_arguments(mode: str, prefix: str) -> None:
    if mode != "binary":
        raise ValueError(f'mode={mode!r} is neither "binary" nor "structured"')
    if prefix not in (CE_PREFIX, CE_PREFIX_COLON):
        raise ValueError(f"prefix={prefix!r} is neither {CE_PREFIX!r} nor {CE_PREFIX_COLON!r}")


def _to_event(content_type: str, properties: Iterable[tuple[str, Any]], body: bytes, raw: bool) -> CloudEvent:
    if is_structured(content_type):
        if is_batch(content_type):
            raise UnknownFormatError(f"{content_type[:80]!r}: only HTTP carries batches")
        return read_structured(content_type, body, raw=raw)
    attributes: dict[str, Any] = {}
    for name, value in properties:
        if name.startswith((CE_PREFIX, CE_PREFIX_COLON)):
            short = name[len(CE_PREFIX) :]
            if short in attributes:
                raise InvalidCloudEventError(f"the attribute {short[:80]!r} appears twice, with both prefixes", short)
            if short in ("data", "datacontenttype"):
                raise InvalidCloudEventError(
                    f"the property {name!r} is not allowed: the data is the body, and its media type the content type",
                    short,
                )
            attributes[short] = _attribute(short, value)
    if content_type:
        attributes["datacontenttype"] = content_type
    event = make_event(attributes)
    if body:
        data = decode_data(body, event.datacontenttype)
        event.data = body if raw else data
    return event


#: Python refuses to read numbers of thousands of digits.
_MAX_TIME_DIGITS = 20


def _attribute(name: str, value: Any) -> Any:
    if isinstance(value, str):
        # Milliseconds, written as a number by a client without a type for times. Longer numbers are out of range anyway.
        is_number = name == "time" and len(value) <= _MAX_TIME_DIGITS and value.isascii() and value.isdigit()
        return _time_of(int(value)) if is_number else str(value)
    if isinstance(value, int) and (type(value).__name__ == "timestamp" or name == "time") and value is not True:
        return _time_of(value)  # the driver's class for the AMQP type, or a number in its place
    if name in _STRING_ATTRIBUTES and value is not None and not isinstance(value, (list, dict)):
        return canonical(value)
    return value


def _time_of(milliseconds: int) -> Any:
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))
    except OverflowError:
        return str(milliseconds)  # out of range; the event reports it
