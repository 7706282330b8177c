"""From an envelope to the event of a class that is known: content modes, versions, codec."""

from __future__ import annotations

from typing import Any

from ..codecs.base import Codec
from ..codecs.upcasters import VersionedDecoding
from ..envelope import CE_TYPE, CE_VERSION, CONTENT_TYPE, Envelope
from ..events import EventDescriptor
from ..exceptions import DecodeError


class EventReader:
    """Reads events.

    Args:
        codec: Reads bodies.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec, self._versions = codec, VersionedDecoding(codec)
        self._content_type = codec.content_type

    def prepare(self, descriptor: EventDescriptor) -> None:
        """Check what older payloads of an event are read with.

        Raises:
            DeclarationError: its upcasters do not lead to its version.
        """
        self._versions.prepare(descriptor)

    def binary(self, envelope: Envelope) -> Envelope:
        """Return the envelope with the attributes in its headers; itself where they are.

        Raises:
            DecodeError: a structured event that cannot be read, which is why a provider handed it over as it came.
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
        """Return the event of *envelope*, which is of the class that *descriptor* describes.

        Raises:
            DecodeError: the body is not of the described class, or the message says that it is another event.
        """
        headers = envelope.headers
        if headers.get(CONTENT_TYPE) != self._content_type:
            envelope = self.binary(envelope)
            headers = envelope.headers
        stated = headers.get(CE_TYPE)
        if stated and stated != descriptor.name:
            raise DecodeError(f"event {descriptor.name!r}: the message says that it is a {stated!r}, unknown here")
        if descriptor.self_described:
            from ..cloudevents.messaging import from_envelope

            return from_envelope(envelope)
        version = headers.get(CE_VERSION, "1")
        if version != descriptor.wire_version:
            return self._versions.decode(envelope.body, version, descriptor)
        return self._codec.decode(envelope.body, descriptor)
