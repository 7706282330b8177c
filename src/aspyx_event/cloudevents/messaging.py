"""Messages of AMQP and STOMP: events to properties and body, and back; and envelopes, whose headers are the same.

Source: AMQP Protocol Binding for CloudEvents v1.0.2. STOMP has no binding of its own; the names of AMQP are used, with
all values as strings.
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
_AMQP_CONTENT_TYPE = ("JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE")
_TEXTS = frozenset(CORE_ATTRIBUTES) - {"time"}


class AMQPMessage(NamedTuple):
    """The parts of an AMQP message that are about an event, for any AMQP 1.0 client.

    Attributes:
        content_type: The property of this name; None leaves it unset.
        application_properties: The attributes under their wire names.
        body: For a data section.
    """

    content_type: str | None
    application_properties: dict[str, Value]
    body: bytes


class StompMessage(NamedTuple):
    """The headers of a SEND or MESSAGE frame that are about an event, and its body."""

    headers: dict[str, str]
    body: bytes


def to_amqp(
    event: CloudEvent,
    mode: Mode = "binary",
    *,
    prefix: str = CE_PREFIX,
    format: Format = JSON_FORMAT,  # noqa: A002
) -> AMQPMessage:
    """Return the message that carries *event*.

    Booleans, integers and bytes are native values, times canonical strings, which the binding allows for each value.

    Args:
        event: The event.
        mode: "binary": attributes as application properties, the data as body. "structured": all of it in the body.
        prefix: Of the names, "cloudEvents_" or "cloudEvents:". JMS can read the first only.
        format: Of structured messages.

    Raises:
        EncodeError: the data cannot be written.
    """
    if mode == "structured":
        return AMQPMessage(format.content_type, {}, format.encode(event))
    _check(mode, prefix)
    properties: dict[str, Value] = {
        prefix + name: canonical(value) if isinstance(value, datetime) else value
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    return AMQPMessage(event.content_type, properties, event.encoded_data)


def from_amqp(
    content_type: str | None, application_properties: Mapping[str, Any] | None, body: bytes, *, raw: bool = False
) -> CloudEvent:
    """Return the event that an AMQP message carries, in either mode, with either prefix.

    Args:
        content_type: The property of this name.
        application_properties: As the client gives them: native values or strings. Times may be milliseconds since
            1970, which is the native form, and what clients write who have no type of their own for it.
        body: The bytes of the data sections.
        raw: Leave the data in the bytes of its media type; it is checked nevertheless.

    Raises:
        InvalidCloudEventError: it carries none; names the attribute.
        DecodeError: its data is not what its media type says.
        UnknownFormatError: its format is not known.
    """
    return _event(content_type or "", (application_properties or {}).items(), body, raw)


def to_stomp(event: CloudEvent, mode: Mode = "binary", *, format: Format = JSON_FORMAT) -> StompMessage:  # noqa: A002
    """Return the message that carries *event*; see `to_amqp`."""
    if mode == "structured":
        return StompMessage({CONTENT_TYPE: format.content_type}, format.encode(event))
    _check(mode, CE_PREFIX)
    headers = {
        CE_PREFIX + name: canonical(value) for name, value in event.attributes.items() if name != "datacontenttype"
    }
    content_type = event.content_type
    if content_type is not None:
        headers[CONTENT_TYPE] = content_type
    return StompMessage(headers, event.encoded_data)


def from_stomp(headers: Mapping[str, str], body: bytes, *, raw: bool = False) -> CloudEvent:
    """Return the event that the headers and the body of a frame carry; see `from_amqp`.

    Where there is no `content-type`, that of an AMQP message is taken, which Artemis hands to STOMP clients under another
    name.
    """
    content_type = headers.get(CONTENT_TYPE)
    if content_type is None:
        content_type = next((headers[name] for name in _AMQP_CONTENT_TYPE if name in headers), "")
    return _event(content_type, headers.items(), body, raw)


def from_envelope(envelope: Envelope, *, raw: bool = False) -> CloudEvent:
    """Return the event of an envelope, of whatever class; what an interceptor or a listener's context has in hand.

    Raises:
        InvalidCloudEventError: the message it came from was none; names the attribute.
        DecodeError: its data is not what its media type says.
    """
    return from_stomp(envelope.headers, envelope.body, raw=raw)


def wrap(headers: Mapping[str, str], body: bytes) -> StompMessage:
    """Return a message in binary mode as one in structured mode; headers that are no attributes stay beside it.

    What is no CloudEvent stays as it is.
    """
    try:
        event = from_stomp(headers, body)
    except InvalidCloudEventError:
        return StompMessage(dict(headers), body)
    except DecodeError:  # an interceptor made something else of the data
        event = from_stomp({**headers, CONTENT_TYPE: "application/octet-stream"}, body)
        event.datacontenttype = headers[CONTENT_TYPE]
    message = to_stomp(event, "structured")
    return StompMessage({**_others(headers), **message.headers}, message.body)


def unwrap(headers: Mapping[str, str], body: bytes) -> StompMessage:
    """Return a message in structured mode as one in binary mode: what all rooms above the providers work with.

    Headers that are no attributes stay; where attributes stand in headers too, those in the body count. What cannot be
    read stays as it is, and fails where bodies are decoded.
    """
    try:
        event = _event(headers.get(CONTENT_TYPE, ""), (), body, True)
    except DecodeError:
        return StompMessage(dict(headers), body)
    message = to_stomp(event)
    return StompMessage({**_others(headers), **message.headers}, message.body)


def _others(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.startswith(CE_PREFIX) and name != CONTENT_TYPE}


def _check(mode: str, prefix: str) -> None:
    if mode != "binary":
        raise ValueError(f'mode={mode!r} is neither "binary" nor "structured"')
    if prefix not in (CE_PREFIX, CE_PREFIX_COLON):
        raise ValueError(f"prefix={prefix!r} is neither {CE_PREFIX!r} nor {CE_PREFIX_COLON!r}")


def _event(content_type: str, properties: Iterable[tuple[str, Any]], body: bytes, raw: bool) -> CloudEvent:
    if is_structured(content_type):
        if is_batch(content_type):
            raise UnknownFormatError(f"{content_type[:80]!r}: only HTTP carries batches")
        return read_structured(content_type, body, raw=raw)
    attributes: dict[str, Any] = {}
    for name, value in properties:
        if name.startswith((CE_PREFIX, CE_PREFIX_COLON)):
            short = name[len(CE_PREFIX) :]
            if short in attributes:
                raise InvalidCloudEventError(f"the attribute {short[:80]!r} stands twice, with both prefixes", short)
            if short in ("data", "datacontenttype"):
                raise InvalidCloudEventError(
                    f"there must be no property {name!r}: it is not among the properties", short
                )
            attributes[short] = _attribute(short, value)
    if content_type:
        attributes["datacontenttype"] = content_type
    event = make_event(attributes)
    if body:
        data = decode_data(body, event.datacontenttype)
        event.data = body if raw else data
    return event


def _attribute(name: str, value: Any) -> Any:
    if isinstance(value, str):
        # Milliseconds that a client without a type for times wrote as a number.
        return _moment(int(value)) if name == "time" and value.isascii() and value.isdigit() else str(value)
    if isinstance(value, int) and (type(value).__name__ == "timestamp" or name == "time") and value is not True:
        return _moment(value)  # the driver's own class for the AMQP type, or a number in its place
    if name in _TEXTS and value is not None and not isinstance(value, (list, dict)):
        return canonical(value)
    return value


def _moment(milliseconds: int) -> Any:
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))
    except OverflowError:
        return str(milliseconds)  # no moment, as the event will say
