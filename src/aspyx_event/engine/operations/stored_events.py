"""`EventManager.store`: the stored events of a manager, to query, to replay and to send again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import TypedDict

from typing_extensions import Unpack

from ...context import current_context
from ...database.base import EventStore, FoundEvents
from ...database.stored_event import EventStatus, StoredEvent
from ..runtime.loop import running_loop
from ..runtime.operations import Operation
from ..subscribing.subscriptions import Control, Subscription
from .replay import Events, Progress, Replayer


class Conditions(TypedDict, total=False):
    """The conditions of `EventStore.find`."""

    since: datetime | None
    until: datetime | None
    owner: str | None
    tag: str | None
    correlation_id: str | None
    causation_id: str | None
    status: EventStatus | str | None
    after: int
    limit: int | None


class StoredEvents:
    """Queries the event store of a manager and replays from it.

    Queries run where they are awaited, and need no started manager once the store is open. `replay` and
    `send_unpublished` run on the manager's loop and start the manager if necessary.

    Args:
        replayer: Does the work on the manager's loop.
        started: Runs work there, after a start.
    """

    def __init__(self, replayer: Replayer, started: Control) -> None:
        self._replayer, self._started = replayer, started

    @property
    def backend(self) -> EventStore:
        """The `EventStore` that the manager was given, for everything that only the store itself offers."""
        return self._replayer.store

    def find(
        self,
        type: str | type | Iterable[str | type] | None = None,  # noqa: A002
        **conditions: Unpack[Conditions],
    ) -> FoundEvents:
        """Return the events that match all conditions, in the order in which they were stored: see `EventStore.find`.

        Raises:
            DeclarationError: a time without a time zone, an unknown status, a class that is not an event.
        """
        return self.backend.find(type, **conditions)

    async def read(self, event_id: str) -> StoredEvent:
        """Return an event.

        Raises:
            UnknownStoredEventError: no event has this id.
        """
        return await self.backend.read(event_id)

    async def count(self) -> int:
        """Return the number of stored events."""
        return await self.backend.count()

    async def last_position(self) -> int:
        """Return the position of the newest event, where the next ``find(after=...)`` begins; 0 for an empty store."""
        return await self.backend.last_position()

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self.backend.__aiter__()

    def replay(
        self,
        events: Events,
        to: Subscription | str,
        *,
        rate: float | None = None,
        progress: Progress | None = None,
    ) -> Operation[int]:
        """Hand stored events to a single subscription in their order; awaited, gives their number.

        An event keeps its id, headers and bytes, and gets the header ``aspyx-replay-of``. A subscription handles it
        again even if it has handled it before, also behind `Deduplicate`. Any process that serves the subscription
        may receive it.

        Args:
            events: For example ``manager.store.find(OrderPlaced)``.
            to: The subscription, its id, or the name of its listener.
            rate: Events per second at most; None is unlimited.
            progress: Called with the number so far, on the manager's loop.

        Raises:
            DeclarationError: when awaited: no such subscription, it is per_process, or an event of another name.
            EventStoreError: when awaited: reading failed.
            ProviderError: when awaited: an event was not accepted; *progress* was called for those that were.
        """
        # A handler must not wait for handlers: it could wait for itself.
        wait_handled = running_loop() is None and current_context() is None
        return self._started(lambda: self._replayer.replay(events, to, rate, progress, wait_handled))

    def send_unpublished(
        self, *, older_than: float = 60.0, rate: float | None = None, progress: Progress | None = None
    ) -> Operation[int]:
        """Send the events that the store has as unpublished: a process died before it sent them, or no confirmation came.

        They go in the order of storing and keep their ids, so that the broker drops those it has received after all.
        Events that this manager is sending right now are left out. Awaited, gives their number.

        Args:
            older_than: Seconds. Younger events may be on their way in other processes that share the store.
            rate: Events per second at most; None is unlimited.
            progress: Called with the number so far, on the manager's loop.

        Raises:
            EventStoreError: when awaited: reading or writing failed.
            ProviderError: when awaited: an event was not accepted.
        """
        return self._started(lambda: self._replayer.send_unpublished(older_than, rate, progress))

    def __repr__(self) -> str:
        return f"<StoredEvents in {self.backend!r}>"
