"""Event formats: whole events, or many of them, as bytes. They know of no transport.

Source: JSON Event Format for CloudEvents v1.0.2.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from ..exceptions import DecodeError, EncodeError, EventException, InvalidCloudEventError, UnknownFormatError
from .attributes import canonical, decode_base64
from .data import TextCoder, coder_of, decode_data, encode_data, read_json, write_json
from .event import CloudEvent
from .media_types import JSON, MediaType

#: What the media types of all formats, batch formats included, begin with.
CLOUDEVENTS = "application/cloudevents"
BATCH = CLOUDEVENTS + "-batch"


class Format(Protocol):
    """Writes whole events, and reads them.

    Attributes:
        content_type: Its media type, ``application/cloudevents+...``.
        batch_content_type: That of its batches, ``application/cloudevents-batch+...``; "" if it has none.
    """

    content_type: str
    batch_content_type: str

    def encode(self, event: CloudEvent) -> bytes:
        """Return *event* in this format.

        Raises:
            EncodeError: its data cannot be written.
        """

    def decode(self, encoded: bytes, *, raw: bool = False) -> CloudEvent:
        """Return the event that *encoded* is.

        Args:
            encoded: Bytes of this format.
            raw: Leave the data in the bytes of its media type.

        Raises:
            InvalidCloudEventError: it is none; names the attribute.
            DecodeError: its data is not what its media type says.
        """

    def encode_batch(self, events: Iterable[CloudEvent]) -> bytes:
        """Return many events in the batch format, like `encode`."""

    def decode_batch(self, encoded: bytes, *, raw: bool = False) -> list[CloudEvent]:
        """Return the events of a batch, all of them or none, like `decode`."""


class _Doubled(dict[str, Any]):
    """A JSON object in which a member stands twice."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Doubled(members)


class JSONFormat:
    """``application/cloudevents+json``."""

    content_type = CLOUDEVENTS + "+json"
    batch_content_type = BATCH + "+json"

    def encode(self, event: CloudEvent) -> bytes:
        return _written(_members_of(event))

    def decode(self, encoded: bytes, *, raw: bool = False) -> CloudEvent:
        return _event(_read(encoded), raw)

    def encode_batch(self, events: Iterable[CloudEvent]) -> bytes:
        return _written([_members_of(event) for event in events])

    def decode_batch(self, encoded: bytes, *, raw: bool = False) -> list[CloudEvent]:
        found = _read(encoded)
        if not isinstance(found, list):
            raise InvalidCloudEventError("a batch is a JSON array of events")
        events = []
        for index, one in enumerate(found):
            try:
                events.append(_event(one, raw))
            except InvalidCloudEventError as error:
                raise InvalidCloudEventError(f"event {index} of the batch: {error}", error.attribute) from error
            except DecodeError as error:
                raise DecodeError(f"event {index} of the batch: {error}") from error
        return events


JSON_FORMAT = JSONFormat()
_formats: dict[str, Format] = {}


def register_format(one: Format) -> None:
    """Let structured messages of a further format be read, in this process, and its batches."""
    _formats[one.content_type.lower()] = one
    if one.batch_content_type:
        _formats[one.batch_content_type.lower()] = one


register_format(JSON_FORMAT)


def format_of(content_type: str) -> Format:
    """Return the format that a structured message, or a batch, is written in.

    Raises:
        UnknownFormatError: nobody reads it.
    """
    try:
        found = _formats.get(MediaType.parse(content_type).essence)
    except ValueError as error:
        raise UnknownFormatError(f"content type: {error}") from error
    if found is None:
        raise UnknownFormatError(f"nobody reads {content_type[:80]!r} here; known: {', '.join(sorted(_formats))}")
    return found


def read_structured(content_type: str, body: bytes, *, raw: bool = False) -> CloudEvent:
    """Return the event of a structured message.

    Raises:
        UnknownFormatError: nobody reads its format.
        InvalidCloudEventError: it is none; names the attribute.
        DecodeError: its data is not what its media type says.
    """
    found = format_of(content_type)
    try:
        return found.decode(body, raw=raw)
    except EventException:
        raise
    except Exception as error:  # a format of somebody else's
        raise InvalidCloudEventError(f"no {content_type}: {error or type(error).__name__}") from error


