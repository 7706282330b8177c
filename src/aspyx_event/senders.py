"""``@sends``: which events a class or a function sends, for documents. Listeners tell what they take, nothing else what is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .events import is_event
from .exceptions import DeclarationError

T = TypeVar("T")
_SENDS = "__aspyx_event_sends__"


def sends(*events: type) -> Callable[[T], T]:
    """Tell which events a listener, a handler, a service or a module sends. Changes nothing but the documents.

    Stands over a class that the container provides, or over a function marked with ``@event_handler``.

    Args:
        events: Event classes.

    Raises:
        DeclarationError: none is given, one is no event class, or it decorates neither a class nor a function.
    """
    wrong = [one for one in events if not is_event(one)]
    if wrong or not events:
        shown = ", ".join(getattr(one, "__qualname__", repr(one)) for one in wrong)
        raise DeclarationError(f"@sends({shown}): give event classes, declared with @event()")

    def decorate(target: T) -> T:
        if not isinstance(target, type) and not inspect.isfunction(target):
            raise DeclarationError(f"@sends decorates a class or a function, not {target!r}")
        setattr(target, _SENDS, (*sent_by(target), *(one for one in events if one not in sent_by(target))))
        return target

    return decorate


def sent_by(target: Any) -> tuple[type, ...]:
    """Return what ``@sends`` left on exactly this class or function."""
    return cast("tuple[type, ...]", getattr(target, "__dict__", {}).get(_SENDS, ()))
