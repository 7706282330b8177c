"""The dead letters of a manager's subscriptions: to list, to look at, to replay and to purge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from ...envelope import Envelope
from ...exceptions import DeclarationError, UnknownDeadLetterError
from ...observer import Observer
from ...providers.base import Binding, Delivery, Provider
from ..failure.drain import WINDOW, reading
from ..failure.republish import (
    ATTEMPTS,
    CAUSE_MESSAGE,
    CAUSE_TRACEBACK,
    CAUSE_TYPE,
    FAILED_AT,
    LETTER_HEADERS,
    LETTER_ID,
    ORIGINAL_ADDRESS,
    ORIGINAL_QUEUE,
    SUBSCRIPTION,
    replay_copy,
)
from ..runtime.operations import Operation
from ..sending.observed import watched
from ..subscribing.subscriptions import Control, Subscription, SubscriptionRegistry

logger = logging.getLogger("aspyx.event")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an event became a dead letter; all "" in a letter that others put there.

    Attributes:
        type: Full name of the exception's class.
        message: Its text, shortened.
        traceback: The end of its traceback.
    """

    type: str
    message: str
    traceback: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the letters of one dead-letter queue come from."""

    address: str
    subscription: Subscription
    binding: Binding


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a subscription could not handle.

    Attributes:
        id: Of this letter; what `inspect`, `replay` and `purge` take.
        event_id: Of the event, the same in every letter it became.
        subscription: Name of the listener or group that failed.
        address: Name of the event.
        queue: The queue it came from; "" for one without a name.
        cause: Why it failed.
        attempts: How often it was tried; 0 where unknown.
        headers: As they were received.
        body: As it was received.
        failed_at: When the last attempt failed, in UTC; None where unknown.
    """

    id: str
    event_id: str
    subscription: str
    address: str
    queue: str
    cause: Cause
    attempts: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    failed_at: datetime | None = None

    @staticmethod
    def of(envelope: Envelope, origin: Origin) -> DeadLetter:
        """Read a message of a dead-letter queue. Never fails: what it does not say stays empty."""
        headers, attempts = envelope.headers, envelope.get(ATTEMPTS)
        return DeadLetter(
            id=envelope.get(LETTER_ID) or envelope.id or _id_of(envelope.body),
            event_id=envelope.id,
            subscription=envelope.get(SUBSCRIPTION) or origin.subscription.letter_name,
            address=envelope.get(ORIGINAL_ADDRESS) or origin.binding.address,
            queue=envelope.get(ORIGINAL_QUEUE) or origin.binding.queue or "",
            cause=Cause(envelope.get(CAUSE_TYPE), envelope.get(CAUSE_MESSAGE), envelope.get(CAUSE_TRACEBACK)),
            attempts=int(attempts) if attempts.isascii() and attempts.isdigit() else 0,
            headers={name: value for name, value in headers.items() if name not in LETTER_HEADERS},
            body=envelope.body,
            failed_at=_time(envelope.get(FAILED_AT)),
        )


Filter = Callable[[DeadLetter], bool]
Progress = Callable[[int], None]


