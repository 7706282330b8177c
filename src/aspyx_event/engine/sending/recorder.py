"""The memory of what is sent: each event is stored before it goes to the provider, and marked when that has it.

One task writes what waits in as few transactions as there can be: while one is under way, the next batch gathers. It
hands the events over to the provider in the order in which they were sent, which is the order in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import Context, copy_context
from functools import partial

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
from .publisher import Publisher

logger = logging.getLogger("aspyx.event.store")
#: Events in one transaction.
_BATCH = 1_000
#: Events that may wait to be stored.
_MAX_WAITING = 100_000
_STOPPED = "the event manager stopped before the event was stored: it was not sent"
#: After these nobody knows whether the broker has the event: it stays unpublished, and may be sent again.
_UNCERTAIN = (ConfirmTimeoutError, ConnectionLostError, ConnectError)


class _Entry:
    """One event on its way, and who waits for it."""

    __slots__ = ("context", "descriptor", "done", "envelope", "error", "stored")

    def __init__(self, stored: StoredEvent, envelope: Envelope, descriptor: EventDescriptor) -> None:
        self.stored, self.envelope, self.descriptor = stored, envelope, descriptor
        self.context = copy_context()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: BaseException | None = None

    def settle(self, error: BaseException | None) -> None:
        settle(self.done, error)


class EventRecorder:
    """Sending end of a chain that stores each event and publishes it then. Runs on the manager's loop.

    Args:
        store: Where to.
        publish: Hands an event to the provider.
    """

    def __init__(self, store: EventStore, publish: Publisher) -> None:
        self._store, self._publish = store, publish
        self._waiting: deque[_Entry] = deque()
        #: By id: handed over, and not settled yet.
        self._under_way: dict[str, _Entry] = {}
        self._settled: list[_Entry] = []
        #: Events whose new status could not be written.
        self._unmarked: dict[str, EventStatus] = {}
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    def open(self) -> None:
        """Take events, from the start of the manager on."""
        self._closed = False

    def send(self, envelope: Envelope, descriptor: EventDescriptor, /) -> asyncio.Future[None]:
        """Store an event, and publish it then.

        Returns:
            Done when the provider has taken the event and the store knows it. Fails with what the provider says, or
            with `EventStoreError`; then the event was not sent.

        Raises:
            StateError: the manager is stopped.
            LimitExceededError: the event is too large.
        """
        self._publish.check(envelope, descriptor)
        if self._closed:
            raise StateError(f"event {descriptor.name!r} (id {envelope.id}): the event manager is stopped")
        # Interceptors that go on after they sent must not change what is stored.
        copy = envelope.fork()
        entry = _Entry(StoredEvent.of(copy, descriptor), copy, descriptor)
        if len(self._waiting) >= _MAX_WAITING:
            reason = f"{_MAX_WAITING} events wait to be stored: the store is slower than the senders"
            entry.settle(StoreUnavailableError(reason))
        else:
            self._waiting.append(entry)
            self._wake()
        return entry.done

    def is_under_way(self, event_id: str) -> bool:
        """True for an event that is in the store and not settled: it is about to be published, or to be confirmed."""
        return event_id in self._under_way

    async def drain(self, timeout: float) -> None:
        """Wait until what was sent is with the provider, *timeout* seconds at most; take nothing more."""
        self._closed = True
        end = asyncio.get_running_loop().time() + timeout
        while self._waiting and self._writer is not None:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                logger.warning("%d events are not stored when the manager stops: they are not sent", len(self._waiting))
                break
            await asyncio.wait({self._writer}, timeout=left)
        while self._waiting:
            self._waiting.popleft().settle(StateError(_STOPPED))

    async def close(self, timeout: float) -> None:
        """Write what became of events, after the provider has stopped; *timeout* seconds at most."""
        await asyncio.sleep(0)  # what the provider settled at last tells so in the next turn of the loop
        if self._unmarked or self._settled:
            self._wake()
        writer = self._writer
        if writer is not None:
            await asyncio.wait({writer}, timeout=timeout)
            if not writer.done():
                writer.cancel()
                await asyncio.wait({writer}, timeout=1.0)
        if self._unmarked:
            logger.warning("%d events stay %r in the store though they were sent", len(self._unmarked), "unpublished")
            self._unmarked.clear()

    def _wake(self) -> None:
        if self._writer is None:
            # In a context of its own: the task serves all senders.
            create_task = asyncio.get_running_loop().create_task
            self._writer = Context().run(create_task, self._write())

    async def _write(self) -> None:
        try:
            first = True
            while self._waiting or self._settled or first:
                first = False
                if self._waiting:
                    # Those are under way from now on: the queue must not show them once they are stored.
                    batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                    self._under_way.update((entry.stored.id, entry) for entry in batch)
                    await self._store_and_publish(batch)
                    await asyncio.sleep(0)  # for publishes that are done at once
                if self._settled or self._unmarked:
                    await self._mark()
        finally:
            self._writer = None

    async def _store_and_publish(self, batch: list[_Entry]) -> Exception | None:
        """Return the error of a store that would fail for other events too."""
        kept, failed = batch, None
        try:
            await self._store.create_all([entry.stored for entry in batch])
        except StoreRefusedError as error:
            if len(batch) > 1:
                return await self._one_by_one(batch)
            kept = await self._known_alike(batch[0], error)
        except Exception as error:  # noqa: BLE001  a store of others may raise anything, and the senders must hear of it
            kept, failed = self._give_up(batch, error), error
        except BaseException:
            # A stop has waited long enough. To cancel the senders would look as if they were to stop.
            self._give_up(batch, StateError(_STOPPED))
            raise
        for entry in kept:
            self._hand_over(entry)
        return failed

    async def _one_by_one(self, batch: list[_Entry]) -> Exception | None:
        """Store the events of a refused batch each for itself, because one of them is to blame; the order stays."""
        failed: Exception | None = None
        for entry in batch:
            if failed is None:
                failed = await self._store_and_publish([entry])
            else:
                self._give_up([entry], failed)
        return failed

    async def _known_alike(self, entry: _Entry, error: StoreRefusedError) -> list[_Entry]:
        """Keep an entry whose event is stored already: sent again by who had no answer, or a CloudEvent passed on."""
        found: Exception = error
        if isinstance(error, DuplicateStoredEventError):
            try:
                known = await self._store.read(entry.stored.id)
            except EventStoreError as failed:
                found = failed
            else:
                if known.content_hash == entry.stored.content_hash:
                    return [entry]
        return self._give_up([entry], found)

    def _hand_over(self, entry: _Entry) -> None:
        try:
            future = entry.context.run(self._publish.send, entry.envelope, entry.descriptor)
        except Exception as error:  # noqa: BLE001  it belongs to this event, the others go their way
            self._ended(entry, error)
        else:
            future.add_done_callback(partial(self._confirmed, entry))

    def _confirmed(self, entry: _Entry, future: asyncio.Future[None]) -> None:
        self._ended(entry, outcome(future))

    def _ended(self, entry: _Entry, error: BaseException | None) -> None:
        entry.error = error
        self._settled.append(entry)
        self._wake()

    def _give_up(self, batch: list[_Entry], error: BaseException) -> list[_Entry]:
        """Let the senders know that their events were not sent; return none, which is what is left of them."""
        for entry in batch:
            self._under_way.pop(entry.stored.id, None)
            entry.settle(_own(error))
        return []

    async def _mark(self) -> None:
        """Write what became of events; then their senders go on. An event that was sent does not fail for this."""
        settled, self._settled = self._settled, []
        marks, self._unmarked = self._unmarked, {}
        for entry in settled:
            if entry.error is None:
                marks[entry.stored.id] = EventStatus.PUBLISHED
            elif not isinstance(entry.error, (*_UNCERTAIN, asyncio.CancelledError)):
                marks[entry.stored.id] = EventStatus.REFUSED
        try:
            for status in (EventStatus.PUBLISHED, EventStatus.REFUSED):
                chosen = [event_id for event_id, one in marks.items() if one is status]
                if chosen:
                    await self._store.set_status(chosen, status)
        except Exception as error:  # noqa: BLE001  the next batch tries again
            logger.warning("the store could not note what became of %d events: %s", len(marks), error)
            self._unmarked.update(marks)
        finally:
            for entry in settled:
                self._under_way.pop(entry.stored.id, None)
                entry.settle(entry.error)


def _own(error: BaseException) -> BaseException:
    """Return an error of each sender's own: a traceback grows with everyone who raises it."""
    if not isinstance(error, EventStoreError):
        return error
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy
