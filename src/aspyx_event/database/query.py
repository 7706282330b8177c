"""`EventQuery`: the conditions of a search in an event store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..events import EventDescriptor
from ..exceptions import DeclarationError
from .stored_event import EventStatus, StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """The conditions of `EventStore.find`; an event must meet all of them.

    Attributes:
        types: Names of events, any of them; empty is all.
        since: Created at this time or later.
        until: Created before this time.
        owner, correlation_id, causation_id: Exactly this.
        tag: One of its tags.
        status: Its status.
        after: Position after which the search begins.
    """

    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    owner: str | None = None
    tag: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    status: EventStatus | None = None
    after: int = 0

    def __post_init__(self) -> None:
        for name, value in (("since", self.since), ("until", self.until)):
            if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
                raise DeclarationError(
                    f"{name}={value!r}: must be a datetime with a time zone, for example timezone.utc"
                )

    def matches(self, stored: StoredEvent) -> bool:
        """Return whether *stored* meets the conditions."""
        return (
            stored.position > self.after
            and (not self.types or stored.type in self.types)
            and (self.since is None or stored.time >= self.since)
            and (self.until is None or stored.time < self.until)
            and (self.owner is None or stored.owner == self.owner)
            and (self.tag is None or self.tag in stored.tags)
            and (self.correlation_id is None or stored.correlation_id == self.correlation_id)
            and (self.causation_id is None or stored.causation_id == self.causation_id)
            and (self.status is None or stored.status is self.status)
        )

    @staticmethod
    def names(types: str | type | Iterable[str | type] | None) -> tuple[str, ...]:
        """Return the event names for *types*: event classes or names; None is all.

        Raises:
            UnregisteredEventTypeError: a class is not an event.
            DeclarationError: *types* is empty, or contains something else.
        """
        if types is None:
            return ()
        listed = (types,) if isinstance(types, (str, type)) or not isinstance(types, Iterable) else tuple(types)
        if not listed or not all(isinstance(type_, (str, type)) for type_ in listed):
            raise DeclarationError(f"find({types!r}): give event classes or names, or None for all")
        return tuple(type_ if isinstance(type_, str) else EventDescriptor.of(type_).name for type_ in listed)
