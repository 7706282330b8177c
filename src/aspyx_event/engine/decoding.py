"""From an envelope to the event that one subscription takes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ..codecs.base import Codec
from ..context import EventContext
from ..contracts.upcasters import VersionedDecoding
from ..envelope import CE_TYPE, CE_VERSION, Envelope
from ..events import EventDescriptor
from ..exceptions import DecodeError
from ..filters import Filter
from ..names import is_pattern
from ..registry import EventRegistry
from ..targets import ANY, Source
from .invocation import Call


class Decoder:
    """Decodes what comes from the sources of one subscription.

    Args:
        codec: Reads bodies.
        versions: Reads those of older versions.
        registry: The classes of the manager: a message arrives as the class that has its name.
        sources: What is consumed.
    """

    def __init__(
        self, codec: Codec, versions: VersionedDecoding, registry: EventRegistry, sources: tuple[Source, ...]
    ) -> None:
        self._codec, self._versions, self._registry = codec, versions, registry
        self._known = {event.name: event for source in sources for event in source.events}
        self._only = next(iter(self._known.values())) if len(self._known) == 1 else None
        #: Sources whose events are not known beforehand.
        self._open = [source for source in sources if not source.events]
        self._label = sources[0].descriptor.name
        # Of a single name without a class the event's name is known, even if the message does not state it.
        names = [source.address for source in self._open if not is_pattern(source.address)]
        self._default = names[0] if len(names) == len(sources) == 1 else ""
        #: The broker's own messages come along with everything; they state no event name.
        self.skips_nameless = any(source.address == ANY for source in sources)

    def name_of(self, envelope: Envelope) -> str:
        """Return the name of the event, "" where the message does not state it and it cannot be known."""
        stated = envelope.headers.get(CE_TYPE)
        if stated:
            return stated
        return self._only.name if self._only is not None and not self._open else self._default

    def decode(self, envelope: Envelope) -> Any:
        """Return the event of *envelope*.

        Raises:
            DecodeError: the body is not what its class says, or the message says that it is an event of another name.
        """
        only = self._only
        if only is not None and not self._open:
            stated = envelope.headers.get(CE_TYPE)
            if not stated or stated == only.name:
                return self._read(envelope, only)
            raise self._foreign(stated)
        name = self.name_of(envelope)
        descriptor = self._known.get(name) or self._descriptor(name)
        if descriptor is not None:
            return self._read(envelope, descriptor)
        for source in self._open:
            if source.free_form is not None and name and source.takes(name):
                return source.free_form.read(name, envelope.body, envelope.headers)
        raise self._foreign(name)

    def _read(self, envelope: Envelope, descriptor: EventDescriptor) -> Any:
        version = envelope.headers.get(CE_VERSION, "1")
        if version != descriptor.wire_version:
            return self._versions.decode(envelope.body, version, descriptor)
        return self._codec.decode(envelope.body, descriptor)

    def _descriptor(self, name: str) -> EventDescriptor | None:
        return self._registry.find(name) if any(source.takes(name) for source in self._open) else None

    def _foreign(self, name: str) -> DecodeError:
        if not name:
            return DecodeError(f"event {self._label!r}: the message states no event name (header {CE_TYPE})")
        return DecodeError(f"event {self._label!r}: the message says that it is a {name!r}, unknown here")


class Handling:
    """What one handler does with an envelope that came through the interceptors: look at the headers, decode, look at
    the event, call.

    Args:
        decoder: Makes the event.
        filter: Which events are wanted; None: all.
        call: Calls the handler.
    """

    def __init__(self, decoder: Decoder, filter: Filter | None, call: Call) -> None:  # noqa: A002
        self._decoder, self._filter, self._call = decoder, filter, call
        self._plain = filter is None and not decoder.skips_nameless

    def __call__(self, envelope: Envelope, context: EventContext) -> Awaitable[Any] | None:
        if self._plain:
            if envelope.event is None:
                envelope.event = self._decoder.decode(envelope)
            if context.guard is not None:
                context.guard()
            return self._call(envelope.event, context)
        return self._call_if_wanted(envelope, context)

    def _call_if_wanted(self, envelope: Envelope, context: EventContext) -> Awaitable[Any] | None:
        name = self._decoder.name_of(envelope)
        left = () if self._filter is None else self._filter.before_decoding(name, envelope.headers)
        if left is None or (not name and self._decoder.skips_nameless):
            context.skipped = True
            return None
        if envelope.event is None:
            envelope.event = self._decoder.decode(envelope)
        if self._filter is not None and not self._filter.after_decoding(envelope.event, left):
            context.skipped = True
            return None
        if context.guard is not None:
            context.guard()
        return self._call(envelope.event, context)
