"""What follows a failed attempt: a retry, a dead letter or a drop. The dispatcher settles the delivery accordingly."""

from __future__ import annotations

import logging
from enum import Enum

from ...context import EventContext
from ...envelope import CE_PREFIX, TRACE_HEADERS, Envelope
from ...error_text import error_text
from ...exceptions import CodecError, HeaderError, ProviderError, RequirementError
from ...interrupts import ends_program
from ...log_fields import log_fields
from ...observer import Observer, Settlement
from ...policies import AckPolicy, RetryMode, is_seconds
from ...printable import printable
from ...providers.base import Outgoing, Provider
from ...safe_logger import SafeLogger
from ..failure.reporter import FailureReporter
from ..failure.republish import FAILED_HANDLER, dead_letter, letter_name, retry_copy, with_finished
from ..failure.signature import signed
from .delays import StoppableDelay
from .handlers import BoundHandler
from .observed import report_dropped, report_settling
from .progress import DeliveryProgress
from .unsettled import FIRST_PAUSE, LONGEST_PAUSE, UnsettledDeliveries

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Characters of a header value that the shortened headers of a dead letter may have.
_SHORT_VALUE = 1_000


class Decision(Enum):
    """What the dispatcher does with a delivery after a failed attempt."""

    #: Run the next attempt now: its delay is over.
    RETRY = "retry"
    #: Acknowledge it: a copy is stored, or the event is dropped.
    ACK = "ack"
    #: Release it: a stop came first.
    RELEASE = "release"
    #: Leave it as it is: it is settled already.
    LEAVE = "leave"


