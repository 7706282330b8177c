"""Stores in memory: for one process, and for as long as it runs."""

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

#: Events looked at in one go, before the loop gets its turn.
_STRETCH = 2_000


class MemoryInboxStore(InboxStore):
    """Forgets the oldest entries first.

    Args:
        capacity: Entries to remember, all subscriptions together; about 200 bytes each.

    Raises:
        DeclarationError: the capacity is not a number > 0.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise DeclarationError(f"MemoryInboxStore(capacity={capacity}) is not a number > 0")
        self._capacity = capacity
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    async def contains(self, subscription: str, event_id: str) -> bool:
        return (subscription, event_id) in self._seen

    async def add(self, subscription: str, event_id: str) -> None:
        self._seen[subscription, event_id] = None
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)


class MemoryEventStore(EventStore):
    """Keeps events in this process; for tests, and where only the latest are of interest.

    Args:
        capacity: Events to keep, the oldest are forgotten first; None keeps all.

    Raises:
        DeclarationError: the capacity is neither a number > 0 nor None.
    """

    def __init__(self, capacity: int | None = None) -> None:
        if capacity is not None and capacity < 1:
            raise DeclarationError(f"MemoryEventStore(capacity={capacity}) is neither a number > 0 nor None")
        self._capacity = capacity
        #: By id, in the order of their positions.
        self._events: OrderedDict[str, StoredEvent] = OrderedDict()
        #: Positions and ids in that order, what was deleted included until there is too much of it.
        self._order: list[tuple[int, str]] = []
        self._last = 0
        # Event loops of other threads may ask at the same time.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._events)

    async def create_all(self, events: Sequence[StoredEvent]) -> None:
        ids = {event.id for event in events}
        if len(ids) < len(events):
            raise DuplicateStoredEventError("two of the events to be stored have one id")
        with self._lock:
            for known in ids & self._events.keys():
                raise DuplicateStoredEventError(f"event {known!r} is stored already")
            for event in events:
                self._last += 1
                self._events[event.id] = _copy(event, self._last)
                self._order.append((self._last, event.id))
            while self._capacity is not None and len(self._events) > self._capacity:
                self._events.popitem(last=False)
            self._tidy()

    async def read(self, event_id: str) -> StoredEvent:
        with self._lock:
            found = self._known(event_id)
        return _copy(found, found.position)

    async def update(self, event: StoredEvent) -> None:
        with self._lock:
            self._events[event.id] = _copy(event, self._known(event.id).position)

    async def set_status(self, event_ids: Sequence[str], status: EventStatus) -> int:
        with self._lock:
            known = [event_id for event_id in event_ids if event_id in self._events]
            for event_id in known:
                self._events[event_id] = replace(self._events[event_id], status=status)
        return len(known)

    async def delete(self, event_id: str) -> None:
        with self._lock:
            self._known(event_id)
            del self._events[event_id]
            self._tidy()

    async def last_position(self) -> int:
        return self._last

    async def page(self, query: EventQuery, upto: int, limit: int) -> Sequence[StoredEvent]:
        found: list[StoredEvent] = []
        after: int | None = query.after
        while after is not None and after < upto and len(found) < limit:
            with self._lock:
                stretch, after = self._behind(after)
            matching = (one for one in stretch if one.position <= upto and query.matches(one))
            found += (_copy(one, one.position) for one in islice(matching, limit - len(found)))
            await asyncio.sleep(0)
        return found

    async def count_of(self, query: EventQuery) -> int:
        with self._lock:
            return sum(query.matches(stored) for stored in self._events.values())

    async def purge(self, query: EventQuery) -> int:
        with self._lock:
            found = [stored.id for stored in self._events.values() if query.matches(stored)]
            for event_id in found:
                del self._events[event_id]
            self._tidy()
        return len(found)

    def _known(self, event_id: str) -> StoredEvent:
        if event_id not in self._events:
            raise UnknownStoredEventError(f"no event {event_id!r} is stored")
        return self._events[event_id]

    def _behind(self, position: int) -> tuple[list[StoredEvent], int | None]:
        """Return some events behind *position*, and the position to go on from; None at the end."""
        start = bisect_right(self._order, position, key=_position_of)
        stretch = self._order[start : start + _STRETCH]
        # What was deleted is not there, or is there under its id again, further behind.
        found = [self._events.get(event_id) for _, event_id in stretch]
        there = [one for one, (place, _) in zip(found, stretch, strict=True) if one and one.position == place]
        return there, stretch[-1][0] if len(stretch) == _STRETCH else None

    def _tidy(self) -> None:
        if len(self._order) > 2 * len(self._events) + 100:
            self._order = [(stored.position, stored.id) for stored in self._events.values()]


def _copy(stored: StoredEvent, position: int) -> StoredEvent:
    # These are dicts: what a caller does to its own must not change what is stored.
    return replace(stored, headers=dict(stored.headers), options=dict(stored.options), position=position)


def _position_of(entry: tuple[int, str]) -> int:
    return entry[0]
