"""The receiving side: interceptors, event, handler, retries, and settlement. Nothing else settles."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from ...clock import Clock
from ...context import EventContext
from ...envelope import CE_ID, CE_PREFIX, CE_TYPE, TRACE_HEADERS, Envelope
from ...exceptions import (
    CodecError,
    HeaderError,
    LimitExceededError,
    PoisonMessageError,
    ProviderError,
    RequirementError,
)
from ...log_fields import log_fields
from ...observer import Observer, Settlement
from ...policies import AckPolicy, Limits, RetryMode
from ...providers.base import Binding, Consume, Delivery, Outgoing, Provider
from ..failure.poison import InFlightJournal
from ..failure.reporter import FailureReporter
from ..failure.republish import FAILED_HANDLER, dead_letter, letter_name, retry_copy, with_finished
from .handlers import BoundHandler
from .observed import ObservedDelivery, observed_consume
from .progress import DeliveryProgress

logger = logging.getLogger("aspyx.event")


class Dispatcher:
    """Takes the deliveries of one queue, or of several with the same handlers, through the chain and settles each once.

    Args:
        provider: Takes dead letters.
        clock: Times the waits between attempts.
        reporter: Gets the error of the last attempt.
        bindings: The queues that the deliveries come from.
        limits: What is too large to be handled.
        ledger: Counts the deaths of the process; None does not.
        observer: Told of every stage.
        policy: When a delivery is acknowledged.
        concurrency: Deliveries handled at once.
        rest: Seconds to wait after each delivery.
    """

    def __init__(
        self,
        provider: Provider,
        clock: Clock,
        reporter: FailureReporter,
        bindings: tuple[Binding, ...],
        limits: Limits,
        ledger: InFlightJournal | None,
        observer: Observer | None,
        *,
        policy: AckPolicy,
        concurrency: int,
        rest: float,
    ) -> None:
        self._provider, self._clock, self._reporter, self._bindings = provider, clock, reporter, bindings
        self._limits, self._ledger, self._observer = limits, ledger, observer
        self._policy, self._rest = policy, rest
        #: Deliveries to come that may have been in hand when a process died: they are first in the queue, and no more
        #: than were handled at once, here and in a few processes beside. Each costs a round trip to the broker.
        self._suspects = min(bindings[0].prefetch, max(10, 2 * concurrency)) if ledger else 0
        self._stopping = asyncio.Event()
        #: A delivery needs nothing but its handlers.
        self._plain = observer is None and policy is not AckPolicy.BEFORE and not rest and len(bindings) == 1
        #: The handlers, in their order. Replaced as a whole.
        self.steps: tuple[BoundHandler, ...] = ()

    def begin(self) -> None:
        """Undo `stop`, before the first delivery."""
        # A new one, because the first wait binds it to its loop, and a restart may be on another.
        self._stopping = asyncio.Event()

    def observed(self, consume: Consume) -> Consume:
        """Return what brings deliveries to *consume* in a form that tells the observer what becomes of them."""
        return observed_consume(consume, self.steps[0].descriptor, self._observer)

    def stop(self) -> None:
        """End waits for a further attempt; their deliveries are released and come again."""
        self._stopping.set()

    def dispatch(self, delivery: Delivery) -> Awaitable[None]:
        """Return what handles one delivery, and settles it when it is done, dead, or to be handed back."""
        if self._plain and not self._suspects:
            return self._handle(delivery, self._bindings[0])
        return self._dispatch(delivery)

    async def _dispatch(self, delivery: Delivery) -> None:
        if self._observer is not None and isinstance(delivery, ObservedDelivery):
            delivery.take()
        binding = self._bindings[0] if len(self._bindings) == 1 else delivery.binding
        if self._policy is AckPolicy.BEFORE:
            delivery.ack()
        if self._ledger is None or not self._suspects:
            await self._handle(delivery, binding)
        else:
            await self._handle_noted(self._ledger, delivery, binding)
        if self._rest:
            await self._wait(self._rest)

    async def _handle_noted(self, ledger: InFlightJournal, delivery: Delivery, binding: Binding) -> None:
        self._suspects -= 1
        first = self.steps[0]
        try:
            hold = await ledger.enter(binding.queue or "", delivery.received, first.retry.max_crashes)
        except PoisonMessageError as error:
            passage = DeliveryProgress(delivery, binding, self.steps, manual=False)
            await self._give_up(first, passage, error, first.retry.max_crashes)
            return
        try:
            await self._handle(delivery, binding)
        finally:
            if hold is not None:
                hold.release()

    async def _handle(self, delivery: Delivery, binding: Binding) -> None:
        steps = self.steps
        passage = DeliveryProgress(delivery, binding, steps, self._policy is AckPolicy.MANUAL)
        exceeded = self._limits.exceeded(passage.received)
        if exceeded:
            await self._refuse(passage, exceeded)
            return
        try:
            for step in steps:
                if passage.finished and step.name in passage.finished:
                    continue
                context = passage.context(step)
                error = await step.attempts.run(context)
                if error is not None:
                    recovered = await self._again(step, passage, context, error)
                    if recovered is None:
                        return
                    context = recovered
                if context.skipped:
                    step.stats.skipped += 1
                    passage.skipped.add(step.name)
                    continue
                headers = context.envelope.headers
                step.stats.succeeded(headers.get(CE_ID, ""), headers.get(CE_TYPE) or step.descriptor.event.name)
                if context.stopped:
                    break
                if len(steps) > 1:
                    passage.finished.append(step.name)
            if passage.settle is None:
                delivery.ack()
        except BaseException:  # cancelled by a stop, or the process ends: the event must come again
            delivery.release()
            raise

    async def _refuse(self, passage: DeliveryProgress, exceeded: str) -> None:
        first, delivery = passage.steps[0], passage.delivery
        too_large = LimitExceededError(f"event {first.descriptor.event.name!r}: too large: {exceeded}")
        context = EventContext(delivery.received, first.descriptor, passage.attempt_of(first), delivery.redelivered)
        await self._note(first, too_large, context)
        await self._give_up(first, passage, too_large, context.attempt)

    async def _again(
        self, step: BoundHandler, passage: DeliveryProgress, context: EventContext, failed: Exception
    ) -> EventContext | None:
        """Do what is to be done after an attempt that failed; return the context of one that succeeded, None if the
        delivery is settled.
        """
        delivery, error = passage.delivery, failed
        while True:
            step.stats.note(context.event_id)
            await self._note(step, error, context)
            if context.settled:
                return None
            attempt = context.attempt
            delay = self._delay(step, error, attempt)
            if delay is None:
                await self._give_up(step, passage, error, attempt)
                return None
            if step.retry.mode is RetryMode.DELAYED:
                if isinstance(delivery, ObservedDelivery):
                    delivery.begin(Settlement.RETRY, step.descriptor)
                await self._replace(step, delivery, self._next_try(step, passage, attempt + 1, delay))
                return None
            if await self._wait(delay):
                delivery.release()
                return None
            context = passage.context(step, attempt + 1)
            again = await step.attempts.run(context)
            if again is None:
                return context
            error = again

    def _next_try(self, step: BoundHandler, passage: DeliveryProgress, attempt: int, delay: float) -> Outgoing:
        received = passage.received
        if len(passage.steps) > 1:
            headers = {**with_finished(received.headers, passage.kept), FAILED_HANDLER: step.name}
            received = Envelope(received.body, headers)
        return retry_copy(received, passage.binding, attempt, delay, self._clock.time())

    async def _note(self, step: BoundHandler, error: Exception, context: EventContext) -> None:
        step.stats.failures += 1
        delay = self._delay(step, error, context.attempt)
        if delay is None:
            await self._reporter.report(error, f"listener {step.name!r}", context)
            return
        if self._observer is not None and not context.settled:
            self._observer.retrying(context, error, delay)
        logger.warning(
            "listener %r failed on event %r (id %s), attempt %d of %d: %s: %s",
            step.name,
            step.descriptor.event.name,
            context.event_id,
            context.attempt,
            step.retry.attempts,
            type(error).__name__,
            error,
            extra=log_fields(context.envelope, step.name),
        )

    def _delay(self, step: BoundHandler, error: BaseException, attempt: int) -> float | None:
        if self._policy is AckPolicy.BEFORE or isinstance(error, (CodecError, RequirementError)):
            return None
        return step.retry.next_delay(attempt, error)

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

    async def _give_up(self, step: BoundHandler, passage: DeliveryProgress, error: Exception, attempts: int) -> None:
        """Keep the event as a dead letter, then forget the delivery."""
        if self._policy is AckPolicy.BEFORE or not step.retry.dead_letter:
            step.stats.dropped += 1
        else:
            step.stats.dead_letters += 1
        if step.given_up is not None:
            await step.given_up(error)
        delivery, received = passage.delivery, passage.received
        observed = delivery if isinstance(delivery, ObservedDelivery) else None
        if self._policy is AckPolicy.BEFORE:
            if observed is not None:
                observed.dropped(step.descriptor)
            return
        if observed is not None:
            observed.begin(Settlement.DEAD_LETTER if step.retry.dead_letter else Settlement.DROPPED, step.descriptor)
        if not step.retry.dead_letter:
            delivery.ack()
            return
        headers = with_finished(received.headers, passage.kept) if passage.finished else received.headers
        for kept in (headers, _main(headers)):
            letter = dead_letter(
                received.body,
                kept,
                error,
                event_name=passage.binding.address,
                subscription=letter_name(step.descriptor, alone=len(passage.steps) == 1),
                queue=passage.binding.queue or "",
                attempts=attempts,
                event_id=received.id,
            )
            try:
                await self._replace(step, delivery, letter)
            except HeaderError as refused:  # a foreign sender's, too large for this protocol beside the cause
                logger.warning(
                    "dead letter of event %r loses headers: %s",
                    step.descriptor.event.name,
                    refused,
                    extra=log_fields(received, step.name),
                )
            else:
                return

    async def _replace(self, step: BoundHandler, delivery: Delivery, copy: Outgoing) -> None:
        """Publish *copy*, then forget the delivery. A crash between the two makes the copy again, with the same id."""
        pause = 0.1
        while True:
            try:
                await self._provider.publish(copy)
            except ProviderError as refused:
                logger.error(
                    "a copy of event %r for %s was not stored: %s",
                    step.descriptor.event.name,
                    copy.address,
                    refused,
                    extra=log_fields(delivery.received, step.name),
                )
                if self._observer is not None:
                    self._observer.not_stored(delivery.received, step.descriptor, refused)
                if await self._wait(pause):
                    delivery.release()
                    return
                pause = min(pause * 2, 30.0)
            else:
                delivery.ack()
                return


def _main(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that tell what an event is, where all of them are too many."""
    return {
        name: value
        for name, value in headers.items()
        if (name.startswith(CE_PREFIX) or name in TRACE_HEADERS) and len(value) < 1_000
    }