class FailureHandler:
    """Decides what follows a failed attempt, and stores the copies that this needs. Runs on the manager's loop.

    Args:
        provider: Stores the copies: delayed retries and dead letters.
        reporter: Gets the error of the last attempt.
        observer: Notified of retries and of copies that were refused.
        delays: Waits between attempts; a stop ends them.
        unsettled: Knows the deliveries whose copies are refused.
        policy: When a delivery is acknowledged.
    """

    def __init__(
        self,
        provider: Provider,
        reporter: FailureReporter,
        observer: Observer | None,
        delays: StoppableDelay,
        unsettled: UnsettledDeliveries,
        policy: AckPolicy,
    ) -> None:
        self._provider, self._reporter, self._observer = provider, reporter, observer
        self._delays, self._unsettled, self._policy = delays, unsettled, policy

    async def handle(self, handler: BoundHandler, progress: DeliveryProgress, error: Exception) -> Decision:
        """Wait for the next attempt, store a copy for it, or give up, as the handler's `Retry` says."""
        context, attempt = progress.intact_context(handler), progress.attempt
        handler.stats.note(context.event_id)
        # Drawn once, because it is random: observers must get the delay that is waited.
        delay = self._delay_after(handler, attempt, error)
        await self._report(handler, context, error, delay)
        if context.settled:
            return Decision.LEAVE
        if delay is None:
            return await self.give_up(handler, progress, error, attempt)
        if handler.retry.mode is RetryMode.DELAYED:
            report_settling(progress.delivery, Settlement.RETRY, handler.descriptor)
            try:
                return await self._store(handler, progress, self._next_attempt(handler, progress, attempt, delay))
            except HeaderError as refusal:  # of another sender, too large for this protocol together with the attempt
                await self._report(handler, context, refusal, None)
                return await self.give_up(handler, progress, error, attempt)
        # A stale delivery was delivered again meanwhile: its message has its attempts there.
        stopped = await self._delays.wait(delay)
        return Decision.RELEASE if stopped or progress.delivery.stale else Decision.RETRY

    async def refuse(self, progress: DeliveryProgress, error: Exception, attempts: int = 0) -> Decision:
        """Give up a delivery without an attempt.

        Args:
            progress: The delivery.
            error: The reason.
            attempts: Attempts of earlier processes; 0 takes the number that the message states.
        """
        handler, delivery = progress.handlers[0], progress.delivery
        context = EventContext(
            progress.received, handler.descriptor, attempts or progress.attempt_of(handler), delivery.redelivered
        )
        await self._report(handler, context, error, None)
        return await self.give_up(handler, progress, error, context.attempt)

    async def give_up(
        self, handler: BoundHandler, progress: DeliveryProgress, error: Exception, attempts: int
    ) -> Decision:
        """Store the event as a dead letter, or drop it, as the policies of the handler say."""
        delivery, listener = progress.delivery, handler.descriptor
        if handler.on_give_up is not None:
            await handler.on_give_up(error)
        if self._policy is AckPolicy.BEFORE:
            handler.stats.dropped += 1
            report_dropped(delivery, listener)
            return Decision.LEAVE
        if not handler.retry.dead_letter:
            handler.stats.dropped += 1
            report_settling(delivery, Settlement.DROPPED, listener)
            return Decision.ACK
        report_settling(delivery, Settlement.DEAD_LETTER, listener)
        decision = await self._store_letter(handler, progress, error, attempts)
        if decision is Decision.ACK:
            handler.stats.dead_letters += 1
        return decision

    async def _store_letter(
        self, handler: BoundHandler, progress: DeliveryProgress, error: Exception, attempts: int
    ) -> Decision:
        """Store a dead letter, with fewer headers if all of them are too many.

        Raises:
            HeaderError: the provider refuses even the fewest headers; the delivery must stay in its queue.
        """
        variants = _letter_headers(progress)
        while True:
            letter = _letter(handler, progress, error, attempts, variants.pop(0))
            try:
                return await self._store(handler, progress, letter)
            except HeaderError as refusal:  # of another sender, too large for this protocol together with the cause
                if not variants:
                    raise
                logger.warning(
                    "dead letter of event %r loses headers: %s",
                    handler.descriptor.event.name,
                    refusal,
                    extra=log_fields(progress.received, handler.name),
                )

    def _delay_after(self, handler: BoundHandler, attempt: int, error: Exception) -> float | None:
        """Return the seconds until the next attempt; None if there is none."""
        if self._policy is AckPolicy.BEFORE or issubclass(type(error), (CodecError, RequirementError)):
            return None
        try:
            delay = handler.retry.next_delay(attempt, error)
            if delay is None or is_seconds(delay):
                return delay
            logger.error(
                "listener %r: its retry policy returned %r as a delay; the event is given up", handler.name, delay
            )
        except BaseException as failure:  # classes of the application decide whether an error matches
            if ends_program(failure):
                raise
            logger.exception("listener %r: its retry policy failed; the event is given up", handler.name)
        return None

    async def _report(
        self, handler: BoundHandler, context: EventContext, error: Exception, delay: float | None
    ) -> None:
        """Count a failed attempt; report the error of the last, log the others."""
        handler.stats.failures += 1
        if delay is None:
            await self._reporter.report(error, f"listener {handler.name!r}", context)
            return
        if self._observer is not None and not context.settled:
            self._observer.retrying(context, error, delay)
        logger.warning(
            "listener %r failed on event %r (id %s), attempt %d of %d: %s",
            handler.name,
            handler.descriptor.event.name,
            printable(context.event_id),
            context.attempt,
            handler.retry.attempts,
            error_text(error),
            extra=log_fields(context.envelope, handler.name),
        )

    def _next_attempt(self, handler: BoundHandler, progress: DeliveryProgress, attempt: int, delay: float) -> Outgoing:
        received = progress.received
        if len(progress.handlers) > 1:
            headers = {**with_finished(received.headers, progress.finished_for_copy), FAILED_HANDLER: handler.name}
            received = Envelope(received.body, headers)
        return retry_copy(received, progress.binding, attempt + 1, delay, self._provider.clock.time())

    async def _store(self, handler: BoundHandler, progress: DeliveryProgress, copy: Outgoing) -> Decision:
        """Publish *copy*, again and again until the provider takes it or a stop comes.

        A crash before the acknowledgement publishes the copy once more, with the same `dedup_id`.

        Raises:
            HeaderError: this protocol cannot carry its headers.
        """
        pause, copy = FIRST_PAUSE, signed(self._provider, copy)
        try:
            while True:
                try:
                    await self._provider.publish(copy)
                    return Decision.ACK
                except ProviderError as refusal:
                    self._on_refusal(handler, progress, copy, refusal)
                if await self._delays.wait(pause):
                    return Decision.RELEASE
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self._unsettled.stored(progress.delivery)

    def _on_refusal(
        self, handler: BoundHandler, progress: DeliveryProgress, copy: Outgoing, refusal: ProviderError
    ) -> None:
        text = f"a copy of event {handler.descriptor.event.name!r} for {copy.address} was not stored: {refusal}"
        self._unsettled.refused(progress.delivery, text)
        logger.error("%s", text, extra=log_fields(progress.received, handler.name))
        if self._observer is not None:
            self._observer.not_stored(progress.received, handler.descriptor, refusal)


def _letter(
    handler: BoundHandler, progress: DeliveryProgress, error: Exception, attempts: int, headers: dict[str, str]
) -> Outgoing:
    return dead_letter(
        progress.received.body,
        headers,
        error,
        event_name=progress.binding.address,
        subscription=letter_name(handler.descriptor, alone=len(progress.handlers) == 1),
        queue=progress.binding.queue or "",
        attempts=attempts,
        event_id=progress.received.id,
    )


def _letter_headers(progress: DeliveryProgress) -> list[dict[str, str]]:
    """Return the headers of a dead letter, and fewer of them should they be too many: those of the event, then none."""
    headers = progress.received.headers
    if progress.finished:
        headers = with_finished(headers, progress.finished_for_copy)
    short = {
        name: value
        for name, value in headers.items()
        if (name.startswith(CE_PREFIX) or name in TRACE_HEADERS) and len(value) < _SHORT_VALUE
    }
    return [headers, short, {}]
