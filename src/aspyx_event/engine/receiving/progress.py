"""One delivery on its way through the handlers of its queue."""

from __future__ import annotations

from functools import partial

from ...context import EventContext
from ...envelope import ATTEMPT, Envelope, whole_number
from ...providers.base import Binding, Delivery
from ...shared import Shared
from ..failure.republish import FAILED_HANDLER, finished_handlers
from .handlers import BoundHandler, check_requirements


class DeliveryProgress:
    """One delivery on its way through the handlers of its queue.

    Attributes:
        received: The envelope as it was received.
        settle: Passed to a handler that settles its deliveries itself: ack and release. None for the others.
        shared: Data that the handlers share; None for a single handler.
        finished: Names of the handlers that have handled the event, in earlier attempts or in the current attempt.
        skipped: Names of the handlers whose conditions excluded the event.
        failed: Names of the handlers that were not called, or whose error an interceptor kept back.
        latest: The context of the latest attempt.
        listener: The name of its handler; "" before the first attempt.
        attempt: Its number.
    """

    __slots__ = (
        "attempt",
        "binding",
        "delivery",
        "failed",
        "finished",
        "handlers",
        "latest",
        "listener",
        "received",
        "settle",
        "shared",
        "skipped",
    )

    def __init__(self, delivery: Delivery, binding: Binding, handlers: tuple[BoundHandler, ...], manual: bool) -> None:
        self.delivery, self.received, self.binding, self.handlers = delivery, delivery.received, binding, handlers
        self.settle = (delivery.ack, delivery.release) if manual else None
        self.shared: Shared | None = None
        self.latest: EventContext
        self.listener, self.attempt = "", 1
        self.finished: list[str] = []
        self.skipped, self.failed = set[str](), set[str]()
        if len(handlers) > 1:
            self.shared = Shared()
            self.finished = finished_handlers(self.received.headers)

    @property
    def finished_for_copy(self) -> list[str]:
        """The finished handlers that a copy does not run again: none once they shared data, which is not sent along."""
        return [] if self.shared else self.finished

    def attempt_of(self, handler: BoundHandler) -> int:
        """Return the number of the attempt that the message states for this handler, 1 if it states none."""
        headers = self.received.headers
        stated = headers.get(ATTEMPT)
        if stated is None or (len(self.handlers) > 1 and headers.get(FAILED_HANDLER) != handler.name):
            return 1
        return whole_number(stated) or 1

    def context(self, handler: BoundHandler, attempt: int = 0) -> EventContext:
        """Return the context of an attempt; 0 takes the number that the message states."""
        # Interceptors change the envelope; each attempt and the dead letter start from the received envelope.
        self.listener = handler.name
        self.attempt = attempt = attempt or self.attempt_of(handler)
        context = EventContext(
            self.received.fork(),
            handler.descriptor,
            attempt,
            self.delivery.redelivered,
            handler.invocation,
            self.settle,
        )
        self.latest = context
        if self.shared is not None:
            context.shared = self.shared
        if self.shared is not None or handler.has_requirements:
            context.guard = partial(check_requirements, handler, self.handlers, self.skipped, self.failed)
        return context

    def intact_context(self, handler: BoundHandler) -> EventContext:
        """Return the context of the latest attempt; a new context if the handler has overwritten what identifies it."""
        context = self.latest
        if isinstance(context.envelope, Envelope) and context.listener is handler.descriptor:
            return context
        settled = context.settled
        context = self.context(handler, self.attempt)
        context.settled = settled
        return context
