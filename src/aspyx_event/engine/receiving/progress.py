"""One delivery on its way through the handlers of its queue, and what is known of the way so far."""

from __future__ import annotations

from functools import partial

from ...context import EventContext
from ...envelope import ATTEMPT
from ...providers.base import Binding, Delivery
from ...shared import Shared
from ..failure.republish import FAILED_HANDLER, finished_handlers
from .handlers import BoundHandler, check_requirements


class DeliveryProgress:
    """One delivery on its way through the handlers of its queue.

    Attributes:
        received: What came.
        settle: Given to the handler that settles itself.
        shared: What the handlers leave for each other; None where there is one alone.
        finished: Names of the handlers that are done with it, in earlier attempts or now.
        skipped: Names of those whose conditions do not want it.
    """

    __slots__ = ("binding", "delivery", "finished", "received", "settle", "shared", "skipped", "steps")

    def __init__(self, delivery: Delivery, binding: Binding, steps: tuple[BoundHandler, ...], manual: bool) -> None:
        self.delivery, self.received, self.binding, self.steps = delivery, delivery.received, binding, steps
        self.settle = (delivery.ack, delivery.release) if manual else None
        self.shared: Shared | None = None
        self.finished: list[str] = []
        self.skipped: set[str] = set()
        if len(steps) > 1:
            self.shared = Shared()
            self.finished = finished_handlers(self.received.headers)

    @property
    def kept(self) -> list[str]:
        """The finished handlers that a copy need not begin with again: none, once they left data for the others,
        which does not travel.
        """
        return [] if self.shared else self.finished

    def attempt_of(self, step: BoundHandler) -> int:
        """Return which attempt of this handler it is, by what the message states."""
        headers = self.received.headers
        stated = headers.get(ATTEMPT)
        if stated is None or (len(self.steps) > 1 and headers.get(FAILED_HANDLER) != step.name):
            return 1
        return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 6 else 1

    def context(self, step: BoundHandler, attempt: int = 0) -> EventContext:
        """Return the context of one attempt; 0 is the one that the message states."""
        # Interceptors change what they are given; each attempt and the dead letter start from what was received.
        context = EventContext(
            self.received.fork(),
            step.descriptor,
            attempt or self.attempt_of(step),
            self.delivery.redelivered,
            step.handling,
            self.settle,
        )
        if self.shared is not None:
            context.shared = self.shared
            context.guard = partial(check_requirements, step, self.steps, self.skipped)
        return context
