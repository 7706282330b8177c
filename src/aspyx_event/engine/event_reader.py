"""`EventReader`: envelope -> event, by content mode, schema version and codec."""

from __future__ import annotations

from typing import Any

from ..codecs.base import Codec
from ..codecs.upcasters import VersionedDecoding
from ..envelope import CE_TYPE, CE_VERSION, CONTENT_TYPE, Envelope
from ..events import EventDescriptor
from ..exceptions import DecodeError


class EventReader:
    """Decodes envelopes to events.

    Args:
        codec: Decodes the bodies.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec, self._versions = codec, VersionedDecoding(codec)
        self._content_type = codec.content_type

    def prepare(self, descriptor: EventDescriptor) -> None:
        """Check the upcasters for older payloads of an event.

        Raises:
            DeclarationError: they do not lead to its version.
        """
        self._versions.prepare(descriptor)

    def binary(self, envelope: Envelope) -> Envelope:
        """Return the envelope in binary mode, with the CloudEvents attributes in its headers; itself if it is already.

        Raises:
            DecodeError: a structured event that cannot be decoded, which a provider therefore delivered unchanged.
        """
        content_type = envelope.headers.get(CONTENT_TYPE)
        if content_type is None or content_type == self._content_type:
            return envelope
        from ..cloudevents.formats import is_structured
        from ..cloudevents.messaging import from_envelope, to_stomp

        if not is_structured(content_type):
            return envelope
        headers, body = to_stomp(from_envelope(envelope, raw=True))
        return Envelope(body, headers)

    def decode(self, descriptor: EventDescriptor, envelope: Envelope) -> Any:
        """Return the event of *envelope*, an instance of the class that *descriptor* describes.

        Raises:
            DecodeError: the body does not match the class, or the message names another event.
        """
        headers = envelope.headers
        if headers.get(CONTENT_TYPE) != self._content_type:
            envelope = self.binary(envelope)
            headers = envelope.headers
        event_type = headers.get(CE_TYPE)
        if event_type and event_type != descriptor.name:
            raise DecodeError(f"event {descriptor.name!r}: the message says that it is a {event_type!r}, unknown here")
        if descriptor.self_described:
            from ..cloudevents.messaging import from_envelope

            return from_envelope(envelope)
        version = headers.get(CE_VERSION, "1")
        if version != descriptor.wire_version:
            return self._versions.decode(envelope.body, version, descriptor)
        return self._codec.decode(envelope.body, descriptor)
