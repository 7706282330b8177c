"""Deliveries that tell an observer when a worker takes them and how they are settled."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...envelope import Envelope
from ...exceptions import StateError
from ...listener_descriptors import EventListenerDescriptor
from ...observer import Finish, Observer, Settlement
from ...providers.base import Consume, Delivery


class ObservedDelivery(Delivery):
    """A delivery that tells an observer when it is taken by a worker, and what becomes of it then.

    Args:
        delivery: Does the work.
        listener: Who gets it; the first of several.
        observer: Whom to tell.
    """

    __slots__ = ("_arrived", "_begun", "_delivery", "_finish", "_listener", "_observer", "_settled", "_taken")

    def __init__(self, delivery: Delivery, listener: EventListenerDescriptor, observer: Observer) -> None:
        self.redelivered = delivery.redelivered
        self._delivery, self._listener, self._observer = delivery, listener, observer
        self._arrived = time.time_ns()
        self._taken = self._settled = self._begun = False
        self._finish: Finish | None = None

    @property
    def envelope(self) -> Envelope:  # type: ignore[override]
        return self._delivery.envelope

    @property
    def received(self) -> Envelope:
        return self._delivery.received

    def take(self) -> None:
        """A worker begins with it."""
        self._taken = True
        self._observer.received(self.received, self._listener, self._arrived)

    def begin(self, settlement: Settlement, listener: EventListenerDescriptor) -> None:
        """It is about to be settled in another way than by a plain `ack`, which ends what begins here."""
        if not self._begun:
            self._begun = True
            self._finish = self._observer.settling(self.received, listener, settlement)

    def dropped(self, listener: EventListenerDescriptor) -> None:
        """It was given up after it had been settled."""
        _end(self._observer.settling(self.received, listener, Settlement.DROPPED), None)

    def ack(self) -> None:
        self._settle(self._delivery.ack, Settlement.ACKNOWLEDGED)

    def release(self) -> None:
        finish, self._finish, self._begun = self._finish, None, False
        _end(finish, StateError("the manager was stopped before the copy was stored"))
        self._settle(self._delivery.release, Settlement.RELEASED)

    def _settle(self, settle: Callable[[], None], settlement: Settlement) -> None:
        # What no worker took goes back to its queue without ever having been received.
        if self._settled or not self._taken:
            settle()
            return
        self._settled = True
        finish, self._finish = self._finish, None
        if not self._begun:  # told already, though an observer may want no word of the end
            finish = self._observer.settling(self.received, self._listener, settlement)
        try:
            settle()
        except BaseException as error:
            _end(finish, error)
            raise
        _end(finish, None)


def observed_consume(consume: Consume, listener: EventListenerDescriptor, observer: Observer | None) -> Consume:
    """Return what takes deliveries to *consume*; itself without an observer."""
    if observer is None:
        return consume
    return lambda delivery: consume(ObservedDelivery(delivery, listener, observer))


def _end(finish: Finish | None, error: BaseException | None) -> None:
    if finish is not None:
        finish(error)
