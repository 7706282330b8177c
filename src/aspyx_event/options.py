"""The options of subscriptions, shared by ``@event_listener``, ``@event_handler`` and `subscribe`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from .exceptions import DeclarationError
from .filters import HeaderCondition, Predicate, Want, header, want_from_conditions
from .names import check_name
from .ordering import Requirement, RequirementLike, requirements
from .policies import AckPolicy, Retry

OrderBy = str | Callable[[Any], Any] | None
Condition = Predicate | HeaderCondition
Selector = Mapping[str, str | Sequence[str]]
Requirements = RequirementLike | Sequence[RequirementLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionHooks:
    """Callbacks for a subscription's connection and failures, sync or async. Called on the manager's loop; errors are logged.

    Attributes:
        on_connect: ``(subscription)``: its queue was attached, initially and after each loss of the connection.
        on_disconnect: ``(subscription, reason)``: the connection was lost.
        on_error: ``(subscription, error)``: an event failed for good, after its last attempt.
    """

    on_connect: Callable[[Any], Any] | None = None
    on_disconnect: Callable[[Any, Exception], Any] | None = None
    on_error: Callable[[Any, Exception], Any] | None = None


class SubscriptionKeywords(TypedDict, total=False):
    """The types of the keywords; their meaning is documented at `SubscriptionOptions`."""

    resumable: bool
    retry: Retry | None
    ack: AckPolicy
    concurrency: int
    order_by: OrderBy
    prefetch: int | None
    inline: bool
    when: Condition | Sequence[Condition] | None
    selector: Selector | None
    subtypes: bool
    requires: Requirements | None
    required_by: Requirements | None
    cooldown: float
    hooks: SubscriptionHooks | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionOptions:
    """The keywords that `event_listener`, `event_handler` and `EventManager.subscribe` share.

    Attributes:
        name: Name of the listener, part of the queue name; "" uses the class or function name.
        group: Replaces the name in the queue name, so that different listeners compete for one queue.
        per_process: Every process gets every event; otherwise the processes share the events.
        resumable: Keep the queue while the listener is away, even if the event is not durable or the listener is per
            process.
        retry: What happens when the handler fails; None uses the manager's default.
        ack: When a delivery is acknowledged.
        concurrency: Deliveries handled at once. 1 keeps the order of the queue.
        order_by: Field name (or function of the event) whose equal values keep their order despite `concurrency`.
        prefetch: Deliveries that the broker may send before the first is settled; None derives it from
            `concurrency`. A large value is faster, a small value balances better between processes.
        inline: Run a sync handler on the event loop instead of in a worker thread.
        when: Predicates on the event, and conditions on headers made by `header`, which all must hold. An event that
            is not wanted is acknowledged without being handled.
        selector: Header names, each with the required value or a list of alternatives: like `when=header(...)`, but for a
            queue that belongs to this process alone, the broker filters, so other events are not transferred.
        subtypes: Also consume the events of the classes that derive from the target.
        requires: Handlers that must run before this one, for each event: their names, classes or functions.
        required_by: Handlers that must run after this one.
        cooldown: Seconds of pause after each event, for each of the `concurrency` workers.
        hooks: Callbacks for connection and failures.
    """

    name: str = ""
    group: str = ""
    per_process: bool = False
    resumable: bool = False
    retry: Retry | None = None
    ack: AckPolicy = AckPolicy.AFTER
    concurrency: int = 1
    order_by: OrderBy = None
    prefetch: int | None = None
    inline: bool = False
    when: Any = None
    selector: Any = None
    subtypes: bool = False
    requires: Any = None
    required_by: Any = None
    cooldown: float = 0.0
    hooks: SubscriptionHooks | None = None

    def __post_init__(self) -> None:
        who = f"listener {self.name!r}"
        if not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise DeclarationError(f"{who}: concurrency={self.concurrency} must be at least 1, a whole number")
        if self.prefetch is not None and (not isinstance(self.prefetch, int) or self.prefetch < self.concurrency):
            raise DeclarationError(
                f"{who}: prefetch={self.prefetch} is less than concurrency={self.concurrency}, "
                "which then could never be reached"
            )
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise DeclarationError(f"{who}: retry={self.retry!r} is not a policy; write Retry(attempts={self.retry!r})")
        if not isinstance(self.ack, AckPolicy):
            raise DeclarationError(f"{who}: ack={self.ack!r} is neither AckPolicy.AFTER nor AckPolicy.BEFORE")
        if self.order_by is not None and not (isinstance(self.order_by, str) or callable(self.order_by)):
            raise DeclarationError(f"{who}: order_by={self.order_by!r} is neither a field name nor a function")
        if not isinstance(self.cooldown, (int, float)) or self.cooldown < 0:
            raise DeclarationError(f"{who}: cooldown={self.cooldown!r} is not a number of seconds >= 0")
        if self.hooks is not None and not isinstance(self.hooks, SubscriptionHooks):
            raise DeclarationError(f"{who}: hooks={self.hooks!r}; write hooks=SubscriptionHooks(...)")
        if self.name:
            check_name(self.name, "listener name")
        if self.group:
            check_name(self.group, "listener group")
        self._normalise(who)

    def _normalise(self, who: str) -> None:
        """Convert values that may be written in several ways to a single form. Idempotent."""
        if not isinstance(self.when, (Want, type(None))):
            object.__setattr__(self, "when", want_from_conditions(self.when))
        for keyword in ("requires", "required_by"):
            object.__setattr__(self, keyword, requirements(getattr(self, keyword), keyword) or None)
        if self.selector is None or isinstance(self.selector, tuple):
            return
        if not isinstance(self.selector, Mapping) or not self.selector:
            raise DeclarationError(f"{who}: selector={self.selector!r}: header names with the values they must have")
        conditions = tuple(header(name, value) for name, value in self.selector.items())
        if any(callable(condition.expected) or condition.expected is None for condition in conditions):
            raise DeclarationError(f"{who}: selector={self.selector!r}: values are str; predicates are for when=")
        object.__setattr__(self, "selector", conditions)


#: The names of all keywords, for error messages.
KEYWORDS = tuple(field.name for field in fields(SubscriptionOptions))


def make_options(
    where: str, name: str, group: str, per_process: bool, keywords: Mapping[str, Any]
) -> SubscriptionOptions:
    """Return the options of a declaration.

    Raises:
        DeclarationError: an option is invalid.
        TypeError: a keyword is unknown.
    """
    unknown = [keyword for keyword in keywords if keyword not in KEYWORDS]
    if unknown:
        raise TypeError(f"{where} got an unexpected keyword argument {unknown[0]!r}; known: {', '.join(KEYWORDS)}")
    return SubscriptionOptions(name=name, group=group, per_process=per_process, **keywords)


def unmet_requirement(required: Requirement, name: str, event: str, elsewhere: str = "") -> str:
    """Return the message for a requirement that no handler meets.

    Args:
        required: The requirement.
        name: Name of the listener that has it.
        event: Name of its event.
        elsewhere: The event that the required handler handles instead; "" if it handles none.
    """
    where = f" (it handles {elsewhere!r})" if elsewhere else ""
    return (
        f"event {event!r}: listener {name!r} requires {str(required)!r}, which is not a listener or handler of the same "
        f"target here{where}; declare or subscribe it for that target, or write Requirement(..., optional=True)"
    )
