"""Event formats: encode whole events, or batches, as bytes; independent of the transport.

Source: JSON Event Format for CloudEvents v1.0.2.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from ..exceptions import DecodeError, EncodeError, EventException, InvalidCloudEventError, UnknownFormatError
from .attributes import canonical, decode_base64
from .data import TextCoder, decode_data, encode_data, find_coder, read_json, write_json
from .event import CloudEvent
from .media_types import JSON, MediaType

#: Prefix of the media types of all formats, including batch formats.
CLOUDEVENTS = "application/cloudevents"
BATCH = CLOUDEVENTS + "-batch"


class Format(Protocol):
    """Encodes and decodes whole events.

    Attributes:
        content_type: Its media type, ``application/cloudevents+...``.
        batch_content_type: Media type of its batches, ``application/cloudevents-batch+...``; "" without a batch format.
    """

    content_type: str
    batch_content_type: str

    def encode(self, event: CloudEvent) -> bytes:
        """Encode *event* in this format.

        Raises:
            EncodeError: its data cannot be encoded.
        """

    def decode(self, encoded: bytes, *, raw: bool = False) -> CloudEvent:
        """Decode an event.

        Args:
            encoded: Bytes of this format.
            raw: Leave the data encoded.

        Raises:
            InvalidCloudEventError: it is not a CloudEvent; names the attribute.
            DecodeError: the data does not match its media type.
        """

    def encode_batch(self, events: Iterable[CloudEvent]) -> bytes:
        """Encode *events* in the batch format, like `encode`."""

    def decode_batch(self, encoded: bytes, *, raw: bool = False) -> list[CloudEvent]:
        """Decode a batch, like `decode`. An invalid event fails the whole batch."""


class _DuplicateMembers(dict[str, Any]):
    """A JSON object with a member that appears twice."""


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _DuplicateMembers(members)


class JSONFormat:
    """``application/cloudevents+json``."""

    content_type = CLOUDEVENTS + "+json"
    batch_content_type = BATCH + "+json"

    def encode(self, event: CloudEvent) -> bytes:
        return _to_json(_event_members(event))

    def decode(self, encoded: bytes, *, raw: bool = False) -> CloudEvent:
        return _from_members(_parse(encoded), raw)

    def encode_batch(self, events: Iterable[CloudEvent]) -> bytes:
        return _to_json([_event_members(event) for event in events])

    def decode_batch(self, encoded: bytes, *, raw: bool = False) -> list[CloudEvent]:
        batch = _parse(encoded)
        if not isinstance(batch, list):
            raise InvalidCloudEventError("a batch is a JSON array of events")
        events = []
        for index, members in enumerate(batch):
            try:
                events.append(_from_members(members, raw))
            except InvalidCloudEventError as error:
                raise InvalidCloudEventError(f"event {index} of the batch: {error}", error.attribute) from error
            except DecodeError as error:
                raise DecodeError(f"event {index} of the batch: {error}") from error
        return events


JSON_FORMAT = JSONFormat()
_formats: dict[str, Format] = {}


def register_format(event_format: Format) -> None:
    """Register a format, in this process, for reading structured messages and batches."""
    _formats[event_format.content_type.lower()] = event_format
    if event_format.batch_content_type:
        _formats[event_format.batch_content_type.lower()] = event_format


register_format(JSON_FORMAT)


def find_format(content_type: str) -> Format:
    """Return the format of a structured message or batch.

    Raises:
        UnknownFormatError: the format is not registered.
    """
    try:
        event_format = _formats.get(MediaType.parse(content_type).essence)
    except ValueError as error:
        raise UnknownFormatError(f"content type: {error}") from error
    if event_format is None:
        raise UnknownFormatError(f"unknown format {content_type[:80]!r}; known: {', '.join(sorted(_formats))}")
    return event_format


def read_structured(content_type: str, body: bytes, *, raw: bool = False) -> CloudEvent:
    """Return the event of a structured message.

    Raises:
        UnknownFormatError: the format is not registered.
        InvalidCloudEventError: it is not a CloudEvent; names the attribute.
        DecodeError: the data does not match its media type.
    """
    event_format = find_format(content_type)
    try:
        return event_format.decode(body, raw=raw)
    except EventException:
        raise
    except Exception as error:  # from a registered format
        raise InvalidCloudEventError(f"not valid {content_type}: {error or type(error).__name__}") from error


def is_structured(content_type: str) -> bool:
    """Return whether a content type is that of a structured message or a batch.

    Source: HTTP protocol binding, section 3; AMQP protocol binding, section 3.
    """
    return content_type[: len(CLOUDEVENTS)].lower() == CLOUDEVENTS


def is_batch(content_type: str) -> bool:
    """Return whether a content type is that of a batch."""
    return content_type[: len(BATCH)].lower() == BATCH


def make_event(attributes: Mapping[str, Any]) -> CloudEvent:
    """Return the event with the received attributes, including `data`. Absent attributes get no defaults.

    Raises:
        InvalidCloudEventError: an attribute is missing or invalid; names it.
    """
    for name in ("specversion", "id", "source", "type"):  # a generated id would make it another event
        if attributes.get(name) is None:
            raise InvalidCloudEventError(f"not a CloudEvent: the attribute {name!r} is missing", name)
    if attributes["specversion"] != "1.0":
        version = str(attributes["specversion"])[:20]
        raise InvalidCloudEventError(f"specversion {version!r} is not supported, only '1.0'", "specversion")
    try:
        return CloudEvent.model_validate({"time": None, **attributes})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name, reason = str(first["loc"][0]) if first["loc"] else "", first["msg"].removeprefix("Value error, ")
        raise InvalidCloudEventError(f"not a CloudEvent: attribute {name[:80]!r}: {reason}", name) from error


def _event_members(event: CloudEvent) -> dict[str, Any]:
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


def _to_json(members: Any) -> bytes:
    try:
        return write_json(members).encode()
    except Exception as error:
        raise EncodeError(f"data cannot be encoded as JSON: {error}") from error


def _parse(encoded: bytes) -> Any:
    try:
        return read_json(encoded.decode(), _json_object)
    except ValueError as error:
        raise InvalidCloudEventError(f"the body is not JSON: {error}") from error


def _from_members(members: Any, raw: bool) -> CloudEvent:
    if not isinstance(members, dict):
        raise InvalidCloudEventError("an event is a JSON object")
    if isinstance(members, _DuplicateMembers):
        raise InvalidCloudEventError("a member of the event's JSON object appears twice")
    attributes = {name: value for name, value in members.items() if value is not None}
    data, encoded = attributes.pop("data", None), attributes.pop("data_base64", None)
    if data is not None and encoded is not None:
        raise InvalidCloudEventError("an event has either data or data_base64, not both", "data_base64")
    event = make_event(attributes)
    if encoded is not None:
        event.data = _from_base64(encoded, event.datacontenttype, raw)
    elif "data" in members:
        _set_data(event, data, raw)
    return event


def _from_base64(encoded: object, content_type: str | None, raw: bool) -> Any:
    try:
        if not isinstance(encoded, str):
            raise ValueError("the value is not a string")
        data = decode_base64(encoded)
    except ValueError as error:
        raise InvalidCloudEventError(f"data_base64: {error}", "data_base64") from error
    return data if raw or not data else decode_data(data, content_type)


def _set_data(event: CloudEvent, data: Any, raw: bool) -> None:
    content_type = event.datacontenttype or str(JSON)
    media_type = MediaType.parse(content_type)
    try:
        encoding = media_type.encoding
    except ValueError as error:
        raise DecodeError(f"data is not valid {content_type[:80]}: {error}") from error
    if media_type.is_json:
        if raw or data is None:  # otherwise bytes would have no media type, and null would mean no data
            event.datacontenttype = content_type
        event.data = encode_data(data, content_type) if raw else data
    elif isinstance(data, str):
        if not raw and isinstance(find_coder(media_type), TextCoder):
            event.data = data
            return
        try:
            encoded = data.encode(encoding)
        except UnicodeEncodeError as error:
            raise DecodeError(f"data is not valid {content_type[:80]}: {error}") from error
        event.data = encoded if raw else decode_data(encoded, content_type)
    elif data is not None:
        raise InvalidCloudEventError(f"data of the media type {content_type[:80]!r} must be a string", "data")
