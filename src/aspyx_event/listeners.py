"""What reacts to events: ``@event_listener``, ``@event_handler``, `EventListener` and their descriptors."""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from aspyx.di import ClassInstanceProvider, Providers, injectable
from aspyx.reflection import Decorators

from .context import EventContext
from .events import EventDescriptor
from .exceptions import DeclarationError, ListenerError
from .names import check_name
from .policies import AckPolicy, Retry

E = TypeVar("E")
C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
Target = "type | str"
_REGISTERED = "__aspyx_event_registered__"
_HANDLES = "__aspyx_event_handles__"


class EventListener(ABC, Generic[E]):
    """Base of listener classes: implement ``on(self, event)`` or ``on(self, event, context)``, sync or async.

    An async `on` runs on the manager's event loop. A sync one runs in a worker thread, with the context variables
    of the delivery, so it may block; `inline=True` of the decorator runs it on the loop instead.
    """

    def on(self, event: E, context: EventContext) -> Any:
        """React to *event*; returning acknowledges it, raising makes the attempt fail."""
        raise NotImplementedError


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
    """

    name: str = ""
    group: str = ""
    per_process: bool = False
    resumable: bool = False
    retry: Retry | None = None
    ack: AckPolicy = AckPolicy.AFTER
    concurrency: int = 1
    order_by: str | Callable[[Any], Any] | None = None
    prefetch: int | None = None
    inline: bool = False

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
        if self.name:
            check_name(self.name, "listener name")
        if self.group:
            check_name(self.group, "listener group")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventListenerDescriptor:
    """One event bound to one listener or handler: what a pipeline's `handle` is told.

    Attributes:
        type: The listener class, or the handler's function.
        event: Descriptor of the event.
        name: Name of the listener.
        options: All keywords of the declaration.
        qualified: The queue name carries the event name, because the plain one belongs to another event of the
            same listener class.
    """

    type: Any
    event: EventDescriptor
    name: str
    options: SubscriptionOptions
    qualified: bool = False

    @property
    def group(self) -> str:
        return self.options.group

    @property
    def per_process(self) -> bool:
        return self.options.per_process or self.event.broadcast


@dataclass(frozen=True, slots=True)
class Declaration:
    """One use of a decorator on a class, a function or a method."""

    target: Any
    options: SubscriptionOptions
    qualified: bool = False

    def describe(self, type_: Any, event: EventDescriptor) -> EventListenerDescriptor:
        return EventListenerDescriptor(
            type=type_, event=event, name=self.options.name, options=self.options, qualified=self.qualified
        )


def event_listener(
    event: type | str,
    name: str = "",
    group: str = "",
    per_process: bool = False,
    *,
    resumable: bool = False,
    retry: Retry | None = None,
    ack: AckPolicy = AckPolicy.AFTER,
    concurrency: int = 1,
    order_by: str | Callable[[Any], Any] | None = None,
    prefetch: int | None = None,
    inline: bool = False,
) -> Callable[[C], C]:
    """Declare a class to be an injectable listener of *event*; stack it for several events.

    The class is created by the container, once per environment, when the manager starts. ``@injectable`` may stand
    below this decorator or not at all. The keywords are those of `SubscriptionOptions`.

    Args:
        event: An event class, or the name of an event that another class of the environment declares.

    Raises:
        DeclarationError: no parentheses, no class, or impossible options.
        ListenerError: the class has no `on`.
    """
    options = SubscriptionOptions(
        name=name,
        group=group,
        per_process=per_process,
        resumable=resumable,
        retry=retry,
        ack=ack,
        concurrency=concurrency,
        order_by=order_by,
        prefetch=prefetch,
        inline=inline,
    )
    _check_target(event, "event_listener")

    def decorate(cls: C) -> C:
        if not isinstance(cls, type):
            raise DeclarationError(f"@event_listener decorates a class, not {cls!r}; use @event_handler for functions")
        _check_on(cls)
        # The decorator nearest the class comes first and keeps the plain queue name.
        stacked = any(found.decorator is event_listener for found in Decorators.get(cls))
        named = replace(options, name=options.name or cls.__name__)
        check_name(named.name, "listener name")
        Decorators.add(cls, event_listener, Declaration(event, named, qualified=stacked))
        register_injectable(cls, eager=False)
        return cls

    return decorate


def event_handler(
    target: type | str,
    name: str = "",
    group: str = "",
    per_process: bool = False,
    *,
    resumable: bool = False,
    retry: Retry | None = None,
    ack: AckPolicy = AckPolicy.AFTER,
    concurrency: int = 1,
    order_by: str | Callable[[Any], Any] | None = None,
    prefetch: int | None = None,
    inline: bool = False,
) -> Callable[[F], F]:
    """Declare a function, or a method of any injectable, to handle *target*. May be stacked.

    The keywords are those of `SubscriptionOptions`; "" as name takes the function's name, for a method
    ``<Class>.<method>``. A marked method is found by the environment of its class. A marked function belongs to
    whoever hands it over: ``EventManager(provider, listeners=[f])``.

    Raises:
        DeclarationError: no parentheses, not a function, or impossible options.
    """
    options = SubscriptionOptions(
        name=name,
        group=group,
        per_process=per_process,
        resumable=resumable,
        retry=retry,
        ack=ack,
        concurrency=concurrency,
        order_by=order_by,
        prefetch=prefetch,
        inline=inline,
    )
    _check_target(target, "event_handler")

    def decorate(function: F) -> F:
        if not inspect.isfunction(function):
            raise DeclarationError(f"@event_handler decorates a function or a method, not {function!r}")
        found = handler_declarations(function)
        declaration = Declaration(target, options, qualified=bool(found))
        setattr(function, _HANDLES, (*found, declaration))
        return function

    return decorate


def handler_declarations(function: Any) -> tuple[Declaration, ...]:
    """Return what ``@event_handler`` left on *function*, innermost first."""
    return getattr(function, _HANDLES, ())


def listener_declarations(cls: type) -> list[Declaration]:
    """Return what ``@event_listener`` left on exactly *cls*, innermost first."""
    return [found.args[0] for found in Decorators.get(cls) if found.decorator is event_listener]


class _DeclaredProvider(ClassInstanceProvider):  # type: ignore[misc]
    """Creates a listener or an interceptor; one that cannot be created is named when its environment is made."""

    __slots__ = ()

    def get_dependencies(self) -> tuple[list[Any], int]:
        needed, count = super().get_dependencies()
        for one in needed:
            if not _provided(one):
                raise ListenerError(
                    f"{self.type.__module__}.{self.type.__qualname__} cannot be built: its constructor needs {one}, "
                    "which nothing provides; declare it @injectable(), or @create() it in a module"
                )
        return needed, count


def _provided(needed: Any) -> bool:
    if needed in Providers.providers:
        return True
    # The container finds a bean by its base classes too.
    return isinstance(needed, type) and any(
        isinstance(one, type) and issubclass(one, needed) for one in Providers.providers
    )


def register_injectable(cls: type, *, eager: bool) -> None:
    """Make *cls* known to the container, unless ``@injectable`` below did so already."""
    if _REGISTERED not in cls.__dict__ and not Decorators.has_decorator(cls, injectable):
        Providers.register(_DeclaredProvider(cls, eager))
    setattr(cls, _REGISTERED, True)


def _check_target(target: object, decorator: str) -> None:
    if inspect.isfunction(target) or (isinstance(target, type) and hasattr(target, "on")):
        raise DeclarationError(f"write @{decorator}(EventClass) with the event in parentheses, not @{decorator}")
    if not isinstance(target, (type, str)):
        raise DeclarationError(f"@{decorator}({target!r}): the target is an event class or the name of an event")


def _check_on(cls: type) -> None:
    on = getattr(cls, "on", None)
    if on is None or on is EventListener.on:
        raise ListenerError(f"listener {cls.__qualname__} has no method on(self, event); define it, sync or async")
    if not callable(on):
        raise ListenerError(f"listener {cls.__qualname__}: `on` is {type(on).__name__}, not a method")
