"""What an event manager does with its store of events: a part of `EventManager`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable

from ..context import current_context
from ..database.base import EventStore
from ..database.records import StoredEvent
from .engine import Engine
from .runner import EngineRunner
from .runtime.loop import running_loop
from .runtime.operations import Operation
from .subscribing.subscriptions import Subscription


class MemoryMethods:
    """Base of `EventManager`."""

    _engine: Engine
    _runner: EngineRunner

    @property
    def store(self) -> EventStore:
        """The store of events that the manager was given.

        Raises:
            DeclarationError: it was given none.
        """
        return self._engine.memory.store

    def replay(
        self,
        events: AsyncIterable[StoredEvent] | Iterable[StoredEvent],
        to: Subscription | str,
        *,
        rate: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Operation[int]:
        """Hand stored events to one subscription, and to no other, in their order; awaited, gives their number.

        An event keeps its id, headers and bytes, and gets the header ``aspyx-replay-of``. It is handled again by a
        subscription that has handled it before, also behind `Deduplicate`. Like everything sent it may go to any
        process that serves the subscription. Starts the manager if need be.

        Args:
            events: For example ``manager.store.find(OrderPlaced)``.
            to: The subscription, its id, or the name of its listener.
            rate: Events a second at most; None is unlimited.
            progress: Called with the number so far, on the manager's loop.

        Raises:
            DeclarationError: when awaited: no such subscription, one that is per_process, or an event of another name.
            EventStoreError: when awaited: reading failed.
            ProviderError: when awaited: an event was not taken; *progress* told how many were.
        """
        # Inside a handler nobody may wait for handlers: it could wait for itself.
        wait_handled = running_loop() is None and current_context() is None
        return self._runner.started(lambda: self._engine.memory.replay(events, to, rate, progress, wait_handled))

    def send_unpublished(
        self, *, older_than: float = 60.0, rate: float | None = None, progress: Callable[[int], None] | None = None
    ) -> Operation[int]:
        """Send what the store has as unpublished: a process died before it was sent, or no confirmation came.

        In the order of storing, with the ids of the events, by which a broker drops those that it got after all. Those
        that this manager is just sending are left out. Awaited, gives their number. Starts the manager if need be.

        Args:
            older_than: Seconds. Younger ones may be on their way in other processes at the same store.
            rate: Events a second at most; None is unlimited.
            progress: Called with the number so far, on the manager's loop.

        Raises:
            DeclarationError: the manager has no store.
            EventStoreError: when awaited: reading or writing failed.
            ProviderError: when awaited: an event was not taken.
        """
        self._engine.memory.store  # noqa: B018  there is one, or it says so
        return self._runner.started(lambda: self._engine.memory.send_unpublished(older_than, rate, progress))
