"""`BoundHandler`: a handler bound to a queue, with its policies and counters. Most queues have a single handler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Container
from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import time

from ...context import EventContext
from ...exceptions import RequirementError
from ...filters import Filter
from ...listener_descriptors import EventListenerDescriptor
from ...observer import Observer
from ...options import unmet_requirement
from ...ordering import Requirement, runs_before
from ...pipeline import Next
from ...policies import Retry
from .attempts import Attempts
from .handler_function import HandlerFunction
from .invocation import Invocation


@dataclass(slots=True)
class SubscriptionStats:
    """Counters of a subscription since it was created.

    Attributes:
        count: Deliveries handled successfully.
        failures: Failed attempts.
        dead_letters: Deliveries given up and stored as dead letters.
        dropped: Deliveries given up and not stored: at most once, or ``Retry(dead_letter=False)``.
        skipped: Deliveries that its conditions excluded.
        abandoned: Handlers that exceeded their time limit and still run.
        handled: `count` by event name.
        last_event_id: Id of the event handled last, successfully or not; "" before the first.
        last_seconds: Time of that event, in seconds since the epoch; None before the first.
    """

    count: int = 0
    failures: int = 0
    dead_letters: int = 0
    dropped: int = 0
    skipped: int = 0
    abandoned: int = 0
    last_event_id: str = ""
    last_seconds: float | None = None
    handled: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Reset all counters but `abandoned`, because those handlers still run."""
        self.count = self.failures = self.dead_letters = self.dropped = self.skipped = 0
        self.last_event_id, self.last_seconds = "", None
        self.handled.clear()

    def succeeded(self, event_id: str, event_name: str) -> None:
        """Count an event that was handled successfully."""
        self.count += 1
        self.handled[event_name] += 1
        self.last_event_id, self.last_seconds = event_id, time()

    def note(self, event_id: str) -> None:
        """Record that an event was handled now."""
        self.last_event_id, self.last_seconds = event_id, time()

    @property
    def last_time(self) -> datetime | None:
        """Time of the event handled last, in UTC; None before the first."""
        return None if self.last_seconds is None else datetime.fromtimestamp(self.last_seconds, timezone.utc)


class BoundHandler:
    """A handler with its policies and counters.

    Args:
        descriptor: The listener.
        function: The handler's function.
        filter: The conditions on events; None for none.
        invocation: Decodes, filters and calls the function.
        chain: Interceptors, ending in `ChainEnd`.
        retry: What follows a failure.
        publish_results: Sends the events that the function returned.
        observer: Notified of each attempt.
    """

    def __init__(
        self,
        descriptor: EventListenerDescriptor,
        function: HandlerFunction,
        filter: Filter | None,  # noqa: A002
        invocation: Invocation,
        chain: Next,
        retry: Retry,
        publish_results: Callable[[EventContext], Awaitable[None]],
        observer: Observer | None = None,
    ) -> None:
        self.descriptor, self.function, self.filter = descriptor, function, filter
        self.name, self.has_requirements = descriptor.name, bool(descriptor.requires)
        self.invocation, self.retry = invocation, retry
        self.stats = SubscriptionStats()
        self.attempts = Attempts(chain, retry.timeout, self._count_abandoned, publish_results, observer)
        #: Called with the error when an event is given up; set by the binder.
        self.on_give_up: Callable[[Exception], Awaitable[None]] | None = None

    def _count_abandoned(self, change: int) -> None:
        self.stats.abandoned += change


def check_requirements(
    handler: BoundHandler, handlers: tuple[BoundHandler, ...], skipped: Container[str], failed: Collection[str] = ()
) -> None:
    """Check that the handlers which must run before *handler* exist and have handled the event.

    Args:
        handler: About to be called.
        handlers: All handlers of the chain.
        skipped: Names of the handlers whose conditions excluded the event.
        failed: Names of the handlers that did not complete although their conditions accept the event.

    Raises:
        RequirementError: one is missing, was skipped or did not complete; the message names both handlers.
    """
    if failed:
        check_failed(handler, handlers, failed)
    name, event = handler.name, handler.descriptor.event.name
    for requirement in handler.descriptor.requires:
        if requirement.optional:
            continue
        required = [other for other in handlers if requirement.names(other.descriptor)]
        if not required:
            raise RequirementError(unmet_requirement(requirement, name, event))
        if all(other.name in skipped for other in required):
            raise RequirementError(_conflicting_conditions(name, event, requirement))


def check_failed(handler: BoundHandler, handlers: tuple[BoundHandler, ...], failed: Container[str]) -> None:
    """Check that no handler which must run before *handler* has failed; see `check_requirements`.

    Raises:
        RequirementError: names both.
    """
    for other in handlers:
        if other.name in failed and runs_before(other.descriptor, handler.descriptor):
            raise RequirementError(
                f"event {handler.descriptor.event.name!r}: listener {handler.name!r} runs after {other.name!r}, which did not "
                "complete for this event: it failed, or an interceptor did not call it or kept its error back"
            )


def _conflicting_conditions(name: str, event: str, requirement: Requirement) -> str:
    return (
        f"event {event!r}: listener {name!r} requires {str(requirement)!r}, whose conditions exclude this event; make the "
        "conditions agree, or write Requirement(..., optional=True)"
    )
