"""Declarations of listeners: ``@event_listener``, ``@event_handler`` and the base class `EventListener`."""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from aspyx.di import ClassInstanceProvider, Providers, injectable
from aspyx.reflection import Decorators
from typing_extensions import Unpack

from .annotations import check_listener_class
from .exceptions import DeclarationError, ListenerError
from .listener_descriptors import Declaration
from .names import check_name
from .options import SubscriptionKeywords, make_options
from .targets import SingleTarget, Target, check_target, classes_in

E = TypeVar("E")
C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
_REGISTERED = "__aspyx_event_registered__"
_HANDLES = "__aspyx_event_handles__"


class EventListener(ABC, Generic[E]):
    """Base of listener classes: implement ``on(self, event)`` or ``on(self, event, context)``, sync or async.

    An async `on` runs on the manager's event loop. A sync `on` runs in a worker thread, with the context variables of the
    delivery, so it may block; with `inline=True` in the decorator it runs on the loop.
    """

    def on(self, event: E, /, *arguments: Any, **keywords: Any) -> Any:
        """Handle *event*. Returning acknowledges it; raising fails the attempt."""
        raise NotImplementedError


def event_listener(
    event: Target,
    name: str = "",
    group: str = "",
    per_process: bool = False,
    **keywords: Unpack[SubscriptionKeywords],
) -> Callable[[C], C]:
    """Declare a class as an injectable listener of *event*. May be stacked for several events.

    The class is created by the container, once per environment, when the manager starts. ``@injectable`` below this
    decorator is allowed, and not needed. The keywords are those of `SubscriptionOptions`.

    Args:
        event: An event class, the name of an event, a pattern (``"shop.*"``, ``"shop.#"``), `ANY`, a `Topic`, or a
            tuple of these, which then share the listener's workers.

    Raises:
        DeclarationError: there are no parentheses, it decorates no class, or an option is invalid.
        ListenerError: the class has no `on`, or is an ``EventListener`` of another event.
    """
    options = make_options("@event_listener", name, group, per_process, keywords)
    _check_parentheses(event, "event_listener")
    check_target(event, "@event_listener")

    def decorate(cls: C) -> C:
        if not isinstance(cls, type):
            raise DeclarationError(f"@event_listener decorates a class, not {cls!r}; use @event_handler for functions")
        _check_on(cls)
        if not keywords.get("subtypes"):
            check_listener_class(cls, classes_in(event))
        # The decorator nearest the class comes first and keeps the plain queue name.
        stacked = any(entry.decorator is event_listener for entry in Decorators.get(cls))
        named = replace(options, name=options.name or cls.__name__)
        check_name(named.name, "listener name")
        Decorators.add(cls, event_listener, Declaration(event, named, qualified=stacked))
        register_injectable(cls, eager=False)
        return cls

    return decorate


def event_handler(
    *targets: SingleTarget,
    name: str = "",
    group: str = "",
    per_process: bool = False,
    **keywords: Unpack[SubscriptionKeywords],
) -> Callable[[F], F]:
    """Declare a function, or a method of any injectable, as a handler of one or more *targets*. May be stacked.

    The keywords are those of `SubscriptionOptions`; the name defaults to the function's name, for a method to
    ``<Class>.<method>``. The environment of its class finds a decorated method. A decorated function must be passed to a
    manager: ``EventManager(provider, listeners=[f])``.

    Raises:
        DeclarationError: there are no parentheses, it decorates no function, or an option is invalid.
    """
    options = make_options("@event_handler", name, group, per_process, keywords)
    for single in targets:
        _check_parentheses(single, "event_handler")
    check_target(targets, "@event_handler")
    target: Target = targets[0] if len(targets) == 1 else targets

    def decorate(function: F) -> F:
        if not inspect.isfunction(function):
            raise DeclarationError(f"@event_handler decorates a function or a method, not {function!r}")
        earlier = handler_declarations(function)
        declaration = Declaration(target, options, qualified=bool(earlier))
        setattr(function, _HANDLES, (*earlier, declaration))
        return function

    return decorate


def handler_declarations(function: Any) -> tuple[Declaration, ...]:
    """Return the ``@event_handler`` declarations of *function*, innermost first."""
    return getattr(function, _HANDLES, ())


def listener_declarations(cls: type) -> list[Declaration]:
    """Return the ``@event_listener`` declarations of *cls* itself, without its bases, innermost first."""
    return [entry.args[0] for entry in Decorators.get(cls) if entry.decorator is event_listener]


class _DeclaredProvider(ClassInstanceProvider):
    """Creates a listener or an interceptor. Its environment reports a missing dependency when it is created."""

    __slots__ = ()

    def get_dependencies(self) -> tuple[list[Any], int]:
        dependencies, count = super().get_dependencies()
        for dependency in dependencies:
            if not _provided(dependency):
                raise ListenerError(
                    f"{self.type.__module__}.{self.type.__qualname__} cannot be built: its constructor needs {dependency}, "
                    "which nothing provides; declare it @injectable(), or @create() it in a module"
                )
        return dependencies, count


def _provided(dependency: Any) -> bool:
    if dependency in Providers.providers:
        return True
    # The container also finds a bean by its base classes.
    return isinstance(dependency, type) and any(
        isinstance(cls, type) and issubclass(cls, dependency) for cls in Providers.providers
    )


def register_injectable(cls: type, *, eager: bool) -> None:
    """Register *cls* with the container, unless ``@injectable`` has done it."""
    if _REGISTERED not in cls.__dict__ and not Decorators.has_decorator(cls, injectable):
        Providers.register(_DeclaredProvider(cls, eager))
    setattr(cls, _REGISTERED, True)


def _check_parentheses(target: object, decorator: str) -> None:
    if inspect.isfunction(target) or (isinstance(target, type) and hasattr(target, "on")):
        raise DeclarationError(f"write @{decorator}(EventClass) with the event in parentheses, not @{decorator}")


def _check_on(cls: type) -> None:
    on = getattr(cls, "on", None)
    if on is None or on is EventListener.on:
        raise ListenerError(f"listener {cls.__qualname__} has no method on(self, event); define it, sync or async")
    if not callable(on):
        raise ListenerError(f"listener {cls.__qualname__}: `on` is {type(on).__name__}, not a method")
