"""Decodes the envelopes that a subscription consumes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...envelope import CE_SPECVERSION, CE_TYPE, Envelope
from ...events import EventDescriptor
from ...exceptions import DecodeError
from ...free_form import FREE_FORM, FreeFormEvent, GenericEvent
from ...names import is_pattern
from ...registry import EventRegistry
from ...targets import ANY, Route
from ..event_reader import EventReader


class Decoder:
    """Decodes events from the routes of a subscription.

    Args:
        reader: Reads events whose class is known.
        registry: The event classes of the manager: a message is decoded as the class that has its name.
        routes: The routes of the subscription.
    """

    def __init__(self, reader: EventReader, registry: EventRegistry, routes: tuple[Route, ...]) -> None:
        self._reader, self._registry = reader, registry
        self._known = {event.name: event for route in routes for event in route.events}
        #: Routes whose events are not known beforehand.
        self._open = [route for route in routes if not route.events]
        self._only = next(iter(self._known.values())) if len(self._known) == 1 and not self._open else None
        self._label = routes[0].descriptor.name
        # A single name without a class is the name of the event, even if the message states none.
        names = [route.address for route in self._open if not is_pattern(route.address)]
        self._default_name = names[0] if len(names) == len(routes) == 1 else ""
        #: A subscription to all addresses gets the broker's own messages too; they state no event name.
        self.skips_nameless = any(route.address == ANY for route in routes)

    def name_of(self, envelope: Envelope) -> str:
        """Return the name of the event, "" if the message does not state it and the routes do not tell."""
        stated = envelope.headers.get(CE_TYPE)
        if stated:
            return stated
        return self._default_name if self._only is None else self._only.name

    def decode(self, envelope: Envelope) -> Any:
        """Return the event of *envelope*.

        Raises:
            DecodeError: the body does not match its class, or the message states the name of another event.
        """
        if self._only is not None:
            return self._reader.decode(self._only, envelope)
        envelope = self._reader.binary(envelope)
        name = self.name_of(envelope)
        descriptor = self._known.get(name)
        if descriptor is not None:
            return self._reader.decode(descriptor, envelope)
        route = next((route for route in self._open if name and route.takes(name)), None)
        if route is None:
            raise self._unexpected(name)
        known: EventDescriptor | None = self._registry.find(name)
        return _free_form(name, envelope, route.free_form) if known is None else self._reader.decode(known, envelope)

    def fastest(self) -> Callable[[Envelope], Any]:
        """Return a function that does the same as `decode`, without its checks where a single class is expected."""
        return self.decode if self._only is None else partial(self._reader.decode, self._only)

    def _unexpected(self, name: str) -> DecodeError:
        if not name:
            return DecodeError(f"event {self._label!r}: the message states no event name (header {CE_TYPE})")
        return DecodeError(f"event {self._label!r}: the message says that it is a {name!r}, unknown here")


def _free_form(name: str, envelope: Envelope, parameter_type: type | None) -> Any:
    """Return the event of a message whose name has no class.

    Args:
        name: Name of the event.
        envelope: In binary mode.
        parameter_type: The free-form class that the handler takes; None takes the class that was sent: `GenericEvent`,
            or `CloudEvent` for a message that is a CloudEvent.
    """
    from ...cloudevents.event import CloudEvent
    from ...cloudevents.messaging import from_envelope

    sent_type = (
        CloudEvent if envelope.headers.get(CE_SPECVERSION) and FREE_FORM not in envelope.headers else GenericEvent
    )
    event_type = parameter_type or sent_type
    if issubclass(event_type, FreeFormEvent):
        return event_type.read(name, envelope.body, envelope.headers)
    return from_envelope(envelope)
