"""`EventManager.dead_letters`: list, inspect, replay and purge the dead letters of a manager's subscriptions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import blake2b

from ...envelope import Envelope, whole_number
from ...error_text import error_text, repr_of
from ...exceptions import DeclarationError, HeaderError, UnknownDeadLetterError
from ...observer import Observer
from ...printable import printable
from ...providers.base import Binding, Delivery, Provider
from ...safe_logger import SafeLogger
from ..failure.drain import WINDOW, drain_queue
from ..failure.republish import (
    ATTEMPTS,
    CAUSE_MESSAGE,
    CAUSE_TRACEBACK,
    CAUSE_TYPE,
    FAILED_AT,
    LETTER_HEADERS,
    LETTER_ID,
    ORIGINAL_QUEUE,
    replay_copy,
)
from ..failure.signature import SIGNATURE, is_signed, signed, without_framework_headers
from ..runtime.operations import Operation
from ..sending.observed import watched
from ..subscribing.subscriptions import Control, Subscription, SubscriptionRegistry

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Characters of an id, and of a time, that are read from a header.
_ID_LIMIT, _TIME_LIMIT = 200, 64


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an event became a dead letter; all fields are "" in a message that another program put into the queue.

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
    """The subscription and queue that the letters of a dead-letter queue come from."""

    address: str
    subscription: Subscription
    binding: Binding


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a subscription could not handle.

    Attributes:
        id: Identifies the letter for `inspect`, `replay` and `purge`.
        event_id: Id of the event, the same in every letter that the event became.
        subscription: Name of the listener or group that failed.
        address: Name of the event.
        queue: The queue that delivered it; "" for a queue without a name.
        cause: Why it failed.
        attempts: Number of attempts; 0 where unknown.
        headers: As they were received.
        body: As it was received.
        failed_at: Time of the last attempt, in UTC; None where unknown.
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
    def of(envelope: Envelope, origin: Origin, *, signed: bool) -> DeadLetter:
        """Return the letter in a message of a dead-letter queue. Never fails: missing headers leave fields empty.

        Args:
            envelope: The message.
            origin: Its queue.
            signed: This application wrote it. Otherwise its `aspyx-*` headers only describe it, and a replay does not have
                them.
        """
        headers = envelope.headers if signed else without_framework_headers(envelope.headers)
        return DeadLetter(
            id=_id_of(envelope),
            event_id=envelope.id,
            subscription=origin.subscription.letter_name,
            address=origin.binding.address,
            queue=envelope.get(ORIGINAL_QUEUE) or origin.binding.queue or "",
            cause=Cause(envelope.get(CAUSE_TYPE), envelope.get(CAUSE_MESSAGE), envelope.get(CAUSE_TRACEBACK)),
            attempts=whole_number(envelope.get(ATTEMPTS)) or 0,
            headers={
                name: value for name, value in headers.items() if name not in LETTER_HEADERS and name != SIGNATURE
            },
            body=envelope.body,
            failed_at=_time(envelope.get(FAILED_AT)),
        )


Filter = Callable[[DeadLetter], bool]
Progress = Callable[[int], None]
Letters = list[DeadLetter]


class DeadLetters:
    """The dead letters of a manager's subscriptions. Await the methods, or, without an event loop, just call them.

    Reading a dead-letter queue takes its messages for a moment, so concurrent readers of the same queue each see a
    part of it.

    Args:
        provider: The transport.
        subscriptions: The subscriptions whose dead letters are meant.
        observer: Notified of each replay.
        started: Runs work on the manager's loop, after a start.
    """

    def __init__(
        self, provider: Provider, subscriptions: SubscriptionRegistry, observer: Observer | None, started: Control
    ) -> None:
        self._provider, self._subscriptions, self._observer = provider, subscriptions, observer
        self._started = started

    def list(self, subscription: str | None = None, *, limit: int = 1000) -> Operation[Letters]:
        """Return up to *limit* letters of a subscription (its name, group or id), or of all; oldest first in each.

        Raises:
            DeclarationError: when awaited: no subscription has the name.
        """
        return self._started(lambda: self._list(subscription, limit))

    def inspect(self, letter_id: str) -> Operation[DeadLetter]:
        """Return a letter.

        Raises:
            UnknownDeadLetterError: when awaited: no letter has this id.
        """
        return self._started(lambda: self._inspect(letter_id))

    def replay(self, letter_id: str) -> Operation[int]:
        """Send the event of a letter back to the subscription that it failed in, and to no other. The event keeps its id and
        gets the header ``aspyx-replay-of``.

        Raises:
            UnknownDeadLetterError: when awaited: no letter has this id.
        """
        return self._started(lambda: self._replay_one(letter_id))

    def replay_all(
        self,
        filter: Filter | None = None,  # noqa: A002
        *,
        rate: float | None = None,
        progress: Progress | None = None,
    ) -> Operation[int]:
        """Send back every letter that *filter* accepts and that can go back; awaited, gives their number.

        Letters of a listener whose queue vanished with its process stay where they are, with a warning.

        Args:
            filter: None accepts all.
            rate: Letters per second at most, so that a flood does not hit a service that has just recovered; None is
                unlimited.
            progress: Called with the number so far, on the manager's loop.

        Raises:
            DeclarationError: *filter* cannot be called.
        """
        accepts = _filter("replay_all", filter)
        return self._started(lambda: self._replay_all(accepts, rate, progress))

    def purge(self, filter: Filter | None = None, *, progress: Progress | None = None) -> Operation[int]:  # noqa: A002
        """Delete every letter that *filter* accepts, None all of them; awaited, gives their number."""
        accepts = _filter("purge", filter)
        return self._started(lambda: self._purge(accepts, progress))

    async def _list(self, subscription: str | None, limit: int) -> Letters:
        collected: list[DeadLetter] = []
        for origin in self._origins(subscription):
            if len(collected) < limit:
                async with self._letters(origin, limit - len(collected)) as letters:
                    async for _, letter in letters:
                        collected.append(letter)
                        if len(collected) == limit:
                            break
        return collected

    async def _inspect(self, letter_id: str) -> DeadLetter:
        for origin in self._origins(None):
            async with self._letters(origin) as letters:
                async for _, letter in letters:
                    if letter.id == letter_id:
                        return letter
        raise _unknown(letter_id)

    async def _replay_one(self, letter_id: str) -> int:
        count = await self._replay_all(lambda letter: letter.id == letter_id, None, None, strict=True)
        if not count:
            raise _unknown(letter_id)
        return count

    async def _replay_all(
        self, accepts: Filter, rate: float | None, progress: Progress | None, *, strict: bool = False
    ) -> int:
        """Replay letters; with *strict*, a letter that cannot go back raises instead of staying with a warning."""

        async def send_back(delivery: Delivery, letter: DeadLetter, origin: Origin) -> bool:
            if origin.binding.queue is None:
                name = origin.subscription.name
                reason = f"listener {name!r} is per_process: its queue has no name to which the event could go back"
                if strict:
                    raise DeclarationError(reason)
                logger.warning("dead letter %s stays: %s", printable(letter.id), reason)
                return False
            failed_at = letter.failed_at.isoformat() if letter.failed_at else ""
            copy = signed(
                self._provider, replay_copy(letter.body, letter.headers, letter.id, origin.binding, failed_at=failed_at)
            )
            finish = None
            if self._observer is not None:
                finish = self._observer.replaying(copy.envelope, origin.subscription.descriptor, letter.id)
            try:
                await watched(lambda: self._provider.publish(copy), finish)
            except HeaderError as error:  # of another sender, larger than this protocol carries
                if strict:
                    raise
                logger.warning("dead letter %s stays: %s", printable(letter.id), error_text(error))
                return False
            delivery.ack()
            return True

        return await self._for_each(accepts, send_back, rate, progress)

    async def _purge(self, accepts: Filter, progress: Progress | None) -> int:
        async def delete(delivery: Delivery, _letter: DeadLetter, _origin: Origin) -> bool:
            delivery.ack()
            return True

        return await self._for_each(accepts, delete, None, progress)

    async def _for_each(
        self,
        accepts: Filter,
        work: Callable[[Delivery, DeadLetter, Origin], Awaitable[bool]],
        rate: float | None,
        progress: Progress | None,
    ) -> int:
        done, loop = 0, asyncio.get_running_loop()
        due = loop.time()
        for origin in self._origins(None):
            async with self._letters(origin) as letters:
                async for delivery, letter in letters:
                    if not accepts(letter) or not await work(delivery, letter, origin):
                        continue
                    done += 1
                    if progress is not None:
                        progress(done)
                    if rate:
                        due = max(due + 1 / rate, loop.time())
                        await asyncio.sleep(due - loop.time())
        return done

    def _origins(self, name: str | None) -> Iterable[Origin]:
        """Return the origin of each dead-letter queue, once.

        Raises:
            DeclarationError: no subscription has the name.
        """
        queues: dict[str, Origin] = {}
        for subscription in self._subscriptions:
            names = (
                subscription.name,
                subscription.group,
                subscription.id,
                f"{subscription.event_name}.{subscription.name}",
            )
            if name is None or name in names:
                for address, binding in subscription.letter_queues.items():
                    queues.setdefault(address, Origin(address, subscription, binding))
        if name is not None and not queues:
            known = ", ".join(sorted({subscription.name for subscription in self._subscriptions})) or "none"
            raise DeclarationError(f"no subscription is called {name!r}; known: {known}")
        return queues.values()

    @asynccontextmanager
    async def _letters(
        self, origin: Origin, limit: int = WINDOW
    ) -> AsyncIterator[AsyncIterator[tuple[Delivery, DeadLetter]]]:
        label = f"the dead letters of {origin.subscription.name!r}"
        async with drain_queue(self._provider, origin.address, label=label, window=limit + 1) as deliveries:
            yield (
                (delivery, DeadLetter.of(received, origin, signed=is_signed(self._provider, origin.address, received)))
                async for delivery in deliveries
                for received in (delivery.received,)
            )


def _unknown(letter_id: str) -> UnknownDeadLetterError:
    return UnknownDeadLetterError(f"no dead letter {letter_id!r} in the subscriptions of this manager")


def _id_of(envelope: Envelope) -> str:
    """Return the id of a letter; a digest for a message of another program without an id, or with an id that is too long."""
    stated = envelope.get(LETTER_ID) or envelope.id
    if stated and len(stated) <= _ID_LIMIT and stated.isprintable():
        return stated
    return blake2b(stated.encode("utf-8", "replace") + envelope.body, digest_size=10).hexdigest()


def _filter(method: str, value: Filter | None) -> Filter:
    """Return the filter to use. A false value that is not None must not select all letters."""
    if value is None:
        return _all
    if not callable(value):
        raise DeclarationError(f"{method}(filter={repr_of(value)}): not a function; leave it out to take all letters")
    return value


def _all(_letter: DeadLetter) -> bool:
    return True


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00")) if len(text) < _TIME_LIMIT else None
        return None if time is None or time.tzinfo is None else time.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
