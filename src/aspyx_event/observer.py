"""The observer interface: called at each stage of sending and receiving events.

Without an observer the engine only checks that there is none. All methods are called on the manager's event loop, in the
context (``contextvars``) of the observed work. They must not block. Errors that they raise are logged and have no other
effect.
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
#: Called once at the end of a stage, with the error or with None, in the same context.
OnEnd = Callable[["BaseException | None"], None]


class Settlement(Enum):
    """The outcome of a delivery."""

    #: Removed from the queue: handled, or not wanted.
    ACKNOWLEDGED = "acknowledge"
    #: Returned to the queue: it is redelivered.
    RELEASED = "release"
    #: A copy for a later attempt was stored.
    RETRY = "retry"
    #: A dead letter was stored.
    DEAD_LETTER = "dead-letter"
    #: Discarded without a dead letter after its last attempt.
    DROPPED = "drop"


class SubscriptionView(Protocol):
    """The part of a subscription that observers may read, from any thread."""

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
    """Base class of observers. All methods do nothing; override those of interest."""

    def for_manager(self, provider: Provider, subscriptions: Iterable[SubscriptionView]) -> Observer:  # noqa: ARG002
        """Return the observer for a manager: itself, unless it has state per manager.

        Args:
            provider: The manager's provider.
            subscriptions: The manager's subscriptions; each iteration returns the current ones.
        """
        return self

    def started(self) -> None:
        """The manager has started."""

    def stopped(self) -> None:
        """The manager has stopped."""

    def created(self, envelope: Envelope, event: EventDescriptor) -> None:
        """An event is about to pass the interceptors. Headers may be added."""

    def sending(self, message: Outgoing, event: EventDescriptor) -> OnEnd | None:
        """An event is passed to the provider. Headers may be added. The stage ends with the confirmation."""

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:
        """A worker takes a delivery.

        Args:
            envelope: The received envelope.
            listener: The listener that gets it.
            arrived: The time when the provider delivered it, in nanoseconds since the epoch.
        """

    def handling(self, context: EventContext) -> OnEnd | None:
        """An attempt begins: interceptors and handler. The stage ends with their error, if any."""

    def retrying(self, context: EventContext, error: Exception, delay: float) -> None:
        """An attempt failed; the next attempt follows *delay* seconds later."""

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> OnEnd | None:
        """A delivery is about to be settled. The stage includes storing a dead letter or a copy."""

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:
        """A dead letter or a copy for a retry was refused by the provider; storing it is retried."""

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> OnEnd | None:
        """A dead letter is sent back to the subscription it failed in."""


class Observers(Observer):
    """Combines several observers. An error of an observer is logged and affects neither events nor other observers."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def started(self) -> None:
        self._notify("started")

    def stopped(self) -> None:
        self._notify("stopped")

    def created(self, envelope: Envelope, event: EventDescriptor) -> None:
        self._notify("created", envelope, event)

    def sending(self, message: Outgoing, event: EventDescriptor) -> OnEnd | None:
        return self._start_stage("sending", message, event)

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:
        self._notify("received", envelope, listener, arrived)

    def handling(self, context: EventContext) -> OnEnd | None:
        return self._start_stage("handling", context)

    def retrying(self, context: EventContext, error: Exception, delay: float) -> None:
        self._notify("retrying", context, error, delay)

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> OnEnd | None:
        return self._start_stage("settling", envelope, listener, settlement)

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:
        self._notify("not_stored", envelope, listener, error)

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> OnEnd | None:
        return self._start_stage("replaying", envelope, listener, letter_id)

    def _notify(self, stage: str, *arguments: Any) -> None:
        for observer in self._observers:
            try:
                getattr(observer, stage)(*arguments)
            except BaseException as error:  # an observer must not affect events
                if ends_program(error):
                    raise
                logger.exception("observer %s failed at %s", type(observer).__name__, stage)

    def _start_stage(self, stage: str, *arguments: Any) -> OnEnd | None:
        callbacks: list[tuple[Observer, OnEnd]] = []
        for observer in self._observers:
            try:
                on_end = getattr(observer, stage)(*arguments)
            except BaseException as error:
                if ends_program(error):
                    raise
                logger.exception("observer %s failed at %s", type(observer).__name__, stage)
            else:
                if on_end is not None:
                    callbacks.append((observer, on_end))
        return partial(_end_stage, stage, callbacks) if callbacks else None


def _end_stage(stage: str, callbacks: list[tuple[Observer, OnEnd]], error: BaseException | None) -> None:
    # In reverse order, as nested context managers end.
    for observer, on_end in reversed(callbacks):
        try:
            on_end(error)
        except BaseException as failure:
            if ends_program(failure):
                raise
            logger.exception("observer %s failed at the end of %s", type(observer).__name__, stage)


def observer_for(
    observers: Iterable[Observer], provider: Provider, subscriptions: Iterable[SubscriptionView]
) -> Observer | None:
    """Return an observer that combines *observers*; None without any, so that observing costs nothing."""
    of_manager = [observer.for_manager(provider, subscriptions) for observer in observers]
    return Observers(of_manager) if of_manager else None
