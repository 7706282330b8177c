"""`ResultPublisher`: sends the events that a handler returned, in order, before its delivery is acknowledged."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID

from ...context import EventContext
from ...envelope import CE_ID, NO_OPTIONS
from ...events import is_event
from ...exceptions import ListenerError
from ...free_form import FreeFormEvent, SelfDescribed
from ...registry import EventRegistry
from .factory import EnvelopeFactory
from .sending import Sending


class ResultPublisher:
    """Sends the events that handlers return. On the manager's loop, as part of the attempt: a failed send fails it.

    Args:
        registry: Finds the descriptors of the events.
        factory: Builds the envelopes.
        sending: Sends the envelopes.
    """

    def __init__(self, registry: EventRegistry, factory: EnvelopeFactory, sending: Sending) -> None:
        self._registry, self._factory, self._sending = registry, factory, sending

    async def __call__(self, context: EventContext) -> None:
        """Send the events that the handler of *context* returned; return when the provider has confirmed all of them."""
        result, context.returned = context.returned, None
        listener = context.listener
        for number, event in enumerate(returned_events(result, f"listener {listener.name!r}")):
            descriptor = self._registry.of(event)
            envelope = self._factory.make(event, descriptor, None, NO_OPTIONS)
            if context.event_id:
                # The same id at every attempt: a broker that detects duplicates drops those sent before a crash.
                envelope.headers[CE_ID] = _derived_id(context, number)
            await self._sending.send(envelope, descriptor)


def returned_events(result: Any, label: str) -> list[Any]:
    """Return the events that a handler returned: a single event, several, or an empty list for a false value.

    Raises:
        ListenerError: the handler returned something else.
    """
    if _is_event(result):
        return [result]
    if not result:
        return []
    # A text or a mapping is iterable, but never meant as several events.
    events = None if isinstance(result, (str, bytes, dict)) else _as_list(result)
    if events is None or not all(_is_event(event) for event in events):
        raise ListenerError(
            f"{label} returned {type(result).__name__}: a handler returns an event, several, or None; its event counts "
            "as failed"
        )
    return events


def _is_event(value: Any) -> bool:
    return isinstance(value, (FreeFormEvent, SelfDescribed)) or is_event(type(value))


def _as_list(result: Any) -> list[Any] | None:
    try:
        return list(result)
    except TypeError:
        return None


def _derived_id(context: EventContext, number: int) -> str:
    """Return the same id for the same event, listener and position: a UUID of version 8 (RFC 9562, section 5.8).

    Application and source are part of it. Otherwise a broker would drop events as duplicates where two applications
    have a listener of the same name, or two sources use the same id.
    """
    listener = context.listener
    parts = (context.event_id, context.source, listener.application, listener.event.name, listener.name, str(number))
    digest = bytearray(blake2b("|".join(parts).encode(), digest_size=16).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