class DeadLetterBox:
    """Works on the dead-letter queues of subscriptions. Runs on the manager's loop.

    Reading takes the messages for a moment, so two readers of one queue at the same time each see a part of it.

    Args:
        provider: The transport.
        subscriptions: Whose dead letters.
        observer: Told of each replay.
    """

    def __init__(
        self, provider: Provider, subscriptions: SubscriptionRegistry, observer: Observer | None = None
    ) -> None:
        self._provider, self._subscriptions, self._observer = provider, subscriptions, observer

    async def list(self, subscription: str | None, limit: int) -> list[DeadLetter]:
        """Return up to *limit* letters, oldest first in each subscription."""
        found: list[DeadLetter] = []
        for one in self._of(subscription):
            if len(found) < limit:
                async with self._reading(one, limit - len(found)) as letters:
                    async for _, letter in letters:
                        found.append(letter)
                        if len(found) == limit:
                            break
        return found

    async def replay(
        self, wanted: Filter, rate: float | None, progress: Progress | None, *, strict: bool = False
    ) -> int:
        """Send letters back to the subscriptions they failed in, *rate* a second; return how many.

        Args:
            wanted: Which ones.
            rate: None is unlimited.
            progress: Called with the number so far.
            strict: One that cannot go back is an error; otherwise it stays, with a warning.
        """

        async def back(delivery: Delivery, letter: DeadLetter, origin: Origin) -> bool:
            if origin.binding.queue is None:
                name = origin.subscription.name
                reason = f"listener {name!r} is per_process: its queue has no name to which the event could go back"
                if strict:
                    raise DeclarationError(reason)
                logger.warning("dead letter %s stays: %s", letter.id, reason)
                return False
            failed_at = letter.failed_at.isoformat() if letter.failed_at else ""
            copy = replay_copy(letter.body, letter.headers, letter.id, origin.binding, failed_at=failed_at)
            finish = None
            if self._observer is not None:
                finish = self._observer.replaying(copy.envelope, origin.subscription.descriptor, letter.id)
            await watched(lambda: self._provider.publish(copy), finish)
            delivery.ack()
            return True

        return await self._each(wanted, back, rate, progress)

    async def purge(self, wanted: Filter, progress: Progress | None) -> int:
        """Delete letters; return how many."""

        async def forget(delivery: Delivery, _letter: DeadLetter, _origin: Origin) -> bool:
            delivery.ack()
            return True

        return await self._each(wanted, forget, None, progress)

    async def inspect(self, letter_id: str) -> DeadLetter:
        """Return one letter.

        Raises:
            UnknownDeadLetterError: there is none of this id.
        """
        for origin in self._of(None):
            async with self._reading(origin) as letters:
                async for _, letter in letters:
                    if letter.id == letter_id:
                        return letter
        raise UnknownDeadLetterError(f"no dead letter {letter_id!r} in the subscriptions of this manager")

    async def _each(
        self,
        wanted: Filter,
        work: Callable[[Delivery, DeadLetter, Origin], Awaitable[bool]],
        rate: float | None,
        progress: Progress | None,
    ) -> int:
        done, loop = 0, asyncio.get_running_loop()
        due = loop.time()
        for origin in self._of(None):
            async with self._reading(origin) as letters:
                async for delivery, letter in letters:
                    if not wanted(letter):
                        continue
                    if not await work(delivery, letter, origin):
                        continue
                    done += 1
                    if progress is not None:
                        progress(done)
                    if rate:
                        due = max(due + 1 / rate, loop.time())
                        await asyncio.sleep(due - loop.time())
        return done

    def _of(self, subscription: str | None) -> Iterable[Origin]:
        """Return each dead-letter queue once.

        Raises:
            DeclarationError: no subscription has the name.
        """
        queues: dict[str, Origin] = {}
        for one in self._subscriptions:
            if subscription is None or subscription in (one.name, one.group, one.id, f"{one.event_name}.{one.name}"):
                for address, binding in one.letter_queues.items():
                    queues.setdefault(address, Origin(address, one, binding))
        if subscription is not None and not queues:
            known = ", ".join(sorted({one.name for one in self._subscriptions})) or "none"
            raise DeclarationError(f"no subscription is called {subscription!r}; known: {known}")
        return queues.values()

    @asynccontextmanager
    async def _reading(
        self, origin: Origin, limit: int = WINDOW
    ) -> AsyncIterator[AsyncIterator[tuple[Delivery, DeadLetter]]]:
        label = f"the dead letters of {origin.subscription.name!r}"
        async with reading(self._provider, origin.address, label=label, window=limit + 1) as found:
            yield ((delivery, DeadLetter.of(delivery.envelope, origin)) async for delivery in found)


class DeadLetters:
    """What `EventManager.dead_letters` offers. All methods may be awaited, or, without an event loop, just called.

    Args:
        box: Does the work on the manager's loop.
        control: Brings it there.
    """

    def __init__(self, box: DeadLetterBox, control: Control) -> None:
        self._box, self._control = box, control

    def list(self, subscription: str | None = None, *, limit: int = 1000) -> Operation[list[DeadLetter]]:
        """Return up to *limit* letters of one subscription (its name, group or id), or of all; oldest first in each.

        Raises:
            DeclarationError: when awaited: no subscription has the name.
        """
        return self._control(lambda: self._box.list(subscription, limit))

    def inspect(self, letter_id: str) -> Operation[DeadLetter]:
        """Return one letter.

        Raises:
            UnknownDeadLetterError: when awaited: there is none of this id.
        """
        return self._control(lambda: self._box.inspect(letter_id))

    def replay(self, letter_id: str) -> Operation[int]:
        """Send one letter's event back to the subscription it failed in, and to no other. It keeps its event id and
        gets the header ``aspyx-replay-of``.

        Raises:
            UnknownDeadLetterError: when awaited: there is none of this id.
        """
        return self._control(lambda: self._replay_one(letter_id))

    def replay_all(
        self,
        filter: Filter | None = None,  # noqa: A002
        *,
        rate: float | None = None,
        progress: Progress | None = None,
    ) -> Operation[int]:
        """Send back every letter that *filter* accepts and that can go back; awaited, gives their number.

        Those of a listener whose queue vanished with its process stay where they are, with a warning.

        Args:
            filter: None accepts all.
            rate: Letters a second at most, so that a flood does not hit what has just recovered; None is unlimited.
            progress: Called with the number so far, on the manager's loop.
        """
        return self._control(lambda: self._box.replay(filter or _all, rate, progress))

    def purge(self, filter: Filter | None = None, *, progress: Progress | None = None) -> Operation[int]:  # noqa: A002
        """Delete every letter that *filter* accepts, None all of them; awaited, gives their number."""
        return self._control(lambda: self._box.purge(filter or _all, progress))

    async def _replay_one(self, letter_id: str) -> int:
        count = await self._box.replay(lambda letter: letter.id == letter_id, None, None, strict=True)
        if not count:
            raise UnknownDeadLetterError(f"no dead letter {letter_id!r} in the subscriptions of this manager")
        return count


def _id_of(body: bytes) -> str:
    # What others put there may have no id, and must be within reach all the same.
    return blake2b(body, digest_size=10).hexdigest()


def _all(_letter: DeadLetter) -> bool:
    return True


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
