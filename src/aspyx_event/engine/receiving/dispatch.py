"""Takes deliveries through interceptors and handlers, and settles them. Nothing else in the engine settles."""

from __future__ import annotations

from collections.abc import Awaitable

from ...envelope import CE_ID, CE_TYPE
from ...exceptions import PoisonMessageError
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


class Dispatcher:
    """Takes the deliveries of one queue, or of several with the same handlers, through the chain and settles each once.

    Args:
        bindings: The queues that the deliveries come from.
        options: Of the subscription; all handlers have the same acknowledgement policy, concurrency and cooldown.
        limits: A delivery that exceeds them is a dead letter without an attempt.
        failures: Decides what follows a failed attempt.
        delays: Waits between deliveries; a stop ends them.
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
        journal: InFlightJournal | None,
        observer: Observer | None,
    ) -> None:
        self._bindings, self._limits, self._failures, self._delays = bindings, limits, failures, delays
        self._journal, self._observer = journal, observer
        self._policy, self._cooldown = options.ack, options.cooldown
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

    def start(self) -> None:
        """Undo `stop`, before the first delivery."""
        self._delays.reset()

    def stop(self) -> None:
        """End the waits for further attempts; their deliveries are released and come again."""
        self._delays.stop()

    def observed(self, consume: Consume) -> Consume:
        """Return *consume*, extended so that the observer is notified of what happens to each delivery."""
        return observed_consume(consume, self.handlers[0].descriptor, self._observer)

    def dispatch(self, delivery: Delivery) -> Awaitable[None]:
        """Return the coroutine that handles one delivery and settles it."""
        if self._plain and not self._suspects:
            return self._handle(delivery, self._bindings[0])
        return self._dispatch(delivery)

    async def _dispatch(self, delivery: Delivery) -> None:
        if self._observer is not None:
            report_taken(delivery)
        binding = self._bindings[0] if len(self._bindings) == 1 else delivery.binding
        if self._policy is AckPolicy.BEFORE:
            delivery.ack()
        if self._journal is None or not self._suspects:
            await self._handle(delivery, binding)
        else:
            await self._handle_journaled(self._journal, delivery, binding)
        if self._cooldown:
            await self._delays.wait(self._cooldown)

    async def _handle_journaled(self, journal: InFlightJournal, delivery: Delivery, binding: Binding) -> None:
        self._suspects -= 1
        handler = self.handlers[0]
        max_crashes = handler.retry.max_crashes
        try:
            entry = await journal.enter(binding.queue or "", delivery, max_crashes)
        except PoisonMessageError as error:
            progress = DeliveryProgress(delivery, binding, self.handlers, manual=False)
            _settle(delivery, await self._failures.give_up(handler, progress, error, max_crashes))
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
        handlers, failures = self.handlers, self._failures
        progress = DeliveryProgress(delivery, binding, handlers, self._policy is AckPolicy.MANUAL)
        exceeded = self._limits.exceeded(progress.received)
        try:
            if exceeded:
                _settle(delivery, await failures.refuse(progress, exceeded))
                return
            for handler in handlers:
                if progress.finished and handler.name in progress.finished:
                    continue
                context = progress.context(handler)
                while (error := await handler.attempts.run(context)) is not None:
                    decision = await failures.handle(handler, progress, context, error)
                    if decision is not Decision.RETRY:
                        _settle(delivery, decision)
                        return
                    context = progress.context(handler, context.attempt + 1)
                if context.skipped:
                    handler.stats.skipped += 1
                    progress.skipped.add(handler.name)
                    continue
                headers = context.envelope.headers
                handler.stats.succeeded(headers.get(CE_ID, ""), headers.get(CE_TYPE) or handler.descriptor.event.name)
                if context.stopped:
                    break
                if len(handlers) > 1:
                    progress.finished.append(handler.name)
                    if delivery.stale:
                        delivery.release()
                        return
            if progress.settle is None:
                delivery.ack()
        except BaseException:  # cancelled by a stop, or the process ends: the event must come again
            delivery.release()
            raise


def _settle(delivery: Delivery, decision: Decision) -> None:
    if decision is Decision.ACK:
        delivery.ack()
    elif decision is Decision.RELEASE:
        delivery.release()
