"""The registry of a manager's event names and classes. There is no registry of the process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from .events import EventDescriptor
from .exceptions import DuplicateEventError, UnregisteredEventTypeError
from .free_form import FreeFormEvent, SelfDescribed
from .names import check_name

if TYPE_CHECKING:
    from .cloudevents.event import CloudEvent


class EventRegistry:
    """Event descriptors by class and by name; filled by the listeners of a manager and by the events that it sends.

    Attributes:
        strict: Names that no class has are refused; otherwise they mean events without a class.
    """

    def __init__(self) -> None:
        self.strict = False
        self._by_name: dict[str, EventDescriptor] = {}
        self._by_type: dict[type, EventDescriptor] = {}

    def add(self, cls: type) -> EventDescriptor:
        """Register *cls* and return its descriptor. Idempotent.

        Raises:
            UnregisteredEventTypeError: *cls* is not an event.
            DuplicateEventError: a different class has the name. A class that is declared again, as by a reload, replaces itself.
        """
        if not isinstance(cls, type):
            raise UnregisteredEventTypeError(f"{cls!r} is not a class; give the event class, not an instance or a name")
        known = self._by_type.get(cls)
        if known is not None:
            return known
        descriptor = EventDescriptor.of(cls)
        other = self._by_name.get(descriptor.name)
        if other is not None and _path(other.type) != _path(cls):
            raise DuplicateEventError(descriptor.name, other.type, cls)
        self._by_name[descriptor.name] = self._by_type[cls] = descriptor
        return descriptor

    def of(self, event: object) -> EventDescriptor:
        """Return the descriptor of an event that is sent, and register its class.

        An event without a class of its own gets the class that is registered under its name. If there is none, it is sent
        unchanged, and nothing is registered: names from outside must not fill the registry.

        Raises:
            UnregisteredEventTypeError: its class is not an event, or `strict` refuses its name.
            DuplicateEventError: a different class has the name.
            InvalidNameError: the type of a CloudEvent cannot be an address.
        """
        known = self._by_type.get(type(event))
        if known is not None:
            return known
        if isinstance(event, SelfDescribed):
            name = cast("CloudEvent", event).type
            self.check_free(name)
            return self._by_name.get(name) or plain(name)
        if isinstance(event, FreeFormEvent):
            self.check_free(event.event_name)
            like = self._by_name.get(event.event_name) or plain(event.event_name)
            return replace(like, type=type(event), key=None)
        return self.add(type(event))

    def check_free(self, name: str) -> None:
        """Refuse a name that no class has if the registry is `strict`.

        Raises:
            UnregisteredEventTypeError: the name is refused.
        """
        if self.strict and name not in self._by_name:
            self.by_name(name)

    def by_name(self, name: str) -> EventDescriptor:
        """Return the descriptor of the event called *name*.

        Raises:
            UnregisteredEventTypeError: no event has this name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(self._by_name)) or "none yet"
            raise UnregisteredEventTypeError(f"No event found with name {name!r}; known: {known}") from None

    def remove(self, target: type | str) -> None:
        """Remove an event class. *target* is the class or its name.

        Raises:
            UnregisteredEventTypeError: it is not registered.
        """
        descriptor = self.by_name(target) if isinstance(target, str) else self._by_type.get(target)
        if descriptor is None:
            raise UnregisteredEventTypeError(f"{target!r} is not an event of this manager")
        self._by_name.pop(descriptor.name, None)
        self._by_type.pop(descriptor.type, None)

    def find(self, name: str) -> EventDescriptor | None:
        """Return the descriptor of the event called *name*; None if no class has the name."""
        return self._by_name.get(name)

    def __contains__(self, target: object) -> bool:
        return target in self._by_name or target in self._by_type

    def __iter__(self) -> Iterator[EventDescriptor]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)


def plain(name: str) -> EventDescriptor:
    """Return the descriptor for CloudEvents of a type that no class has. Their messages are persistent.

    Raises:
        InvalidNameError: the type cannot be an address.
    """
    from .cloudevents.event import CloudEvent

    return EventDescriptor(CloudEvent, check_name(name, "CloudEvent type"), durable=True)


def _path(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
