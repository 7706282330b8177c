"""The ports to what is remembered: the inbox of a subscription, and the memory of the events that were sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ..exceptions import DeclarationError
from .query import EventQuery
from .stored_event import EventStatus, StoredEvent

#: Events of a first page; later ones are as large as their bodies allow.
_FIRST_PAGE, _LARGEST_PAGE = 100, 1_000
#: Bytes of bodies that one page is to hold.
_PAGE_BYTES = 4_000_000


class InboxStore(ABC):
    """Remembers which events a subscription has handled. Called on the manager's event loop; must not block it.

    A store in the database of the handlers, written in their transaction, makes the effect of an event happen once.
    One that is written after the handler leaves the moment between the two, in which a crash repeats the effect.
    """

    @abstractmethod
    async def contains(self, subscription: str, event_id: str) -> bool:
        """True if *subscription* has handled the event."""

    @abstractmethod
    async def add(self, subscription: str, event_id: str) -> None:
        """Remember that *subscription* has handled the event; again is no error."""


class FoundEvents(AsyncIterable[StoredEvent]):
    """What `EventStore.find` returns: iterate over it, as often as needed, or count or delete it as a whole.

    Each iteration sees what is stored when it begins, in the order of storing, and holds one page of it at a time. No
    transaction is open meanwhile: what is deleted before its turn is not seen, and the store may be written to.
    """

    def __init__(self, store: EventStore, query: EventQuery, limit: int | None) -> None:
        self._store, self._query, self._limit = store, query, limit

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self._walk()

    async def count(self) -> int:
        """Return how many there are; the limit of `find` does not count."""
        return await self._store.count_of(self._query)

    async def purge(self) -> int:
        """Delete them; return how many there were. The limit of `find` does not count."""
        return await self._store.purge(self._query)

    async def _walk(self) -> AsyncIterator[StoredEvent]:
        # Events that are stored during the iteration, perhaps by who iterates, must not keep it from ending.
        upto = await self._store.last_position()
        query, left, size = self._query, self._limit, _FIRST_PAGE
        while left is None or left > 0:
            wanted = size if left is None else min(size, left)
            page = await self._store.page(query, upto, wanted)
            for stored in page:
                yield stored
            if len(page) < wanted:
                return
            if left is not None:
                left -= len(page)
            query = replace(query, after=page[-1].position)
            mean = sum(len(stored.body) for stored in page) // len(page)
            size = max(1, min(_LARGEST_PAGE, _PAGE_BYTES // (mean + 1)))


class EventStore(ABC):
    """Remembers events, in the order in which they were stored. All methods may be called at once, from any event loop.

    Iterating over the store goes through all its events. Positions rise in the order in which events become visible:
    who has read up to one misses nothing by going on from there.

    Every method raises `StoreUnavailableError` where trying again may help, and `StoreRefusedError` where not.
    """

    async def start(self) -> None:  # noqa: B027  a store in memory has nothing to open
        """Open what is needed, and make the tables; again is no error. Called by the manager, on its loop.

        Raises:
            MissingDriverError: the driver is not installed.
        """

    async def stop(self) -> None:  # noqa: B027
        """Close what is open; again is no error. A stopped store may be started again."""

    async def create(self, event: StoredEvent) -> StoredEvent:
        """Store *event* behind all others; return it with its position.

        Raises:
            DuplicateStoredEventError: there is one of this id.
        """
        if not isinstance(event, StoredEvent):
            raise DeclarationError(f"create({event!r}): a store keeps instances of StoredEvent")
        await self.create_all((event,))
        return await self.read(event.id)

    @abstractmethod
    async def create_all(self, events: Sequence[StoredEvent]) -> None:
        """Store all *events* in their order, or none of them.

        Raises:
            DuplicateStoredEventError: there is one of such an id, or two of *events* share one.
        """

    @abstractmethod
    async def read(self, event_id: str) -> StoredEvent:
        """Return one event.

        Raises:
            UnknownStoredEventError: there is none of this id.
        """

    @abstractmethod
    async def update(self, event: StoredEvent) -> None:
        """Put *event* in the place of the one with its id; its position stays.

        Raises:
            UnknownStoredEventError: there is none of this id.
        """

    @abstractmethod
    async def set_status(self, event_ids: Sequence[str], status: EventStatus) -> int:
        """Note what became of events; return how many of them there are. Unknown ids are no error."""

    @abstractmethod
    async def delete(self, event_id: str) -> None:
        """Forget one event.

        Raises:
            UnknownStoredEventError: there is none of this id.
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
        """Find events; all that is given must hold. Nothing is read before it is iterated over.

        Args:
            type: One or several event classes or names.
            since: Made at this time or later.
            until: Made before this time.
            owner: Who answers for it.
            tag: One of its tags.
            correlation_id: What it belongs to.
            causation_id: Id of the event that it was an answer to.
            status: What became of it.
            after: Position behind which the search begins, for going on where an earlier one ended.
            limit: Events at most; None has no limit.

        Raises:
            DeclarationError: a time without a time zone, an unknown status, a class that is no event.
        """
        if limit is not None and limit < 0:
            raise DeclarationError(f"find(limit={limit}) is neither a number >= 0 nor None")
        try:
            wanted = None if status is None else EventStatus(status)
        except ValueError as error:
            known = ", ".join(one.value for one in EventStatus)
            raise DeclarationError(f"find(status={status!r}): known are {known}") from error
        query = EventQuery(
            types=EventQuery.names(type),
            since=since,
            until=until,
            owner=owner,
            tag=tag,
            correlation_id=correlation_id,
            causation_id=causation_id,
            status=wanted,
            after=after,
        )
        return FoundEvents(self, query, limit)

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self.find().__aiter__()

    async def count(self) -> int:
        """Return how many events there are; `find(...).count()` counts some of them."""
        return await self.count_of(EventQuery())

    @abstractmethod
    async def last_position(self) -> int:
        """Return the position of the event stored last, or one behind it; 0 where there is none."""

    @abstractmethod
    async def page(self, query: EventQuery, upto: int, limit: int) -> Sequence[StoredEvent]:
        """Return the first *limit* events that match *query*, up to a position, in the order of storing."""

    @abstractmethod
    async def count_of(self, query: EventQuery) -> int:
        """Return how many events match *query*."""

    @abstractmethod
    async def purge(self, query: EventQuery) -> int:
        """Delete the events that match *query*; return how many there were."""
