"""The port of codecs: an event to bytes and back."""

from __future__ import annotations

from typing import Any, Protocol

from ..events import EventDescriptor


class Codec(Protocol):
    """Encodes and decodes the events of all classes. Used on the event loop: neither method blocks."""

    #: Media type of the bodies, sent as content type.
    content_type: str

    def prepare(self, descriptor: EventDescriptor) -> None:
        """Analyse an event class ahead of its first message.

        Raises:
            DeclarationError: the class has annotations that cannot be resolved or written.
        """

    def encode(self, event: Any, descriptor: EventDescriptor) -> bytes:
        """Return the body of *event*.

        Raises:
            EncodeError: it holds a value that cannot be written.
        """

    def decode(self, body: bytes, descriptor: EventDescriptor) -> Any:
        """Return the event of the described class.

        Raises:
            DecodeError: the body is not such an event; the message names event, field and reason.
        """
