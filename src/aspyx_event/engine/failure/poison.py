"""Poison messages: events that crash their process. Counted on the broker, because a process cannot count its crashes.

Brokers do not count a delivery whose consumer just vanished (Artemis over AMQP), or count innocent ones along. So the
deliveries that may have been in flight at a crash, the first ones after a start, are recorded in a queue of this server
before their handler runs, and marked as done by a second note after it. The notes are removed at a stop, after the last
event, and read at the next start, but not while handlers run: a consumer that receives its own notes while it works
makes Artemis 2.44 forget, now and then, to redeliver the event in flight when the connection breaks.
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import blake2b
from uuid import uuid4

from ...deadlines import within
from ...envelope import FRAMEWORK_PREFIX, Envelope, SendOptions, whole_number
from ...error_text import error_text
from ...exceptions import EventException, PoisonMessageError, ProviderError
from ...log_fields import log_fields
from ...names import FRAMEWORK_ADDRESS_PREFIX
from ...providers.base import AddressKind, Delivery, Outgoing, Provider
from ...safe_logger import SafeLogger
from .drain import drain_queue
from .signature import is_signed, signed

logger = SafeLogger(logging.getLogger("aspyx.event"))
_EVENT = FRAMEWORK_PREFIX + "in-flight"
#: The number of crashes that a note stands for; 0 marks the event as done.
_CRASHES = FRAMEWORK_PREFIX + "crashes"
#: Seconds that a note lives: a server that never returns must not fill the broker.
_LIFETIME = 24 * 3600.0
#: Seconds of a stop that the removal of notes may take.
_REMOVAL_TIMEOUT = 1.5


class InFlightJournal:
    """Records the events in flight on this server, and how often each was in flight at a crash. On the manager's loop.

    Args:
        provider: The transport; needs a server name that is the same after a restart.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._address = f"{FRAMEWORK_ADDRESS_PREFIX}attempts.{provider.server_name}"
        self._crashes: dict[str, int] = {}
        self._usable = False
        self._loading: asyncio.Task[None] | None = None
        #: Notes that mark events as done and are not confirmed yet.
        self._marking: set[asyncio.Future[None]] = set()
        #: The events that this process has finished: not many, because only the first ones after a start are recorded.
        self._done: set[str] = set()

    async def close(self) -> None:
        """Wait until all finished events are marked as done, and remove their notes, so that nothing is left behind of a
        server that never returns. The next `enter` reads the notes again.
        """
        loading, self._loading = self._loading, None
        if loading is not None:
            await asyncio.gather(loading, return_exceptions=True)
        await asyncio.gather(*self._marking, return_exceptions=True)
        if self._usable and self._done and self._provider.connected:
            try:
                await within(self._remove_notes(), _REMOVAL_TIMEOUT)
            except (EventException, asyncio.TimeoutError) as error:
                logger.info("%s: the notes of finished events stay: %s", self._address, error_text(error))
        self._usable = False
        self._done.clear()

    async def _remove_notes(self) -> None:
        """Remove the notes of events that this process has finished; the queue ends with the last, if it may."""
        async with drain_queue(self._provider, self._address, label="notes of finished events") as notes:
            async for note in notes:
                if note.received.get(_EVENT) in self._done:
                    note.ack()

    async def enter(self, queue: str, delivery: Delivery, limit: int) -> JournalEntry | None:
        """Record that an event is about to be passed to a handler.

        Returns:
            The entry, to be marked as done; None if nothing could be recorded, or the delivery is stale.

        Raises:
            PoisonMessageError: the process crashed *limit* times with this event in flight. It is marked as done.
        """
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())
        await asyncio.shield(self._loading)
        if not self._usable or delivery.stale:
            return None
        envelope = delivery.received
        identity = f"{queue}|{envelope.id}|{blake2b(envelope.body, digest_size=8).hexdigest()}"
        crashes = self._crashes.pop(identity, 0)
        if crashes >= limit:
            self.mark_done(identity)
            raise PoisonMessageError(f"the process died {crashes} times while it handled this event")
        self._done.discard(identity)
        try:
            await self._provider.publish(self._note(identity, crashes + 1))
        except ProviderError as error:
            logger.info("not recorded as in flight: %s", error, extra=log_fields(envelope))
            return None
        return JournalEntry(self, identity)

    def mark_done(self, identity: str) -> None:
        """Record that an event is no longer in flight."""
        self._done.add(identity)
        publishing = self._provider.publish(self._note(identity, 0))
        self._marking.add(publishing)
        publishing.add_done_callback(self._on_marked)

    def _on_marked(self, publishing: asyncio.Future[None]) -> None:
        self._marking.discard(publishing)
        if not publishing.cancelled() and publishing.exception() is not None:
            logger.info("not marked as done: %s", publishing.exception())

    def _note(self, identity: str, crashes: int) -> Outgoing:
        note = Outgoing(
            address=self._address,
            envelope=Envelope(b"", {_EVENT: identity, _CRASHES: str(crashes)}),
            dedup_id=str(uuid4()),
            kind=AddressKind.QUEUE,
            durable=True,
            options=SendOptions(ttl=_LIFETIME if self._provider.capabilities.ttl else None),
        )
        return signed(self._provider, note)

    async def _load(self) -> None:
        """Read the notes of the last process of this server. Without the permission to, work on without counting."""
        try:
            async with drain_queue(self._provider, self._address, label="attempts in flight") as notes:
                async for note in notes:
                    self._count(note)
                    note.ack()
            self._usable = True
        except EventException as error:
            logger.warning("events that kill this process are not counted: %s", error)

    def _count(self, note: Delivery) -> None:
        identity, crashes = note.envelope.get(_EVENT), whole_number(note.envelope.get(_CRASHES))
        if crashes is None or not is_signed(self._provider, self._address, note.received):
            logger.warning("%s: a message that is not a note of this application is removed", self._address)
        elif crashes == 0:
            self._crashes.pop(identity, None)
        else:
            # Added up: a late note, of a process that the broker had not missed yet, lies beside the note of the
            # process after it, which did not know the first process.
            self._crashes[identity] = self._crashes.get(identity, 0) + crashes


class JournalEntry:
    """An event in flight."""

    __slots__ = ("_identity", "_journal")

    def __init__(self, journal: InFlightJournal, identity: str) -> None:
        self._journal, self._identity = journal, identity

    def mark_done(self) -> None:
        """Record that the event is no longer in flight."""
        self._journal.mark_done(self._identity)
