"""The keywords that every way of subscribing shares: ``@event_listener``, ``@event_handler`` and `subscribe`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from .exceptions import DeclarationError
from .filters import HeaderCondition, Predicate, Want, conditions, header
from .names import check_name
from .ordering import Requirement, RequirementLike, requirements
from .policies import AckPolicy, Retry

OrderBy = str | Callable[[Any], Any] | None
Condition = Predicate | HeaderCondition
Selector = Mapping[str, str | Sequence[str]]
Requirements = RequirementLike | Sequence[RequirementLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionHooks:
    """What is told of one subscription's fate. Called on the manager's loop, sync or async; what a hook raises is logged.

    Attributes:
        on_connect: ``(subscription)``: its queue is attached, the first time and after each loss.
        on_disconnect: ``(subscription, reason)``: the connection was lost; once per loss.
        on_error: ``(subscription, error)``: an event was given up, after its last attempt.
    """

    on_connect: Callable[[Any], Any] | None = None
    on_disconnect: Callable[[Any, Exception], Any] | None = None
    on_error: Callable[[Any, Exception], Any] | None = None


class SubscriptionKeywords(TypedDict, total=False):
    """The keywords as types; `SubscriptionOptions` says what they mean."""

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
        name: Name of the listener, part of the queue name; "" takes the class or function name.
        group: Replaces the name in the queue name, so that different listeners compete for one queue.
        per_process: Every process gets every event, instead of the processes sharing them.
        resumable: Keep the queue while the listener is away although the event is not durable, or the listener is
            per process.
        retry: What happens when the handler fails; None takes the manager's default.
        ack: When a delivery is acknowledged.
        concurrency: Deliveries handled at once. 1 keeps the order of the queue.
        order_by: Field name (or function of the event) whose value keeps its order inside `concurrency`.
        prefetch: Deliveries the broker may hand over before the first is settled; None derives it from
            `concurrency`. A large one is fast, a small one shares better between processes.
        inline: Run a sync handler on the event loop instead of in a worker thread.
        when: Predicates on the event, and conditions on headers made by `header`, which all must hold. An event that
            is not wanted is acknowledged without being handled.
        selector: Header names with the value they must have, or several of which one: like `when=header(...)`, but
            the broker does it where the queue is this process's own, so that what does not fit never travels.
        subtypes: Take the events of the classes that derive from the target, too.
        requires: Handlers that must run before this one, for each event: their names, classes or functions.
        required_by: Handlers that must run after this one.
        cooldown: Seconds of rest after each event, for each of the `concurrency` workers.
        hooks: Told of the subscription's fate.
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
                "which could then never be reached"
            )
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise DeclarationError(f"{who}: retry={self.retry!r} is no policy; write Retry(attempts={self.retry!r})")
        if not isinstance(self.ack, AckPolicy):
            raise DeclarationError(f"{who}: ack={self.ack!r} is neither AckPolicy.AFTER nor AckPolicy.BEFORE")
        if self.order_by is not None and not (isinstance(self.order_by, str) or callable(self.order_by)):
            raise DeclarationError(f"{who}: order_by={self.order_by!r} is neither a field name nor a function")
        if not isinstance(self.cooldown, (int, float)) or self.cooldown < 0:
            raise DeclarationError(f"{who}: cooldown={self.cooldown!r} is no number of seconds >= 0")
        if self.hooks is not None and not isinstance(self.hooks, SubscriptionHooks):
            raise DeclarationError(f"{who}: hooks={self.hooks!r}; write hooks=SubscriptionHooks(...)")
        if self.name:
            check_name(self.name, "listener name")
        if self.group:
            check_name(self.group, "listener group")
        self._normalise(who)

    def _normalise(self, who: str) -> None:
        """Bring what may be written in several ways into one form. Again changes nothing."""
        if not isinstance(self.when, (Want, type(None))):
            object.__setattr__(self, "when", conditions(self.when))
        for keyword in ("requires", "required_by"):
            object.__setattr__(self, keyword, requirements(getattr(self, keyword), keyword) or None)
        if self.selector is None or isinstance(self.selector, tuple):
            return
        if not isinstance(self.selector, Mapping) or not self.selector:
            raise DeclarationError(f"{who}: selector={self.selector!r}: header names with the values they must have")
        fixed = tuple(header(name, value) for name, value in self.selector.items())
        if any(callable(one.expected) or one.expected is None for one in fixed):
            raise DeclarationError(f"{who}: selector={self.selector!r}: values are str; predicates are for when=")
        object.__setattr__(self, "selector", fixed)


#: The names of all keywords, for messages.
KEYWORDS = tuple(field.name for field in fields(SubscriptionOptions))


def make_options(
    where: str, name: str, group: str, per_process: bool, keywords: Mapping[str, Any]
) -> SubscriptionOptions:
    """Return the options of one declaration.

    Raises:
        DeclarationError: impossible ones.
        TypeError: a keyword that is not known.
    """
    unknown = [keyword for keyword in keywords if keyword not in KEYWORDS]
    if unknown:
        raise TypeError(f"{where} got an unexpected keyword argument {unknown[0]!r}; known: {', '.join(KEYWORDS)}")
    return SubscriptionOptions(name=name, group=group, per_process=per_process, **keywords)


def unmet_requirement(required: Requirement, who: str) -> str:
    """Return the message for a requirement that nobody meets."""
    return (
        f"listener {who!r} requires {str(required)!r}, which is no listener or handler of the same target here; "
        "declare it, or write Requirement(..., optional=True)"
    )
