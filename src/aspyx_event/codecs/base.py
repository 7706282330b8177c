"""The port of codecs: an event to bytes and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class UpcastingCodec(Protocol):
    """What a codec has that can be used with upcasters: it shows them the payload before it makes the event."""

    def decode_older(
        self, body: bytes, descriptor: EventDescriptor, upcast: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Any:
        """Return the event of a body of an older version.

        Args:
            body: The body.
            descriptor: The event as it is today.
            upcast: Brings the payload to the version of the descriptor; raises DecodeError.

        Raises:
            DecodeError: the body is not such an event.
        """
