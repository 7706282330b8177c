"""Events that take their process down: counted on the broker, because the process cannot count its own deaths.

Brokers do not count a delivery whose consumer just vanished (Artemis over AMQP), or count innocent ones along. So the
deliveries that may be survivors of a crash, the first ones after a start, are noted in a queue of this server before
their handler runs, and crossed out after it. What is found there at the next start was in hand when the process died.
"""

from __future__ import annotations

import asyncio
import json
import logging
from hashlib import blake2b
from uuid import uuid4

from ..envelope import Envelope
from ..exceptions import EventException, ProcessDiedError, ProviderError
from ..names import FRAMEWORK_ADDRESS_PREFIX
from ..providers.base import AddressKind, Binding, Consumer, Delivery, Outgoing, Provider
from .reading import reading

logger = logging.getLogger("aspyx.event")
_WINDOW = 1_000
#: Seconds that a note lives: a server that never comes back must not fill the broker.
_LIFETIME = 7 * 24 * 3600.0


class CrashLedger:
    """What is in hand on this server, and how often it was in hand when the process died. On the manager's loop.

    Args:
        provider: The transport; needs a server name that is the same after a restart.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._address = f"{FRAMEWORK_ADDRESS_PREFIX}attempts.{provider.server_name}"
        self._deaths: dict[str, int] = {}
        self._notes: dict[str, Delivery] = {}
        self._in_hand: set[str] = set()
        self._consumer: Consumer | None = None
        self._opening: asyncio.Task[None] | None = None

    async def _open(self) -> None:
        """Read what the last process of this server left. Without the right to, work on without counting."""
        try:
            async with reading(self._provider, self._address, label="attempts in hand") as left:
                async for note in left:
                    self._remember(note)
                    note.ack()
            binding = Binding(
                address=self._address, queue=self._address, kind=AddressKind.QUEUE, durable=True, prefetch=_WINDOW
            )
            self._consumer = await self._provider.subscribe(binding, self._noted)
        except (ProviderError, EventException) as error:
            logger.warning("events that kill this process are not counted: %s", error)

    async def close(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            await asyncio.gather(opening, return_exceptions=True)
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()
        self._notes.clear()
        self._in_hand.clear()

    async def enter(self, queue: str, envelope: Envelope, limit: int) -> Hold | None:
        """Note that a handler is about to get an event.

        Returns:
            What crosses it out again; None where nothing could be noted.

        Raises:
            ProcessDiedError: processes died *limit* times with this event in hand.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(self._opening)
        if self._consumer is None:
            return None
        digest = blake2b(envelope.body, digest_size=8).hexdigest()
        identity = f"{queue}|{envelope.id}|{digest}"
        deaths = self._deaths.get(identity, 0)
        if deaths >= limit:
            raise ProcessDiedError(f"the process died {deaths} times while it handled this event")
        note = Outgoing(
            address=self._address,
            envelope=Envelope(json.dumps({"event": identity, "deaths": deaths + 1}).encode()),
            dedup_id=str(uuid4()),
            kind=AddressKind.QUEUE,
            durable=True,
            ttl=_LIFETIME,
        )
        self._in_hand.add(identity)
        try:
            await self._provider.publish(note)
        except ProviderError as error:
            logger.info("not noted as in hand: %s", error)
        return Hold(self, identity)

    def leave(self, identity: str) -> None:
        """Cross an event out."""
        self._in_hand.discard(identity)
        self._deaths.pop(identity, None)
        note = self._notes.pop(identity, None)
        if note is not None:
            note.ack()

    def _noted(self, note: Delivery) -> None:
        identity = _read(note)[0]
        if identity in self._in_hand and identity not in self._notes:
            self._notes[identity] = note
        else:
            note.ack()  # crossed out before it came back

    def _remember(self, note: Delivery) -> None:
        identity, deaths = _read(note)
        if identity:
            self._deaths[identity] = max(deaths, self._deaths.get(identity, 0))


class Hold:
    """An event that is in hand."""

    __slots__ = ("_identity", "_ledger")

    def __init__(self, ledger: CrashLedger, identity: str) -> None:
        self._ledger, self._identity = ledger, identity

    def release(self) -> None:
        self._ledger.leave(self._identity)


def _read(note: Delivery) -> tuple[str, int]:
    try:
        content = json.loads(note.envelope.body)
        return str(content["event"]), int(content["deaths"])
    except (ValueError, KeyError, TypeError):
        return "", 0
