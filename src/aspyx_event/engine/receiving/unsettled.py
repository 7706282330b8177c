"""Deliveries that cannot be settled at the moment: they are released after a growing pause, and shown in the health."""

from __future__ import annotations

import logging
from time import monotonic

from ...error_text import error_text
from ...log_fields import log_fields
from ...providers.base import Delivery
from ...safe_logger import SafeLogger
from .delays import StoppableDelay

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Seconds before the first release of an event and before the copy of it is published again; it doubles each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
#: Events whose releases are counted.
_MAX_COUNTED = 1_000


class UnsettledDeliveries:
    """Why the deliveries of a consumer cannot be settled. Runs on the manager's loop.

    Args:
        delays: Times the pauses; a stop ends them.
        name: Name of the listener, for log records.
    """

    def __init__(self, delays: StoppableDelay, name: str) -> None:
        self._delays, self._name = delays, name
        #: How often each event was released, by its id.
        self.releases: dict[str, int] = {}
        self._error, self._last_release = "", 0.0
        #: Deliveries whose copy the provider refuses, with the reason.
        self._refused: dict[Delivery, str] = {}

    @property
    def reason(self) -> str:
        """Why a delivery is not settled now; "" if there is no such delivery."""
        if self._refused:
            return next(iter(self._refused.values()))
        # Another process may have handled the event, so a release counts for a while only.
        recent = bool(self.releases) and monotonic() - self._last_release < 2 * LONGEST_PAUSE
        return self._error if recent else ""

    async def release(self, delivery: Delivery, error: BaseException) -> None:
        """Release a delivery that an unforeseen error left unsettled, after a pause.

        The pause grows with each release of the same event: without it, the broker would deliver the event again at
        once, and so without end.
        """
        event_id = delivery.received.id
        count = self.releases.get(event_id, 0)
        if len(self.releases) >= _MAX_COUNTED:
            self.releases.clear()
        self.releases[event_id] = count + 1
        self._error, self._last_release = error_text(error), monotonic()
        pause = min(FIRST_PAUSE * 2 ** min(count, 16), LONGEST_PAUSE)
        logger.error(
            "listener %r: a delivery was neither handled nor settled: %s; it is delivered again after %.1f s",
            self._name,
            self._error,
            pause,
            exc_info=error,
            extra=log_fields(delivery.received, self._name),
        )
        try:
            await self._delays.wait(pause)
        finally:
            delivery.release()

    def settled(self, delivery: Delivery) -> None:
        """Forget a delivery that was settled in order."""
        if self.releases:
            self.releases.pop(delivery.received.id, None)

    def refused(self, delivery: Delivery, reason: str) -> None:
        """Note that a copy of a delivery, which must be stored before it is settled, was refused."""
        self._refused[delivery] = reason

    def stored(self, delivery: Delivery) -> None:
        """Forget the refusals of a copy."""
        self._refused.pop(delivery, None)
