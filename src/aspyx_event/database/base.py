"""The interfaces of stores: `InboxStore` for handled events, and `EventStore` for sent events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ..exceptions import DeclarationError
from .query import EventQuery
from .stored_event import EventStatus, StoredEvent

#: Events in the first page, and at most in later pages, whose size depends on the size of the bodies.
_FIRST_PAGE, _LARGEST_PAGE = 100, 1_000
#: Intended size of the bodies of a page, in bytes.
_PAGE_BYTES = 4_000_000


class InboxStore(ABC):
    """Records which events a subscription has handled. Called on the manager's event loop; must not block it.

    If the store is in the database of the handlers and written in their transaction, the effect of an event happens
    once. If it is written after the handler has finished, a crash between the two repeats the effect.
    """

    @abstractmethod
    async def contains(self, subscription: str, event_id: str) -> bool:
        """Return whether *subscription* has handled the event."""

    @abstractmethod
    async def add(self, subscription: str, event_id: str) -> None:
        """Record that *subscription* has handled the event; idempotent."""


class FoundEvents(AsyncIterable[StoredEvent]):
    """The result of `EventStore.find`: iterate over it, any number of times, or count or delete its events.

    An iteration yields the events that are stored when it begins, in the order of their positions, and loads a page at
    a time. No transaction is open between pages: events that are deleted meanwhile are skipped, and the store can be
    written to.
    """

    def __init__(self, store: EventStore, query: EventQuery, limit: int | None) -> None:
        self._store, self._query, self._limit = store, query, limit

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self._iterate()

    async def count(self) -> int:
        """Return the number of events, ignoring the limit of `find`."""
        return await self._store.count_of(self._query)

    async def purge(self) -> int:
        """Delete the events, ignoring the limit of `find`; return their number."""
        return await self._store.purge(self._query)

    async def _iterate(self) -> AsyncIterator[StoredEvent]:
        # Fixed at the start: an iteration that stores events itself must come to an end.
        last = await self._store.last_position()
        query, remaining, size = self._query, self._limit, _FIRST_PAGE
        while remaining is None or remaining > 0:
            limit = size if remaining is None else min(size, remaining)
            page = await self._store.page(query, last, limit)
            for stored in page:
                yield stored
            if len(page) < limit:
                return
            if remaining is not None:
                remaining -= len(page)
            query = replace(query, after=page[-1].position)
            mean = sum(len(stored.body) for stored in page) // len(page)
            size = max(1, min(_LARGEST_PAGE, _PAGE_BYTES // (mean + 1)))


class EventStore(ABC):
    """Keeps sent events in the order in which they were stored. Safe to use concurrently, from any event loop.

    Iterating over the store yields all its events. Positions increase in the order in which events become visible, so
    a reader can resume after the last position it has read and miss nothing.

    Every method raises `StoreUnavailableError` if a retry may help, and `StoreRefusedError` if not.
    """

    async def start(self) -> None:  # noqa: B027  a store in memory has nothing to open
        """Open connections and create missing tables; idempotent. Called by the manager, on its loop.

        Raises:
            MissingDriverError: the driver is not installed.
        """

    async def stop(self) -> None:  # noqa: B027
        """Close the connections; idempotent. A stopped store may be started again."""

    async def create(self, event: StoredEvent) -> StoredEvent:
        """Store *event* after all others; return it with its position.

        Raises:
            DuplicateStoredEventError: the id is stored already.
        """
        if not isinstance(event, StoredEvent):
            raise DeclarationError(f"create({event!r}): not an instance of StoredEvent")
        await self.create_all((event,))
        return await self.read(event.id)

    @abstractmethod
    async def create_all(self, events: Sequence[StoredEvent]) -> None:
        """Store all *events* in their order, atomically.

        Raises:
            DuplicateStoredEventError: an id is stored already, or two of *events* have the same id.
        """

    @abstractmethod
    async def read(self, event_id: str) -> StoredEvent:
        """Return the event with this id.

        Raises:
            UnknownStoredEventError: no event with this id is stored.
        """

    @abstractmethod
    async def update(self, event: StoredEvent) -> None:
        """Replace the stored event with the same id; its position stays.

        Raises:
            UnknownStoredEventError: no event with this id is stored.
        """

    @abstractmethod
    async def set_status(self, event_ids: Sequence[str], status: EventStatus) -> int:
        """Set the status of events; return how many were found. Unknown ids are ignored."""

    @abstractmethod
    async def delete(self, event_id: str) -> None:
        """Delete the event with this id.

        Raises:
            UnknownStoredEventError: no event with this id is stored.
        """

    def find(
        self,
        type: str | type | Iterable[str | type] | None = None,  # noqa: A002
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        owner: str | None = None,
        tag: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        status: EventStatus | str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> FoundEvents:
        """Find the events that meet all conditions. Nothing is read before the result is used.

        Args:
            type: Event classes or names; None is all.
            since: Created at this time or later.
            until: Created before this time.
            owner: Owner of the event.
            tag: One of its tags.
            correlation_id: Its correlation id.
            causation_id: Id of the event that caused it.
            status: Its status.
            after: Position after which the search begins, to continue an earlier search.
            limit: Maximum number of events; None has no limit.

        Raises:
            DeclarationError: a time has no time zone, a status is unknown, or a class is not an event.
        """
        if limit is not None and limit < 0:
            raise DeclarationError(f"find(limit={limit}): must be a number >= 0 or None")
        try:
            event_status = None if status is None else EventStatus(status)
        except ValueError as error:
            known = ", ".join(member.value for member in EventStatus)
            raise DeclarationError(f"find(status={status!r}): unknown; use one of {known}") from error
        query = EventQuery(
            types=EventQuery.names(type),
            since=since,
            until=until,
            owner=owner,
            tag=tag,
            correlation_id=correlation_id,
            causation_id=causation_id,
            status=event_status,
            after=after,
        )
        return FoundEvents(self, query, limit)

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self.find().__aiter__()

    async def count(self) -> int:
        """Return the number of stored events; `find(...).count()` counts a selection."""
        return await self.count_of(EventQuery())

    @abstractmethod
    async def last_position(self) -> int:
        """Return the position of the latest event, or a later position; 0 for an empty store."""

    @abstractmethod
    async def page(self, query: EventQuery, last: int, limit: int) -> Sequence[StoredEvent]:
        """Return the first *limit* events that match *query*, up to position *last*, ordered by position."""

    @abstractmethod
    async def count_of(self, query: EventQuery) -> int:
        """Return the number of events that match *query*."""

    @abstractmethod
    async def purge(self, query: EventQuery) -> int:
        """Delete the events that match *query*; return their number."""
