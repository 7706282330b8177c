"""Events that take their process down: counted on the broker, because the process cannot count its own deaths.

Brokers do not count a delivery whose consumer just vanished (Artemis over AMQP), or count innocent ones along. So the
deliveries that may be survivors of a crash, the first ones after a start, are noted in a queue of this server before
their handler runs, and crossed out by a second note after it. The notes are read at the next start, and only then: a
consumer that gets its own notes back while it works makes Artemis 2.44 forget, now and then, to give the event in hand
to others when the connection breaks.
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import blake2b
from uuid import uuid4

from ...envelope import FRAMEWORK_PREFIX, Envelope, SendOptions
from ...exceptions import EventException, PoisonMessageError, ProviderError
from ...log_fields import log_fields
from ...names import FRAMEWORK_ADDRESS_PREFIX
from ...providers.base import AddressKind, Delivery, Outgoing, Provider
from .drain import reading

logger = logging.getLogger("aspyx.event")
_EVENT = FRAMEWORK_PREFIX + "in-hand"
#: How many deaths a note stands for; 0 crosses the event out.
_DEATHS = FRAMEWORK_PREFIX + "deaths"
#: Seconds that a note lives: a server that never comes back must not fill the broker.
_LIFETIME = 24 * 3600.0


class InFlightJournal:
    """What is in hand on this server, and how often it was in hand when the process died. On the manager's loop.

    Args:
        provider: The transport; needs a server name that is the same after a restart.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._address = f"{FRAMEWORK_ADDRESS_PREFIX}attempts.{provider.server_name}"
        self._deaths: dict[str, int] = {}
        self._usable = False
        self._opening: asyncio.Task[None] | None = None
        self._crossing_out: set[asyncio.Future[None]] = set()

    async def close(self) -> None:
        """Wait until what is done is crossed out; the next `enter` reads the notes anew."""
        opening, self._opening = self._opening, None
        if opening is not None:
            await asyncio.gather(opening, return_exceptions=True)
        await asyncio.gather(*self._crossing_out, return_exceptions=True)
        self._usable = False

    async def enter(self, queue: str, envelope: Envelope, limit: int) -> Hold | None:
        """Note that a handler is about to get an event.

        Returns:
            What crosses it out again; None where nothing could be noted.

        Raises:
            PoisonMessageError: processes died *limit* times with this event in hand. It is crossed out by that.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(self._opening)
        if not self._usable:
            return None
        identity = f"{queue}|{envelope.id}|{blake2b(envelope.body, digest_size=8).hexdigest()}"
        deaths = self._deaths.pop(identity, 0)
        if deaths >= limit:
            self.cross_out(identity)
            raise PoisonMessageError(f"the process died {deaths} times while it handled this event")
        try:
            await self._provider.publish(self._note(identity, deaths + 1))
        except ProviderError as error:
            logger.info("not noted as in hand: %s", error, extra=log_fields(envelope))
            return None
        return Hold(self, identity)

    def cross_out(self, identity: str) -> None:
        """Note that an event is done with."""
        work = self._provider.publish(self._note(identity, 0))
        self._crossing_out.add(work)
        work.add_done_callback(self._crossed_out)

    def _crossed_out(self, work: asyncio.Future[None]) -> None:
        self._crossing_out.discard(work)
        if not work.cancelled() and work.exception() is not None:
            logger.info("not crossed out: %s", work.exception())

    def _note(self, identity: str, deaths: int) -> Outgoing:
        return Outgoing(
            address=self._address,
            envelope=Envelope(b"", {_EVENT: identity, _DEATHS: str(deaths)}),
            dedup_id=str(uuid4()),
            kind=AddressKind.QUEUE,
            durable=True,
            options=SendOptions(ttl=_LIFETIME if self._provider.capabilities.ttl else None),
        )

    async def _open(self) -> None:
        """Read what the last process of this server left. Without the right to, work on without counting."""
        try:
            async with reading(self._provider, self._address, label="attempts in hand") as left:
                async for note in left:
                    self._remember(note)
                    note.ack()
            self._usable = True
        except EventException as error:
            logger.warning("events that kill this process are not counted: %s", error)

    def _remember(self, note: Delivery) -> None:
        identity, deaths = note.envelope.get(_EVENT), note.envelope.get(_DEATHS)
        if deaths == "0":
            self._deaths.pop(identity, None)
        elif deaths.isascii() and deaths.isdigit():
            # Added up: a note that came late, because the broker had not yet missed the dead process, stands beside
            # the one of the process after it, which did not know of it.
            self._deaths[identity] = self._deaths.get(identity, 0) + int(deaths)


class Hold:
    """An event that is in hand."""

    __slots__ = ("_identity", "_ledger")

    def __init__(self, ledger: InFlightJournal, identity: str) -> None:
        self._ledger, self._identity = ledger, identity

    def release(self) -> None:
        """Cross it out."""
        self._ledger.cross_out(self._identity)
