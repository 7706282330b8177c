"""Stores in memory: for a single process, and for as long as it runs."""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from ..exceptions import DeclarationError, DuplicateStoredEventError, UnknownStoredEventError
from .base import EventStore, InboxStore
from .query import EventQuery
from .stored_event import EventStatus, StoredEvent

#: Number of events examined before control returns to the event loop.
_BATCH = 2_000


class MemoryInboxStore(InboxStore):
    """Keeps the latest entries.

    Args:
        capacity: Number of entries, all subscriptions together; about 200 bytes each. The oldest are dropped.

    Raises:
        DeclarationError: the capacity is not a number > 0.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise DeclarationError(f"MemoryInboxStore(capacity={capacity}): must be a number > 0")
        self._capacity = capacity
        self._handled: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._handled)

    async def contains(self, subscription: str, event_id: str) -> bool:
        return (subscription, event_id) in self._handled

    async def add(self, subscription: str, event_id: str) -> None:
        self._handled[subscription, event_id] = None
        if len(self._handled) > self._capacity:
            self._handled.popitem(last=False)


class MemoryEventStore(EventStore):
    """Keeps events in this process; for tests, and if only the latest events matter.

    Args:
        capacity: Number of events; the oldest are dropped. None keeps all.

    Raises:
        DeclarationError: the capacity is neither a number > 0 nor None.
    """

    def __init__(self, capacity: int | None = None) -> None:
        if capacity is not None and capacity < 1:
            raise DeclarationError(f"MemoryEventStore(capacity={capacity}): must be a number > 0 or None")
        self._capacity = capacity
        #: By id, in the order of their positions.
        self._events: OrderedDict[str, StoredEvent] = OrderedDict()
        #: Positions and ids, in the same order. Deleted events stay until `_compact`.
        self._order: list[tuple[int, str]] = []
        self._last_position = 0
        # Event loops of other threads may use the store concurrently.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._events)

    async def create_all(self, events: Sequence[StoredEvent]) -> None:
        ids = {event.id for event in events}
        if len(ids) < len(events):
            raise DuplicateStoredEventError("two of the events have the same id")
        with self._lock:
            for event_id in ids & self._events.keys():
                raise DuplicateStoredEventError(f"event {event_id!r} is stored already")
            for event in events:
                self._last_position += 1
                self._events[event.id] = _copy(event, self._last_position)
                self._order.append((self._last_position, event.id))
            while self._capacity is not None and len(self._events) > self._capacity:
                self._events.popitem(last=False)
            self._compact()

    async def read(self, event_id: str) -> StoredEvent:
        with self._lock:
            stored = self._stored(event_id)
        return _copy(stored, stored.position)

    async def update(self, event: StoredEvent) -> None:
        with self._lock:
            self._events[event.id] = _copy(event, self._stored(event.id).position)

    async def set_status(self, event_ids: Sequence[str], status: EventStatus) -> int:
        with self._lock:
            known = [event_id for event_id in event_ids if event_id in self._events]
            for event_id in known:
                self._events[event_id] = replace(self._events[event_id], status=status)
        return len(known)

    async def delete(self, event_id: str) -> None:
        with self._lock:
            self._stored(event_id)
            del self._events[event_id]
            self._compact()

    async def last_position(self) -> int:
        return self._last_position

    async def page(self, query: EventQuery, last: int, limit: int) -> Sequence[StoredEvent]:
        page: list[StoredEvent] = []
        after: int | None = query.after
        while after is not None and after < last and len(page) < limit:
            with self._lock:
                batch, after = self._batch_after(after)
            matching = (stored for stored in batch if stored.position <= last and query.matches(stored))
            page += (_copy(stored, stored.position) for stored in islice(matching, limit - len(page)))
            await asyncio.sleep(0)
        return page

    async def count_of(self, query: EventQuery) -> int:
        with self._lock:
            return sum(query.matches(stored) for stored in self._events.values())

    async def purge(self, query: EventQuery) -> int:
        with self._lock:
            event_ids = [stored.id for stored in self._events.values() if query.matches(stored)]
            for event_id in event_ids:
                del self._events[event_id]
            self._compact()
        return len(event_ids)

    def _stored(self, event_id: str) -> StoredEvent:
        if event_id not in self._events:
            raise UnknownStoredEventError(f"no event {event_id!r} is stored")
        return self._events[event_id]

    def _batch_after(self, position: int) -> tuple[list[StoredEvent], int | None]:
        """Return some events after *position*, and the position from which to continue; None at the end."""
        start = bisect_right(self._order, position, key=_position_of)
        entries = self._order[start : start + _BATCH]
        # A deleted event is missing, or was stored again under its id at a later position.
        events = [self._events.get(event_id) for _, event_id in entries]
        batch = [
            stored
            for stored, (entry_position, _) in zip(events, entries, strict=True)
            if stored and stored.position == entry_position
        ]
        return batch, entries[-1][0] if len(entries) == _BATCH else None

    def _compact(self) -> None:
        if len(self._order) > 2 * len(self._events) + 100:
            self._order = [(stored.position, stored.id) for stored in self._events.values()]


def _copy(stored: StoredEvent, position: int) -> StoredEvent:
    # These are dicts: a change by the caller must not change the stored event.
    return replace(stored, headers=dict(stored.headers), options=dict(stored.options), position=position)


def _position_of(entry: tuple[int, str]) -> int:
    return entry[0]
