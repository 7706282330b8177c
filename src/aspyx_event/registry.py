"""Event names and classes that one manager knows. There is no registry of the process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .events import EventDescriptor
from .exceptions import DuplicateEventError, UnregisteredEventTypeError
from .free_form import FreeFormEvent


class EventRegistry:
    """Event descriptors by class and by name; filled by the listeners of a manager and by what it sends.

    Attributes:
        strict: Names that no class has are refused, instead of standing for events without a class.
    """

    def __init__(self) -> None:
        self.strict = False
        self._by_name: dict[str, EventDescriptor] = {}
        self._by_type: dict[type, EventDescriptor] = {}

    def add(self, cls: type) -> EventDescriptor:
        """Register *cls* and return its descriptor; again is no error.

        Raises:
            UnregisteredEventTypeError: *cls* is not an event.
            DuplicateEventError: a different class has the name. The same class declared anew replaces the old one.
        """
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
        """Return the descriptor of an event that is to be sent; its class is registered by that.

        Raises:
            UnregisteredEventTypeError: it is no event, or has a name that is refused.
            DuplicateEventError: see `add`.
        """
        if isinstance(event, FreeFormEvent):
            return self.free_form(event)
        return self._by_type.get(type(event)) or self.add(type(event))

    def free_form(self, event: FreeFormEvent) -> EventDescriptor:
        """Return the descriptor of an event that has no class: what a class of its name declares, holds for it too.
        Where there is none, it is sent as a durable one, because a queue that keeps it may be there.
        """
        name = event.event_name
        known = self._by_name.get(name)
        if known is None:
            self.check_free(name)
            return EventDescriptor(type(event), name, durable=True)
        return replace(known, type=type(event), key=None)

    def check_free(self, name: str) -> None:
        """Refuse a name that no class has, if such names are refused.

        Raises:
            UnregisteredEventTypeError: they are.
        """
        if self.strict and name not in self._by_name:
            self.by_name(name)

    def by_name(self, name: str) -> EventDescriptor:
        """Return the descriptor of the event called *name*.

        Raises:
            UnregisteredEventTypeError: no event of this name is known here.
        """
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(self._by_name)) or "none yet"
            raise UnregisteredEventTypeError(f"No event found with name {name!r}; known: {known}") from None

    def find(self, name: str) -> EventDescriptor | None:
        """Return the descriptor of the event called *name*, None where no class here has the name."""
        return self._by_name.get(name)

    def __contains__(self, target: object) -> bool:
        return target in self._by_name or target in self._by_type

    def __iter__(self) -> Iterator[EventDescriptor]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)


def _path(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
