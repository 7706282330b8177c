"""Deliveries that notify an observer when a worker takes them and when they are settled."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...envelope import Envelope
from ...exceptions import StateError
from ...listener_descriptors import EventListenerDescriptor
from ...observer import Observer, OnEnd, Settlement
from ...providers.base import Consume, Delivery


class ObservedDelivery(Delivery):
    """Decorates a delivery: the observer is notified when a worker takes it, and of its settlement.

    Args:
        delivery: The delivery of the provider, which settles.
        listener: The listener that gets it; the first of several.
        observer: The observer.
    """

    __slots__ = ("_announced", "_arrived", "_delivery", "_finish", "_listener", "_observer", "_settled", "_taken")

    def __init__(self, delivery: Delivery, listener: EventListenerDescriptor, observer: Observer) -> None:
        self.redelivered = delivery.redelivered
        self._delivery, self._listener, self._observer = delivery, listener, observer
        self._arrived = time.time_ns()
        #: A settlement other than a plain `ack` was reported; `_finish` ends it.
        self._announced = False
        self._taken = self._settled = False
        self._finish: OnEnd | None = None

    @property
    def envelope(self) -> Envelope:  # type: ignore[override]
        return self._delivery.envelope

    @property
    def received(self) -> Envelope:
        return self._delivery.received

    @property
    def stale(self) -> bool:
        return self._delivery.stale

    @property
    def oversized(self) -> str:
        return self._delivery.oversized

    def take(self) -> None:
        """Report that a worker takes it."""
        self._taken = True
        self._observer.received(self.received, self._listener, self._arrived)

    def announce(self, settlement: Settlement, listener: EventListenerDescriptor) -> None:
        """Report that the next `ack` has another meaning. A copy is stored first: `ack` ends the announced settlement."""
        if not self._announced:
            self._announced = True
            self._finish = self._observer.settling(self.received, listener, settlement)

    def drop(self, listener: EventListenerDescriptor) -> None:
        """Report that the event was given up after its acknowledgement."""
        _end(self._observer.settling(self.received, listener, Settlement.DROPPED), None)

    def ack(self) -> None:
        self._settle(self._delivery.ack, Settlement.ACKNOWLEDGED)

    def release(self) -> None:
        finish, self._finish, self._announced = self._finish, None, False
        _end(finish, StateError("the manager was stopped before the copy was stored"))
        self._settle(self._delivery.release, Settlement.RELEASED)

    def _settle(self, settle: Callable[[], None], settlement: Settlement) -> None:
        # A delivery that no worker took returns to its queue without having been reported as received.
        if self._settled or not self._taken:
            settle()
            return
        self._settled = True
        finish, self._finish = self._finish, None
        if not self._announced:  # `finish` alone does not tell: an observer may return None
            finish = self._observer.settling(self.received, self._listener, settlement)
        try:
            settle()
        except BaseException as error:
            _end(finish, error)
            raise
        _end(finish, None)


def observed_consume(consume: Consume, listener: EventListenerDescriptor, observer: Observer | None) -> Consume:
    """Return a function that passes observed deliveries to *consume*; *consume* itself without an observer."""
    if observer is None:
        return consume
    return lambda delivery: consume(ObservedDelivery(delivery, listener, observer))


# The provider port knows nothing of observers, so `Delivery` has no methods for them. These functions hide the difference.
def report_taken(delivery: Delivery) -> None:
    """Report that a worker takes *delivery*, if it is observed."""
    if isinstance(delivery, ObservedDelivery):
        delivery.take()


def report_settling(delivery: Delivery, settlement: Settlement, listener: EventListenerDescriptor) -> None:
    """Report the settlement that the next `ack` of *delivery* stands for, if it is observed."""
    if isinstance(delivery, ObservedDelivery):
        delivery.announce(settlement, listener)


def report_dropped(delivery: Delivery, listener: EventListenerDescriptor) -> None:
    """Report that the event of *delivery* was given up after its acknowledgement, if it is observed."""
    if isinstance(delivery, ObservedDelivery):
        delivery.drop(listener)


def _end(finish: OnEnd | None, error: BaseException | None) -> None:
    if finish is not None:
        finish(error)
