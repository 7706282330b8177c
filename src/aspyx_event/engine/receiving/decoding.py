"""From an envelope to the event that one subscription takes, and on to its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ...context import EventContext
from ...envelope import CE_SPECVERSION, CE_TYPE, Envelope
from ...events import EventDescriptor
from ...exceptions import DecodeError
from ...filters import Filter
from ...free_form import FREE_FORM, FreeFormEvent, GenericEvent
from ...names import is_pattern
from ...registry import EventRegistry
from ...targets import ANY, Route
from ..event_reader import EventReader
from .invocation import Call


class Decoder:
    """Decodes what comes from the routes of one subscription.

    Args:
        reader: Reads events whose class is known.
        registry: The classes of the manager: a message arrives as the class that has its name.
        routes: What is consumed.
    """

    def __init__(self, reader: EventReader, registry: EventRegistry, routes: tuple[Route, ...]) -> None:
        self._reader, self._registry = reader, registry
        self._known = {event.name: event for source in routes for event in source.events}
        #: Sources whose events are not known beforehand.
        self._open = [source for source in routes if not source.events]
        self._only = next(iter(self._known.values())) if len(self._known) == 1 and not self._open else None
        self._label = routes[0].descriptor.name
        # Of a single name without a class the event's name is known, even if the message does not state it.
        names = [source.address for source in self._open if not is_pattern(source.address)]
        self._default = names[0] if len(names) == len(routes) == 1 else ""
        #: The broker's own messages come along with everything; they state no event name.
        self.skips_nameless = any(source.address == ANY for source in routes)

    def name_of(self, envelope: Envelope) -> str:
        """Return the name of the event, "" where the message does not state it and it cannot be known."""
        stated = envelope.headers.get(CE_TYPE)
        if stated:
            return stated
        return self._default if self._only is None else self._only.name

    def decode(self, envelope: Envelope) -> Any:
        """Return the event of *envelope*.

        Raises:
            DecodeError: the body is not what its class says, or the message says that it is an event of another name.
        """
        if self._only is not None:
            return self._reader.decode(self._only, envelope)
        envelope = self._reader.binary(envelope)
        name = self.name_of(envelope)
        descriptor = self._known.get(name)
        if descriptor is not None:
            return self._reader.decode(descriptor, envelope)
        source = next((one for one in self._open if name and one.takes(name)), None)
        if source is None:
            raise self._foreign(name)
        known: EventDescriptor | None = self._registry.find(name)
        return _free(name, envelope, source.free_form) if known is None else self._reader.decode(known, envelope)

    def decoding(self) -> Callable[[Envelope], Any]:
        """Return the quickest way to `decode`."""
        return self.decode if self._only is None else partial(self._reader.decode, self._only)

    def _foreign(self, name: str) -> DecodeError:
        if not name:
            return DecodeError(f"event {self._label!r}: the message states no event name (header {CE_TYPE})")
        return DecodeError(f"event {self._label!r}: the message says that it is a {name!r}, unknown here")


def _free(name: str, envelope: Envelope, wanted: type | None) -> Any:
    """Return the event of a message whose name no class has: of the class that the handler takes, or else as what it
    was sent. What is no CloudEvent was not sent as one.
    """
    from ...cloudevents.event import CloudEvent
    from ...cloudevents.messaging import from_envelope

    sent = CloudEvent if envelope.headers.get(CE_SPECVERSION) and FREE_FORM not in envelope.headers else GenericEvent
    made = wanted or sent
    if issubclass(made, FreeFormEvent):
        return made.read(name, envelope.body, envelope.headers)
    return from_envelope(envelope)


class Invocation:
    """What one handler does with an envelope that came through the interceptors: look at the headers, decode, look at
    the event, call.

    Args:
        decoder: Makes the event.
        filter: Which events are wanted; None: all.
        call: Calls the handler.
    """

    def __init__(self, decoder: Decoder, filter: Filter | None, call: Call) -> None:  # noqa: A002
        self._decoder, self._filter, self._call = decoder, filter, call
        self._decode = decoder.decoding()
        self._plain = filter is None and not decoder.skips_nameless

    def __call__(self, envelope: Envelope, context: EventContext) -> Awaitable[Any] | None:
        if not self._plain and not self._wants(envelope, context):
            return None
        if envelope.event is None:
            envelope.event = self._decode(envelope)
        if context.guard is not None:
            context.guard()
        return self._call(envelope.event, context)

    def _wants(self, envelope: Envelope, context: EventContext) -> bool:
        name = self._decoder.name_of(envelope)
        if not name and self._decoder.skips_nameless:
            context.skipped = True
            return False
        if self._filter is not None:
            left = self._filter.before_decoding(name, envelope.headers)
            if left is not None and envelope.event is None:
                envelope.event = self._decode(envelope)
            context.skipped = left is None or not self._filter.after_decoding(envelope.event, left)
        return not context.skipped