def is_structured(content_type: str) -> bool:
    """Tell by its content type whether a whole event, or a batch, is in the body of a message.

    Source: HTTP protocol binding, section 3; AMQP protocol binding, section 3.
    """
    return content_type[: len(CLOUDEVENTS)].lower() == CLOUDEVENTS


def is_batch(content_type: str) -> bool:
    """Tell by its content type whether a batch is in the body of a message."""
    return content_type[: len(BATCH)].lower() == BATCH


def make_event(attributes: Mapping[str, Any]) -> CloudEvent:
    """Return the event of attributes that came in, the data as `data` among them. What is absent stays so.

    Raises:
        InvalidCloudEventError: a required one is missing or one is wrong; names it.
    """
    for name in ("specversion", "id", "source", "type"):  # an id of our own would make another event of it
        if attributes.get(name) is None:
            raise InvalidCloudEventError(f"no CloudEvent: the attribute {name!r} is missing", name)
    if attributes["specversion"] != "1.0":
        version = str(attributes["specversion"])[:20]
        raise InvalidCloudEventError(f"specversion {version!r} is not known here, only '1.0'", "specversion")
    try:
        return CloudEvent.model_validate({"time": None, **attributes})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name, reason = str(first["loc"][0]) if first["loc"] else "", first["msg"].removeprefix("Value error, ")
        raise InvalidCloudEventError(f"no CloudEvent: attribute {name[:80]!r}: {reason}", name) from error


def _members_of(event: CloudEvent) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: value if isinstance(value, (bool, int)) else canonical(value) for name, value in event.attributes.items()
    }
    data = event.data
    if not event.has_data:
        return members
    if not isinstance(data, bytes) and not event.is_json and not isinstance(data, str):
        data = encode_data(data, event.datacontenttype)
    if isinstance(data, bytes):
        members["data_base64"] = base64.b64encode(data).decode()
    else:
        members["data"] = data
    return members


def _written(members: Any) -> bytes:
    try:
        return write_json(members).encode()
    except Exception as error:
        raise EncodeError(f"data cannot be written as JSON: {error}") from error


def _read(encoded: bytes) -> Any:
    try:
        return read_json(encoded.decode(), _members)
    except ValueError as error:
        raise InvalidCloudEventError(f"the body is no JSON: {error}") from error


def _event(found: Any, raw: bool) -> CloudEvent:
    if not isinstance(found, dict):
        raise InvalidCloudEventError("an event is a JSON object")
    if isinstance(found, _Doubled):
        raise InvalidCloudEventError("a member of the event's JSON object stands twice")
    members = {name: value for name, value in found.items() if value is not None}
    data, encoded = members.pop("data", None), members.pop("data_base64", None)
    if data is not None and encoded is not None:
        raise InvalidCloudEventError("an event has either data or data_base64, not both", "data_base64")
    event = make_event(members)
    if encoded is not None:
        event.data = _from_base64(encoded, event.datacontenttype, raw)
    elif "data" in found:
        _put_data(event, data, raw)
    return event


def _from_base64(encoded: object, content_type: str | None, raw: bool) -> Any:
    try:
        if not isinstance(encoded, str):
            raise ValueError("the value is no string")
        data = decode_base64(encoded)
    except ValueError as error:
        raise InvalidCloudEventError(f"data_base64: {error}", "data_base64") from error
    return data if raw or not data else decode_data(data, content_type)


def _put_data(event: CloudEvent, data: Any, raw: bool) -> None:
    content_type = event.datacontenttype or str(JSON)
    media_type = MediaType.parse(content_type)
    if media_type.is_json:
        if raw or data is None:  # without it bytes would be taken for anything, and null for no data
            event.datacontenttype = content_type
        event.data = encode_data(data, content_type) if raw else data
    elif isinstance(data, str):
        if not raw and isinstance(coder_of(media_type), TextCoder):
            event.data = data
            return
        try:
            encoded = data.encode(media_type.charset or "utf-8")
        except (LookupError, UnicodeEncodeError) as error:
            raise DecodeError(f"data is no {content_type}: {error}") from error
        event.data = encoded if raw else decode_data(encoded, content_type)
    elif data is not None:
        raise InvalidCloudEventError(f"data of the media type {content_type!r} is to be a string", "data")
