"""One handler in the sequence that takes the deliveries of a queue; most queues have a sequence of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import time

from ...context import EventContext
from ...exceptions import RequirementError
from ...filters import Filter
from ...listener_descriptors import EventListenerDescriptor
from ...observer import Observer
from ...options import unmet_requirement
from ...ordering import Requirement
from ...pipeline import Next
from ...policies import Retry
from .attempts import Attempts
from .decoding import Invocation
from .invocation import HandlerFunction


@dataclass(slots=True)
class SubscriptionStats:
    """What a subscription has done since it was made.

    Attributes:
        count: Deliveries handled with success.
        failures: Attempts that failed.
        dead_letters: Deliveries given up and kept as dead letters.
        dropped: Deliveries given up and not kept: at most once, or ``Retry(dead_letter=False)``.
        skipped: Deliveries that its conditions did not want.
        abandoned: Handlers past their time limit that still run.
        handled: `count` by the name of the event.
        last_event_id: Id of the event handled last, with or without success; "" before the first.
        last_seconds: When that was, in seconds since the epoch; None before the first.
    """

    count: int = 0
    failures: int = 0
    dead_letters: int = 0
    dropped: int = 0
    skipped: int = 0
    abandoned: int = 0
    last_event_id: str = ""
    last_seconds: float | None = None
    #: Successes by the name of the event.
    handled: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Begin anew; handlers that still run past their limit stay counted."""
        self.count = self.failures = self.dead_letters = self.dropped = self.skipped = 0
        self.last_event_id, self.last_seconds = "", None
        self.handled.clear()

    def succeeded(self, event_id: str, event_name: str) -> None:
        """Count a success."""
        self.count += 1
        self.handled[event_name] += 1
        self.last_event_id, self.last_seconds = event_id, time()

    def note(self, event_id: str) -> None:
        """Remember that an event was handled just now."""
        self.last_event_id, self.last_seconds = event_id, time()

    @property
    def last_time(self) -> datetime | None:
        """When an event was handled last, in UTC; None before the first."""
        return None if self.last_seconds is None else datetime.fromtimestamp(self.last_seconds, timezone.utc)


class BoundHandler:
    """A handler with its policies and counters.

    Args:
        descriptor: The listener.
        handler: Its function.
        filter: Which events it wants; None: all.
        handling: Decodes, filters and calls it.
        chain: Interceptors, ending in `ChainEnd`.
        retry: What happens after a failure.
        pass_on: Sends the events that it returned.
        observer: Told of each attempt.
    """

    def __init__(
        self,
        descriptor: EventListenerDescriptor,
        handler: HandlerFunction,
        filter: Filter | None,  # noqa: A002
        handling: Invocation,
        chain: Next,
        retry: Retry,
        pass_on: Callable[[EventContext], Awaitable[None]],
        observer: Observer | None = None,
    ) -> None:
        self.descriptor, self.handler, self.filter = descriptor, handler, filter
        self.handling, self.retry = handling, retry
        self.stats = SubscriptionStats()
        self.attempts = Attempts(chain, retry.timeout, self._left_behind, pass_on, observer)
        #: Told of an event that was given up.
        self.given_up: Callable[[Exception], Awaitable[None]] | None = None

    @property
    def name(self) -> str:
        return self.descriptor.name

    def _left_behind(self, change: int) -> None:
        self.stats.abandoned += change


def check_requirements(step: BoundHandler, steps: tuple[BoundHandler, ...], skipped: set[str]) -> None:
    """Refuse to run *step*, which wants the event, where what it requires is not there or did not want it.

    Raises:
        RequirementError: names both.
    """
    for required in step.descriptor.requires:
        if required.optional:
            continue
        met = [one for one in steps if required.names(one.descriptor)]
        if not met:
            raise RequirementError(unmet_requirement(required, step.name))
        if all(one.name in skipped for one in met):
            raise RequirementError(incompatible(step.name, required))


def incompatible(who: str, required: Requirement) -> str:
    """Return the message for a requirement whose conditions do not want an event that the other one wants."""
    return (
        f"listener {who!r} requires {str(required)!r}, whose conditions do not want this event; make the "
        "conditions agree, or write Requirement(..., optional=True)"
    )
