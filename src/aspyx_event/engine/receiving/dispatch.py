"""Takes deliveries through interceptors and handlers, and settles them. Nothing else in the engine settles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import NamedTuple

from ...envelope import CE_ID, CE_TYPE
from ...exceptions import EventException, LimitExceededError, PoisonMessageError
from ...observer import Observer
from ...options import SubscriptionOptions
from ...policies import AckPolicy, Limits
from ...providers.base import Binding, Consume, Delivery
from ..failure.poison import InFlightJournal
from .delays import StoppableDelay
from .failed import Decision, FailureHandler
from .handlers import BoundHandler
from .observed import observed_consume, report_taken
from .progress import DeliveryProgress
from .unsettled import UnsettledDeliveries

#: Seconds between two checks whether all required handlers are subscribed; from other threads too, so it is not signalled.
_CHECK_INTERVAL = 0.01


class Dispatcher:
    """Takes the deliveries of a queue, or of several with the same handlers, through the chain and settles each once.

    Args:
        bindings: The queues that the deliveries come from.
        options: Of the subscription; all handlers have the same acknowledgement policy, concurrency and cooldown.
        limits: A delivery that exceeds them is a dead letter without an attempt.
        failures: Decides what follows a failed attempt.
        delays: Waits between deliveries; a stop ends them.
        unsettled: Releases what no rule settles.
        journal: Counts crashes of the process; None does not.
        observer: Notified of every stage.
    """

    def __init__(
        self,
        bindings: tuple[Binding, ...],
        options: SubscriptionOptions,
        limits: Limits,
        failures: FailureHandler,
        delays: StoppableDelay,
        unsettled: UnsettledDeliveries,
        journal: InFlightJournal | None,
        observer: Observer | None,
    ) -> None:
        self._bindings, self._limits, self._failures, self._delays = bindings, limits, failures, delays
        self._journal, self._observer, self.unsettled = journal, observer, unsettled
        #: Attempts that ended because the task of their worker was cancelled, though no stop had asked for that.
        self._interruptions: dict[Delivery, Interruption] = {}
        self._policy, self._cooldown = options.ack, options.cooldown
        #: What follows when all handlers succeeded.
        self._success = Decision.LEAVE if options.ack is AckPolicy.MANUAL else Decision.ACK
        #: Upcoming deliveries that may have been in flight when a process crashed. They are redelivered first, and are
        #: no more than were handled at once in a few processes, so checking the head of the queue is enough. Each check
        #: is a broker round trip.
        self._suspects = min(bindings[0].prefetch, max(10, 2 * options.concurrency)) if journal else 0
        #: A delivery needs nothing but its handlers.
        self._plain = (
            observer is None and self._policy is not AckPolicy.BEFORE and not self._cooldown and len(bindings) == 1
        )
        #: The handlers, in their order. Replaced as a whole.
        self.handlers: tuple[BoundHandler, ...] = ()
        #: Until when deliveries wait for handlers that others require and that are not subscribed yet, in seconds of
        #: `time.monotonic`; 0.0 if none is missing.
        self.incomplete_until = 0.0

    def start(self) -> None:
        """Undo `stop`, before the first delivery."""
        self._delays.reset()
        self._interruptions.clear()

    def stop(self) -> None:
        """End the waits for further attempts; their deliveries are released and come again."""
        self._delays.stop()

    def observed(self, consume: Consume) -> Consume:
        """Return *consume*, extended so that the observer is notified of what happens to each delivery."""
        return observed_consume(consume, self.handlers[0].descriptor, self._observer)

    def dispatch(self, delivery: Delivery) -> Awaitable[None]:
        """Return the coroutine that handles one delivery and settles it."""
        if self._plain and not self._suspects and not self.incomplete_until:
            return self._handle(delivery, self._bindings[0])
        return self._dispatch(delivery)

    async def _dispatch(self, delivery: Delivery) -> None:
        try:
            if self._observer is not None:
                report_taken(delivery)
            if self.incomplete_until and not await self._wait_for_handlers(delivery):
                delivery.release()
                return
            binding = self._bindings[0] if len(self._bindings) == 1 else delivery.binding
            if self._policy is AckPolicy.BEFORE:
                delivery.ack()
            if self._journal is None or not self._suspects:
                await self._handle(delivery, binding)
            else:
                await self._handle_journaled(self._journal, delivery, binding)
        except Exception as error:  # noqa: BLE001  without a pause the broker would deliver it again at once, for ever
            await self.unsettled.release(delivery, error)
        if self._cooldown:
            await self._delays.wait(self._cooldown)

    async def _wait_for_handlers(self, delivery: Delivery) -> bool:
        """Wait for handlers that others require, while a program may still subscribe them; False if a stop came first."""
        while monotonic() < self.incomplete_until and not delivery.stale:
            if self._delays.stopped:
                return False
            await asyncio.sleep(_CHECK_INTERVAL)
        return not delivery.stale

    async def _handle_journaled(self, journal: InFlightJournal, delivery: Delivery, binding: Binding) -> None:
        self._suspects -= 1
        handler = self.handlers[0]
        max_crashes = handler.retry.max_crashes
        try:
            entry = await journal.enter(binding.queue or "", delivery, max_crashes)
        except PoisonMessageError as error:
            progress = DeliveryProgress(delivery, binding, self.handlers, manual=False)
            self._settle(delivery, await self._failures.refuse(progress, error, max_crashes))
            return
        try:
            if delivery.stale:  # its connection was lost while the journal waited for the broker
                self._suspects += 1
                delivery.release()
                return
            await self._handle(delivery, binding)
        finally:
            if entry is not None:
                entry.mark_done()

    async def _handle(self, delivery: Delivery, binding: Binding) -> None:
        handlers = self.handlers
        progress: DeliveryProgress | None = None
        try:
            progress = DeliveryProgress(delivery, binding, handlers, self._policy is AckPolicy.MANUAL)
            exceeded = delivery.oversized or self._limits.exceeded(progress.received)
            if exceeded:
                error = LimitExceededError(f"event {handlers[0].descriptor.event.name!r}: too large: {exceeded}")
                self._settle(delivery, await self._failures.refuse(progress, error))
                return
            for handler in handlers:
                if progress.finished and handler.name in progress.finished:
                    continue
                context = progress.context(handler)
                failure = self._interrupted_attempt(progress, handler) if self._interruptions else None
                if failure is None:
                    failure = await handler.attempts.run(context)
                if failure is not None and not await self._retried(handler, progress, failure):
                    return
                context = progress.latest
                if context.skipped:
                    handler.stats.skipped += 1
                    progress.skipped.add(handler.name)
                    continue
                headers = progress.received.headers  # those of the context are the handler's to change
                handler.stats.succeeded(headers.get(CE_ID, ""), headers.get(CE_TYPE) or handler.descriptor.event.name)
                if context.completed or context.stopped:
                    progress.finished.append(handler.name)
                else:
                    progress.failed.add(handler.name)
                if context.stopped or (len(handlers) > 1 and delivery.stale):
                    break
            lost = len(handlers) > 1 and delivery.stale  # the broker delivers it again
            self._settle(delivery, Decision.RELEASE if lost else self._success)
        except (asyncio.CancelledError, GeneratorExit):  # the latter from a future that failed with it
            self._note_interruption(delivery, progress)
            raise
        except (SystemExit, KeyboardInterrupt):  # the process ends: the event must come again
            delivery.release()
            raise
        except BaseException as error:  # noqa: BLE001  without a pause the broker would deliver it again at once, for ever
            self._interruptions.pop(delivery, None)
            await self.unsettled.release(delivery, error)

    async def _retried(self, handler: BoundHandler, progress: DeliveryProgress, failure: Exception) -> bool:
        """Make the further attempts of a handler; True after success, False if the delivery is settled without."""
        error: Exception | None = failure
        while error is not None:
            decision = await self._failures.handle(handler, progress, error)
            if decision is not Decision.RETRY:
                self._settle(progress.delivery, decision)
                return False
            error = await handler.attempts.run(progress.context(handler, progress.attempt + 1))
        return True

    def _settle(self, delivery: Delivery, decision: Decision) -> None:
        if decision is Decision.ACK:
            delivery.ack()
        elif decision is Decision.RELEASE:
            delivery.release()
        if self._interruptions:
            self._interruptions.pop(delivery, None)
        if self.unsettled.releases:
            self.unsettled.settled(delivery)

    def _note_interruption(self, delivery: Delivery, progress: DeliveryProgress | None) -> None:
        """Note that the task of a worker was cancelled. The worker pool releases the delivery, or handles it again."""
        before = self._interruptions.get(delivery)
        number = 1 if before is None else before.number + 1
        listener, attempt = ("", 1) if progress is None else (progress.listener, progress.attempt)
        self._interruptions[delivery] = Interruption(number, listener, attempt)

    def _interrupted_attempt(self, progress: DeliveryProgress, handler: BoundHandler) -> Exception | None:
        """Return the error of an attempt that was interrupted; None if the attempt is to be made.

        The first interruption may be the fault of another handler, which cancelled all tasks: the event is handled again.
        Every further error is a failed attempt.
        """
        interruption = self._interruptions.get(progress.delivery)
        if interruption is None or interruption.listener != handler.name or interruption.number < 2:
            return None
        progress.context(handler, interruption.attempt)
        return EventException(f"listener {handler.name!r} cancelled the task that called it")


class Interruption(NamedTuple):
    """An attempt that ended because the task of its worker was cancelled.

    Attributes:
        number: Interruptions of the delivery so far.
        listener: Name of the handler.
        attempt: Number of the attempt.
    """

    number: int
    listener: str
    attempt: int
