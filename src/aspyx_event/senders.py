"""``@sends``: documents the events that a class or a function sends, which nothing else declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .events import is_event
from .exceptions import DeclarationError

T = TypeVar("T")
_SENDS = "__aspyx_event_sends__"


def sends(*events: type) -> Callable[[T], T]:
    """Document the events that a listener, a handler, a service or a module sends. Has no other effect.

    Decorates a class that the container provides, or a function with ``@event_handler``.

    Args:
        events: Event classes.

    Raises:
        DeclarationError: there is no event class, an argument is not an event class, or it decorates neither a class nor a
            function.
    """
    invalid = [argument for argument in events if not is_event(argument)]
    if invalid or not events:
        shown = ", ".join(getattr(argument, "__qualname__", repr(argument)) for argument in invalid)
        raise DeclarationError(f"@sends({shown}): give event classes, declared with @event()")

    def decorate(target: T) -> T:
        if not isinstance(target, type) and not inspect.isfunction(target):
            raise DeclarationError(f"@sends decorates a class or a function, not {target!r}")
        setattr(target, _SENDS, tuple(dict.fromkeys((*sent_by(target), *events))))
        return target

    return decorate


def sent_by(target: Any) -> tuple[type, ...]:
    """Return the event classes of ``@sends`` on this class or function itself, without bases."""
    return cast("tuple[type, ...]", getattr(target, "__dict__", {}).get(_SENDS, ()))
