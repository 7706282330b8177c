"""The receiving side: interceptors, event, handler, retries, and settlement. Nothing else settles."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from time import time

from ..clock import Clock
from ..context import EventContext
from ..envelope import ATTEMPT, CE_PREFIX, TRACE_HEADERS, Envelope
from ..exceptions import CodecError, HeaderError, LimitExceededError, ProcessDiedError, ProviderError
from ..listeners import EventListenerDescriptor
from ..log_fields import log_fields
from ..observing import Observer, Settlement
from ..pipeline import Link
from ..policies import AckPolicy, Limits, Retry, RetryMode
from ..providers.base import Binding, Consume, Delivery, Outgoing, Provider
from .attempts import Attempts
from .copies import dead_letter, retry_copy
from .crashes import CrashLedger
from .failures import FailureReporter
from .invocation import Call
from .observation import ObservedDelivery, observed_consume

logger = logging.getLogger("aspyx.event")


@dataclass(slots=True)
class SubscriptionStats:
    """What a subscription has done since it was made.

    Attributes:
        count: Deliveries handled with success.
        failures: Attempts that failed.
        dead_letters: Deliveries given up.
        left_behind: Handlers past their time limit that still run.
        last_event_id: Id of the event handled last, with or without success; "" before the first.
        last_seconds: When that was, in seconds since the epoch; None before the first.
    """

    count: int = 0
    failures: int = 0
    dead_letters: int = 0
    left_behind: int = 0
    last_event_id: str = ""
    last_seconds: float | None = None

    @property
    def last_time(self) -> datetime | None:
        """When an event was handled last, in UTC; None before the first."""
        return None if self.last_seconds is None else datetime.fromtimestamp(self.last_seconds, timezone.utc)


class Dispatcher:
    """Takes the deliveries of one subscription through the chain and settles each of them once.

    Args:
        descriptor: The event and the listener.
        call: Calls the handler.
        chain: Interceptors, ending in `Invoke`.
        retry: What happens after a failure.
        provider: Takes dead letters.
        clock: Times the waits between attempts.
        reporter: Gets the error of the last attempt.
        binding: The queue that the deliveries come from.
        limits: What is too large to be handled.
        ledger: Counts the deaths of the process; None does not.
        observer: Told of every stage.
    """

    def __init__(
        self,
        descriptor: EventListenerDescriptor,
        call: Call,
        chain: Link,
        retry: Retry,
        provider: Provider,
        clock: Clock,
        reporter: FailureReporter,
        binding: Binding,
        limits: Limits,
        ledger: CrashLedger | None,
        observer: Observer | None = None,
    ) -> None:
        self._descriptor, self._call, self._retry = descriptor, call, retry
        self._provider, self._clock, self._reporter, self._binding = provider, clock, reporter, binding
        self._attempts = Attempts(chain, retry.timeout, self._left_behind, observer)
        self._limits, self._ledger, self._observer = limits, ledger, observer
        #: Deliveries to come that may have been in hand when a process died: they are first in the queue, and no more
        #: than were handled at once, here and in a few processes beside. Each costs a round trip to the broker.
        self._suspects = min(binding.prefetch, max(10, 2 * descriptor.options.concurrency)) if ledger else 0
        self._policy = descriptor.options.ack
        self._stopping = asyncio.Event()
        self.stats = SubscriptionStats()

    def begin(self) -> None:
        """Undo `stop`, before the first delivery."""
        # A new one, because the first wait binds it to its loop, and a restart may be on another.
        self._stopping = asyncio.Event()

    def observed(self, consume: Consume) -> Consume:
        """Return what brings deliveries to *consume* in a form that tells the observer what becomes of them."""
        return observed_consume(consume, self._descriptor, self._observer)

    def _left_behind(self, change: int) -> None:
        self.stats.left_behind += change

    def stop(self) -> None:
        """End waits for a further attempt; their deliveries are released and come again."""
        self._stopping.set()

    async def dispatch(self, delivery: Delivery) -> None:
        """Handle one delivery; settle it when it is done, dead, or to be handed back."""
        if self._observer is not None and isinstance(delivery, ObservedDelivery):
            delivery.take()
        if self._policy is AckPolicy.BEFORE:
            delivery.ack()
        if self._ledger is None or not self._suspects:
            await self._handle(delivery)
            return
        self._suspects -= 1
        try:
            hold = await self._ledger.enter(self._binding.queue or "", delivery.received, self._retry.crashes)
        except ProcessDiedError as error:
            await self._give_up(delivery, delivery.received, error, self._retry.crashes)
            return
        try:
            await self._handle(delivery)
        finally:
            if hold is not None:
                hold.release()

    async def _handle(self, delivery: Delivery) -> None:
        received = delivery.received
        attempt = _attempt_of(received)
        exceeded = self._limits.exceeded(received.body if received.encoded else b"", received.headers)
        if exceeded:
            too_large = LimitExceededError(f"event {self._descriptor.event.name!r}: too large: {exceeded}")
            context = EventContext(received, self._descriptor, attempt, delivery.redelivered)
            await self._note(too_large, context)
            await self._give_up(delivery, received, too_large, attempt)
            return
        settle = (delivery.ack, delivery.release) if self._policy is AckPolicy.MANUAL else None
        try:
            while True:
                # Interceptors change what they are given; each attempt and the dead letter start from what was received.
                context = EventContext(
                    received.fork(), self._descriptor, attempt, delivery.redelivered, self._call, settle
                )
                error = await self._attempts.run(context)
                self.stats.last_event_id, self.stats.last_seconds = received.id, time()
                if error is None:
                    self.stats.count += 1
                    if settle is None:
                        delivery.ack()
                    return
                await self._note(error, context)
                if context.settled:
                    return
                delay = self._delay(error, attempt)
                if delay is None:
                    await self._give_up(delivery, received, error, attempt)
                    return
                attempt += 1
                if self._retry.mode is RetryMode.DELAYED:
                    if isinstance(delivery, ObservedDelivery):
                        delivery.begin(Settlement.RETRY)
                    await self._replace(
                        delivery, retry_copy(received, self._binding, attempt, delay, self._clock.time())
                    )
                    return
                if await self._wait(delay):
                    delivery.release()
                    return
        except BaseException:  # cancelled by a stop, or the process ends: the event must come again
            delivery.release()
            raise

    async def _note(self, error: Exception, context: EventContext) -> None:
        self.stats.failures += 1
        delay = self._delay(error, context.attempt)
        if delay is None:
            await self._reporter.report(error, f"listener {self._descriptor.name!r}", context)
            return
        if self._observer is not None and not context.settled:
            self._observer.retrying(context, error, delay)
        logger.warning(
            "listener %r failed on event %r (id %s), attempt %d of %d: %s: %s",
            self._descriptor.name,
            self._descriptor.event.name,
            context.event_id,
            context.attempt,
            self._retry.attempts,
            type(error).__name__,
            error,
            extra=log_fields(context.envelope, self._descriptor.name),
        )

    def _delay(self, error: BaseException, attempt: int) -> float | None:
        if self._policy is AckPolicy.BEFORE or isinstance(error, CodecError):
            return None
        return self._retry.next_delay(attempt, error)

    async def _wait(self, delay: float) -> bool:
        """Wait *delay* seconds by the clock; True if a stop ended the wait, or was there before."""
        if self._stopping.is_set():
            return True
        due = asyncio.Event()
        timer = self._clock.call_later(delay, due.set)
        waits = [asyncio.ensure_future(due.wait()), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()
        return not due.is_set()

    async def _give_up(self, delivery: Delivery, received: Envelope, error: Exception, attempts: int) -> None:
        """Keep the event as a dead letter, then forget the delivery."""
        self.stats.dead_letters += 1
        observed = delivery if isinstance(delivery, ObservedDelivery) else None
        if self._policy is AckPolicy.BEFORE:
            if observed is not None:
                observed.dropped()
            return
        if observed is not None:
            observed.begin(Settlement.DEAD_LETTER if self._retry.dead_letter else Settlement.DROPPED)
        if not self._retry.dead_letter:
            delivery.ack()
            return
        for headers in (received.headers, _main(received.headers)):
            letter = dead_letter(
                received.body,
                headers,
                error,
                event_name=self._descriptor.event.name,
                subscription=self._descriptor.group or self._descriptor.name,
                queue=self._binding.queue or "",
                attempts=attempts,
                event_id=received.id,
            )
            try:
                await self._replace(delivery, letter)
            except HeaderError as refused:  # a foreign sender's, too large for this protocol beside the cause
                logger.warning(
                    "dead letter of event %r loses headers: %s",
                    self._descriptor.event.name,
                    refused,
                    extra=log_fields(received, self._descriptor.name),
                )
            else:
                return

    async def _replace(self, delivery: Delivery, copy: Outgoing) -> None:
        """Publish *copy*, then forget the delivery. A crash between the two makes the copy again, with the same id."""
        pause = 0.1
        while True:
            try:
                await self._provider.publish(copy)
            except ProviderError as refused:
                logger.error(
                    "a copy of event %r for %s was not stored: %s",
                    self._descriptor.event.name,
                    copy.address,
                    refused,
                    extra=log_fields(delivery.envelope, self._descriptor.name),
                )
                if self._observer is not None:
                    self._observer.not_stored(delivery.envelope, self._descriptor, refused)
                if await self._wait(pause):
                    delivery.release()
                    return
                pause = min(pause * 2, 30.0)
            else:
                delivery.ack()
                return


def _attempt_of(received: Envelope) -> int:
    stated = received.headers.get(ATTEMPT)
    if stated is None:
        return 1
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 6 else 1


def _main(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that tell what an event is, where all of them are too many."""
    return {
        name: value
        for name, value in headers.items()
        if (name.startswith(CE_PREFIX) or name in TRACE_HEADERS) and len(value) < 1_000
    }
