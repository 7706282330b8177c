"""`EventRecorder`: stores each event before it is published, and its new status when the provider has confirmed it.

A single task writes the waiting events in as few transactions as possible: while a transaction runs, the next batch
collects. Events are published in the order in which they were sent, which is also their order in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import Context, copy_context
from functools import partial
from itertools import chain

from ...database.base import EventStore
from ...database.stored_event import EventStatus, StoredEvent
from ...envelope import Envelope
from ...events import EventDescriptor
from ...exceptions import (
    ConfirmTimeoutError,
    ConnectError,
    ConnectionLostError,
    DuplicateStoredEventError,
    EventStoreError,
    StateError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ...futures import outcome, settle
from ...safe_logger import SafeLogger
from .publisher import Publisher

logger = SafeLogger(logging.getLogger("aspyx.event.store"))
#: Events per transaction, at most.
_BATCH = 1_000
#: Events that may wait to be stored.
_MAX_WAITING = 100_000
_STOPPED = "the event manager stopped before the event was stored: it was not sent"
#: After these errors nobody knows whether the broker has the event: it stays unpublished, and may be sent again.
_UNCERTAIN = (ConfirmTimeoutError, ConnectionLostError, ConnectError)


class _Entry:
    """One event on its way through the recorder, and the future of its sender."""

    __slots__ = ("context", "descriptor", "done", "envelope", "error", "stored")

    def __init__(self, stored: StoredEvent, envelope: Envelope, descriptor: EventDescriptor) -> None:
        self.stored, self.envelope, self.descriptor = stored, envelope, descriptor
        self.context = copy_context()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Why it could not be published; None while it may still be, and once it is.
        self.error: BaseException | None = None


class EventRecorder:
    """Last link of a chain: stores each event, then publishes it. Runs on the manager's loop.

    An event is first in `_waiting`, from its transaction on in `_in_progress`, and in `_published` as well once the
    provider has answered. Its sender is answered when the new status is stored, or could not be stored.

    Args:
        store: The event store.
        publisher: Publishes an event.
    """

    def __init__(self, store: EventStore, publisher: Publisher) -> None:
        self._store, self._publisher = store, publisher
        self._waiting: deque[_Entry] = deque()
        #: By event id.
        self._in_progress: dict[str, _Entry] = {}
        self._published: list[_Entry] = []
        #: By event id: a new status that could not be stored yet.
        self._unwritten: dict[str, EventStatus] = {}
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    def open(self) -> None:
        """Accept events, from the start of the manager on."""
        self._closed = False

    def send(self, envelope: Envelope, descriptor: EventDescriptor, /) -> asyncio.Future[None]:
        """Store an event, then publish it.

        Returns:
            Done when the provider has confirmed the event and the store has its new status. Fails with the provider's
            error, or with `EventStoreError` if the event was not stored; then it was not sent.

        Raises:
            StateError: the manager is stopped.
            LimitExceededError: the event is too large.
        """
        self._publisher.check(envelope, descriptor)
        if self._closed:
            raise StateError(f"event {descriptor.name!r} (id {envelope.id}): the event manager is stopped")
        # Interceptors that continue after they sent must not change what is stored.
        copy = envelope.fork()
        entry = _Entry(StoredEvent.of(copy, descriptor), copy, descriptor)
        if len(self._waiting) >= _MAX_WAITING:
            reason = f"{_MAX_WAITING} events wait to be stored: the store is slower than the senders"
            settle(entry.done, StoreUnavailableError(reason))
        else:
            self._waiting.append(entry)
            self._wake()
        return entry.done

    def is_in_progress(self, event_id: str) -> bool:
        """True for an event that is or will be in the store, and that this process is about to publish."""
        return event_id in self._in_progress

    async def drain(self, timeout: float) -> None:
        """Accept no more events, and wait until those sent are published, *timeout* seconds at most."""
        self._closed = True
        end = asyncio.get_running_loop().time() + timeout
        while self._waiting and self._writer is not None:
            remaining = end - asyncio.get_running_loop().time()
            if remaining <= 0:
                logger.warning("%d events are not stored when the manager stops: they are not sent", len(self._waiting))
                break
            await asyncio.wait({self._writer}, timeout=remaining)
        while self._waiting:
            settle(self._waiting.popleft().done, StateError(_STOPPED))

    async def close(self, timeout: float) -> None:
        """Store the last status changes, after the provider has stopped; *timeout* seconds at most."""
        await asyncio.sleep(0)  # the callbacks of futures that the provider completed last run in the next iteration
        if self._unwritten or self._published:
            self._wake()
        writer = self._writer
        if writer is not None:
            await asyncio.wait({writer}, timeout=timeout)
            if not writer.done():
                writer.cancel()
                await asyncio.wait({writer}, timeout=1.0)
        if self._unwritten:
            logger.warning("%d events stay %r in the store though they were sent", len(self._unwritten), "unpublished")
            self._unwritten.clear()

    def _wake(self) -> None:
        if self._writer is None:
            # In an empty context: the task serves all senders.
            create_task = asyncio.get_running_loop().create_task
            self._writer = Context().run(create_task, self._write())

    async def _write(self) -> None:
        try:
            first = True
            while self._waiting or self._published or first:
                first = False
                if self._waiting:
                    # In progress from now on: `send_unpublished` must not see them once they are stored.
                    batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                    self._in_progress.update((entry.stored.id, entry) for entry in batch)
                    await self._store_and_publish(batch)
                    await asyncio.sleep(0)  # for events that are confirmed at once
                if self._published or self._unwritten:
                    await self._write_status()
        finally:
            self._writer = None

    async def _store_and_publish(self, batch: list[_Entry]) -> None:
        """Store a batch in a single transaction and publish it. If the store refuses it, do so event by event."""
        parts, part = deque([batch]), batch
        try:
            while parts:
                part = parts.popleft()
                try:
                    await self._store.create_all([entry.stored for entry in part])
                except StoreRefusedError as error:
                    if len(part) > 1:  # only some of the events are to blame
                        parts.extend([entry] for entry in part)
                        continue
                    refusal = await self._check_refusal(part[0], error)
                    if refusal is not None:
                        self._give_up(part, refusal)
                        continue
                for entry in part:
                    self._publish(entry)
        except Exception as error:  # noqa: BLE001  a store may raise anything; it would fail for the other events too
            self._give_up([*part, *chain.from_iterable(parts)], error)
        except BaseException:
            # The writer was cancelled by a stop. Cancelling the senders would look as if they were to stop.
            self._give_up([*part, *chain.from_iterable(parts)], StateError(_STOPPED))
            raise

    async def _check_refusal(self, entry: _Entry, error: StoreRefusedError) -> Exception | None:
        """Return why an event is refused; None if the same event is stored already.

        That is the case for an event that is sent again because no confirmation came, and for a forwarded CloudEvent.
        """
        if not isinstance(error, DuplicateStoredEventError):
            return error
        try:
            known = await self._store.read(entry.stored.id)
        except EventStoreError as failure:
            return failure
        return None if known.content_hash == entry.stored.content_hash else error

    def _publish(self, entry: _Entry) -> None:
        try:
            future = entry.context.run(self._publisher.send, entry.envelope, entry.descriptor)
        except Exception as error:  # noqa: BLE001  it concerns this event only
            self._on_published(entry, error)
        else:
            future.add_done_callback(partial(self._on_confirmed, entry))

    def _on_confirmed(self, entry: _Entry, future: asyncio.Future[None]) -> None:
        self._on_published(entry, outcome(future))

    def _on_published(self, entry: _Entry, error: BaseException | None) -> None:
        entry.error = error
        self._published.append(entry)
        self._wake()

    def _give_up(self, batch: list[_Entry], error: BaseException) -> None:
        """Fail the sends of events that were not stored."""
        for entry in batch:
            self._in_progress.pop(entry.stored.id, None)
            settle(entry.done, _copy_of(error))

    async def _write_status(self) -> None:
        """Store the new status of events, then answer their senders. A store that fails does not fail a sent event."""
        entries, self._published = self._published, []
        changes, self._unwritten = self._unwritten, {}
        for entry in entries:
            if entry.error is None:
                changes[entry.stored.id] = EventStatus.PUBLISHED
            elif not isinstance(entry.error, (*_UNCERTAIN, asyncio.CancelledError)):
                changes[entry.stored.id] = EventStatus.REFUSED
        try:
            for status in (EventStatus.PUBLISHED, EventStatus.REFUSED):
                event_ids = [event_id for event_id, new_status in changes.items() if new_status is status]
                if event_ids:
                    await self._store.set_status(event_ids, status)
        except Exception as error:  # noqa: BLE001  tried again with the next batch
            logger.warning("the store could not save the new status of %d events: %s", len(changes), error)
            self._unwritten.update(changes)
        finally:
            for entry in entries:
                self._in_progress.pop(entry.stored.id, None)
                settle(entry.done, entry.error)


def _copy_of(error: BaseException) -> BaseException:
    """Return a copy of a store's error for each sender: raising the same object in each would add to its traceback."""
    if not isinstance(error, EventStoreError):
        return error
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy
