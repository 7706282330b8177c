"""The port to whatever watches: what an observer is told of events on their way out and in.

The engine calls an observer at each stage; without one it asks nothing but whether there is one. All methods are called
on the manager's event loop, in the context (``contextvars``) of the work they are told of. They must not block. What they
raise is logged and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, Protocol

from .context import EventContext
from .envelope import Envelope
from .events import EventDescriptor
from .interrupts import ends_program
from .listener_descriptors import EventListenerDescriptor
from .providers.base import Outgoing, Provider
from .safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Ends what a stage began: called once, with the error or with None, in the same context.
Finish = Callable[["BaseException | None"], None]


class Settlement(Enum):
    """What becomes of a delivery."""

    #: Done with.
    ACKNOWLEDGED = "acknowledge"
    #: Handed back: it comes again.
    RELEASED = "release"
    #: A copy that comes later was stored.
    RETRY = "retry"
    #: A dead letter was stored.
    DEAD_LETTER = "dead-letter"
    #: Given up without a dead letter.
    DROPPED = "drop"


class SubscriptionView(Protocol):
    """What an observer sees of a subscription, from any thread."""

    @property
    def name(self) -> str: ...

    @property
    def group(self) -> str: ...

    @property
    def event_name(self) -> str: ...

    @property
    def attached(self) -> bool: ...

    @property
    def load(self) -> tuple[int, int, float]: ...

    @property
    def stats(self) -> Any: ...


class Observer:
    """Told of everything that happens to events. Does nothing itself: override what is of interest."""

    def for_manager(self, provider: Provider, subscriptions: Iterable[SubscriptionView]) -> Observer:  # noqa: ARG002
        """Return the observer of one manager; itself, unless it keeps something for each.

        Args:
            provider: Of the manager.
            subscriptions: Gives those it has at the moment, at each iteration.
        """
        return self

    def started(self) -> None:
        """The manager is started."""

    def stopped(self) -> None:
        """The manager is stopped."""

    def created(self, envelope: Envelope, event: EventDescriptor) -> None:
        """An event is about to go through the interceptors. Headers may be added."""

    def sending(self, message: Outgoing, event: EventDescriptor) -> Finish | None:
        """An event is handed to the provider. Headers may be added. It ends with the confirmation."""

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:
        """A worker takes a delivery.

        Args:
            envelope: As it was received.
            listener: Who gets it.
            arrived: When the provider handed it over, in nanoseconds since the epoch.
        """

    def handling(self, context: EventContext) -> Finish | None:
        """An attempt begins: interceptors, and the handler. It ends with what they raised."""

    def retrying(self, context: EventContext, error: Exception, delay: float) -> None:
        """An attempt failed and will be followed by another one, *delay* seconds later."""

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> Finish | None:
        """A delivery is settled; what must be stored for that is stored meanwhile."""

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:
        """A dead letter or a copy for a retry was refused by the provider; it is tried again."""

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> Finish | None:
        """A dead letter is sent back to the subscription it failed in."""


class Observers(Observer):
    """Several observers as one. What one of them raises is logged, so that watching never harms what is watched."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def started(self) -> None:
        self._tell("started")

    def stopped(self) -> None:
        self._tell("stopped")

    def created(self, envelope: Envelope, event: EventDescriptor) -> None:
        self._tell("created", envelope, event)

    def sending(self, message: Outgoing, event: EventDescriptor) -> Finish | None:
        return self._begin("sending", message, event)

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:
        self._tell("received", envelope, listener, arrived)

    def handling(self, context: EventContext) -> Finish | None:
        return self._begin("handling", context)

    def retrying(self, context: EventContext, error: Exception, delay: float) -> None:
        self._tell("retrying", context, error, delay)

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> Finish | None:
        return self._begin("settling", envelope, listener, settlement)

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:
        self._tell("not_stored", envelope, listener, error)

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> Finish | None:
        return self._begin("replaying", envelope, listener, letter_id)

    def _tell(self, stage: str, *arguments: Any) -> None:
        for observer in self._observers:
            try:
                getattr(observer, stage)(*arguments)
            except BaseException as error:  # an observer may only observe
                if ends_program(error):
                    raise
                logger.exception("observer %s failed at %s", type(observer).__name__, stage)

    def _begin(self, stage: str, *arguments: Any) -> Finish | None:
        begun: list[tuple[Observer, Finish]] = []
        for observer in self._observers:
            try:
                finish = getattr(observer, stage)(*arguments)
            except BaseException as error:
                if ends_program(error):
                    raise
                logger.exception("observer %s failed at %s", type(observer).__name__, stage)
            else:
                if finish is not None:
                    begun.append((observer, finish))
        return partial(_end, stage, begun) if begun else None


def _end(stage: str, begun: list[tuple[Observer, Finish]], error: BaseException | None) -> None:
    # The last one first: what they put around each other comes off in that order.
    for observer, finish in reversed(begun):
        try:
            finish(error)
        except BaseException as failure:
            if ends_program(failure):
                raise
            logger.exception("observer %s failed at the end of %s", type(observer).__name__, stage)


def observer_for(
    observers: Iterable[Observer], provider: Provider, subscriptions: Iterable[SubscriptionView]
) -> Observer | None:
    """Return what a manager tells; None for nobody, so that it costs nothing."""
    found = [observer.for_manager(provider, subscriptions) for observer in observers]
    return Observers(found) if found else None
