"""Conversion between events of declared classes and CloudEvents."""

from __future__ import annotations

from typing import Any, TypeVar

from ..codecs.base import Codec
from ..codecs.json import JsonCodec
from ..codecs.upcasters import VersionedDecoding
from ..envelope import CE_PREFIX, CE_VERSION
from ..events import EventDescriptor
from ..exceptions import DeclarationError, DecodeError
from .data import decode_data
from .event import CloudEvent

E = TypeVar("E")
_json = JsonCodec()
_VERSION = CE_VERSION.removeprefix(CE_PREFIX)


def to_cloudevent(event: Any, *, source: str = "", codec: Codec | None = None, **attributes: Any) -> CloudEvent:
    """Convert an event of a declared class to a CloudEvent: its name becomes the type, its fields the data.

    Args:
        event: An instance of an event class. A CloudEvent is returned unchanged.
        source: Source of the event; "" uses the `source` of the declaration.
        codec: Encodes the fields; None is JSON.
        **attributes: Further attributes: `id`, `time`, `subject`, extensions.

    Raises:
        UnregisteredEventTypeError: its class is not declared with ``@event``.
        DeclarationError: neither the call nor the declaration has a source.
        EncodeError: the event has values that cannot be encoded.
        pydantic.ValidationError: an attribute violates the specification.
    """
    if isinstance(event, CloudEvent):
        return event
    descriptor = EventDescriptor.of(type(event))
    source = source or descriptor.source
    if not source:
        raise DeclarationError(
            f"event {descriptor.name!r} has no source: declare @event(source=...), or call to_cloudevent(..., source=...)"
        )
    codec = codec or _json
    key = descriptor.key_of(event)
    if key is not None:
        attributes = {"partitionkey": key, **attributes}
    if descriptor.version != 1:
        attributes = {_VERSION: descriptor.wire_version, **attributes}
    data = codec.encode(event, descriptor)
    return CloudEvent(
        type=descriptor.name,
        source=source,
        datacontenttype=codec.content_type,
        data=decode_data(data, codec.content_type),
        **attributes,
    )


def from_cloudevent(cloudevent: CloudEvent, event_class: type[E], *, codec: Codec | None = None) -> E:
    """Convert a CloudEvent to an event of a declared class.

    Args:
        cloudevent: Its type must be the name of the event.
        event_class: A class declared with ``@event``.
        codec: Decodes the data; None is JSON.

    Raises:
        UnregisteredEventTypeError: the class is not declared.
        DecodeError: the type is that of another event, or the data does not fit the class; names the field.
        SchemaVersionError: the data has a version that this application cannot read.
    """
    descriptor = EventDescriptor.of(event_class)
    if cloudevent.type != descriptor.name:
        raise DecodeError(f"event {descriptor.name!r}: the CloudEvent has the type {cloudevent.type!r}")
    codec = codec or _json
    version = str(cloudevent.extensions.get(_VERSION, "1"))
    if version != descriptor.wire_version:
        upcast: E = VersionedDecoding(codec).decode(cloudevent.encoded_data, version, descriptor)
        return upcast
    event: E = codec.decode(cloudevent.encoded_data, descriptor)
    return event
