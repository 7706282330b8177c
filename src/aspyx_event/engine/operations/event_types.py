"""`EventManager.events`: the event types that a manager knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...events import EventDescriptor
from ...registry import EventRegistry
from ..sending.factory import EnvelopeFactory


class EventTypes:
    """The descriptors of the event classes that a manager has sent, listens to or was configured with.

    Args:
        registry: Holds them.
        factory: Makes the envelopes of sent events.
    """

    def __init__(self, registry: EventRegistry, factory: EnvelopeFactory) -> None:
        self._registry, self._factory = registry, factory

    def add(self, event_class: type) -> EventDescriptor:
        """Register an event class, if it is not registered yet, and return its descriptor.

        Raises:
            UnregisteredEventTypeError: the class is not declared with ``@event``.
            DuplicateEventError: another class of this manager has its name.
        """
        return self._registry.add(event_class)

    def by_name(self, name: str) -> EventDescriptor:
        """Return the descriptor of the event called *name*.

        Raises:
            UnregisteredEventTypeError: no event of this name is known here.
        """
        return self._registry.by_name(name)

    def remove(self, event_class: type | str) -> None:
        """Forget an event class, given itself or its name. Subscriptions to it stay.

        Raises:
            UnregisteredEventTypeError: it is not known here.
        """
        self._registry.remove(event_class)

    def check(self, event: Any) -> None:
        """Raise what `EventManager.send_event` would raise for *event* itself; nothing is sent.

        Raises:
            UnregisteredEventTypeError: its class is not declared with ``@event``.
            CodecError: it cannot be written, or its data does not match its class or schema.
            HeaderError: an attribute cannot be sent.
        """
        self._factory.check(event, self._registry.of(event))

    def __contains__(self, target: object) -> bool:
        """True for the class or the name of a known event."""
        return target in self._registry

    def __iter__(self) -> Iterator[EventDescriptor]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def __repr__(self) -> str:
        return f"<EventTypes {', '.join(descriptor.name for descriptor in self) or 'none'}>"
