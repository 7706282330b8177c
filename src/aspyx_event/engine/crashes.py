"""Events that take their process down: counted on the broker, because the process cannot count its own deaths.

Brokers do not count a delivery whose consumer just vanished (Artemis over AMQP), or count innocent ones along. So the
deliveries that may be survivors of a crash, the first ones after a start, are noted in a queue of this server before
their handler runs, and crossed out after it. What is found there at the next start was in hand when the process died.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from hashlib import blake2b
from uuid import uuid4

from ..envelope import FRAMEWORK_PREFIX, Envelope
from ..exceptions import EventException, ProcessDiedError, ProviderError
from ..names import FRAMEWORK_ADDRESS_PREFIX
from ..providers.base import AddressKind, Binding, Consumer, Delivery, Outgoing, Provider

logger = logging.getLogger("aspyx.event")
_EVENT = FRAMEWORK_PREFIX + "in-hand"
_MARKER = FRAMEWORK_PREFIX + "marker"
_WINDOW = 1_000
#: Seconds that a note lives: a server that never comes back must not fill the broker.
_LIFETIME = 24 * 3600.0
#: Seconds to wait for the end of the notes.
_PATIENCE = 5.0


class CrashLedger:
    """What is in hand on this server, and how often it was in hand when the process died. On the manager's loop.

    Each death leaves one note, so their number is the count. Notes stay in the queue, unsettled, until the event is
    done with: one that arrives late, because the broker had not yet missed the dead process, is not lost.

    Args:
        provider: The transport; needs a server name that is the same after a restart.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._address = f"{FRAMEWORK_ADDRESS_PREFIX}attempts.{provider.server_name}"
        self._notes: defaultdict[str, list[Delivery]] = defaultdict(list)
        #: Crossed out before their own note came back from the broker.
        self._settled: set[str] = set()
        self._read: asyncio.Event | None = None
        self._marker = ""
        self._consumer: Consumer | None = None
        self._opening: asyncio.Task[None] | None = None

    async def close(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            await asyncio.gather(opening, return_exceptions=True)
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()
        self._notes.clear()
        self._settled.clear()

    async def enter(self, queue: str, envelope: Envelope, limit: int) -> Hold | None:
        """Note that a handler is about to get an event.

        Returns:
            What crosses it out again; None where nothing could be noted.

        Raises:
            ProcessDiedError: processes died *limit* times with this event in hand. It is crossed out by that.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(self._opening)
        if self._consumer is None:
            return None
        identity = f"{queue}|{envelope.id}|{blake2b(envelope.body, digest_size=8).hexdigest()}"
        deaths = len(self._notes[identity])
        if deaths >= limit:
            self.leave(identity, noted=False)
            raise ProcessDiedError(f"the process died {deaths} times while it handled this event")
        note = Outgoing(
            address=self._address,
            envelope=Envelope(b"", {_EVENT: identity}),
            dedup_id=str(uuid4()),
            kind=AddressKind.QUEUE,
            durable=True,
            ttl=_LIFETIME,
        )
        try:
            await self._provider.publish(note)
        except ProviderError as error:
            logger.info("not noted as in hand: %s", error)
            return None
        return Hold(self, identity, deaths + 1)

    def leave(self, identity: str, *, noted: bool) -> None:
        """Cross an event out; *noted*: its last note may still be on its way back from the broker."""
        for note in self._notes.pop(identity, ()):
            note.ack()
        if noted:
            self._settled.add(identity)

    def seen(self, identity: str) -> int:
        """Return the notes that have come back."""
        return len(self._notes.get(identity, ()))

    async def _open(self) -> None:
        """Read what the last process of this server left. Without the right to, work on without counting."""
        self._read, self._marker = asyncio.Event(), str(uuid4())
        binding = Binding(
            address=self._address,
            queue=self._address,
            kind=AddressKind.QUEUE,
            durable=True,
            prefetch=_WINDOW,
            label="attempts in hand",
        )
        try:
            self._consumer = await self._provider.subscribe(binding, self._arrived)
            end = Outgoing(
                address=self._address,
                envelope=Envelope(b"", {_MARKER: self._marker}),
                dedup_id=self._marker,
                kind=AddressKind.QUEUE,
                ttl=60.0,
            )
            await self._provider.publish(end)
            await asyncio.wait_for(self._read.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            logger.warning("the notes of %r were not read to their end", self._address)
        except EventException as error:
            logger.warning("events that kill this process are not counted: %s", error)

    def _arrived(self, note: Delivery) -> None:
        marker, identity = note.envelope.get(_MARKER), note.envelope.get(_EVENT)
        if marker or not identity:
            note.ack()
            if marker == self._marker and self._read is not None:
                self._read.set()
        elif identity in self._settled:
            self._settled.discard(identity)
            note.ack()
        else:
            self._notes[identity].append(note)


class Hold:
    """An event that is in hand."""

    __slots__ = ("_expected", "_identity", "_ledger")

    def __init__(self, ledger: CrashLedger, identity: str, expected: int) -> None:
        self._ledger, self._identity, self._expected = ledger, identity, expected

    def release(self) -> None:
        """Cross it out."""
        self._ledger.leave(self._identity, noted=self._ledger.seen(self._identity) < self._expected)
