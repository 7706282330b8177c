"""Loads the handlers that installed distributions offer under an entry-point group."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from aspyx.di import Environment

from ...exceptions import EntryPointError
from ...listener_descriptors import Declaration
from ...listeners import listener_declarations
from ...options import SubscriptionOptions
from ...safe_logger import SafeLogger
from ...targets import ANY
from .discovery import DeclaredHandler, handlers_in, named_declarations

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

logger = SafeLogger(logging.getLogger("aspyx.event"))


def load_handlers(
    group: str, environment: Environment | None, bind: Callable[[DeclaredHandler], Any], *, strict: bool
) -> list[Any]:
    """Load every entry of *group*, in the order of their names, and bind its handlers.

    Args:
        group: Name of the entry-point group.
        environment: Builds the listener classes that it knows; others are built without arguments.
        bind: Binds a handler; if it raises, the entry counts as broken.
        strict: False logs broken entries instead of raising.

    Returns:
        The results of *bind*.

    Raises:
        EntryPointError: an entry cannot be loaded or bound, or holds no handler.
    """
    # It takes longer to import than the engine, and most programs do not use it.
    from importlib.metadata import entry_points

    bound: list[Any] = []
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        try:
            bound += [bind(handler) for handler in _handlers_of(entry, entry.load(), environment)]
        except Exception as error:
            where = f" of {entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
            text = f"entry point {entry.name!r} = {entry.value!r}{where} in group {group!r}: {error}"
            if strict:
                raise EntryPointError(text) from error
            logger.error("left out: %s", text, exc_info=error)
    return bound


def _handlers_of(entry: EntryPoint, value: Any, environment: Environment | None) -> list[DeclaredHandler]:
    if isinstance(value, ModuleType):
        own = [item for item in vars(value).values() if getattr(item, "__module__", None) == value.__name__]
        handlers = [handler for item in own for handler in _handlers_in(item, "", environment)]
    else:
        handlers = _handlers_in(value, entry.name, environment)
        if not handlers and inspect.isfunction(value):
            declaration = Declaration(ANY, SubscriptionOptions(name=entry.name))
            handlers = [DeclaredHandler.built(declaration, value, value)]
        elif not handlers and not isinstance(value, type):
            handlers = handlers_in([value])
    if not handlers:
        raise EntryPointError(
            "it has no handler; offer a function, a class marked with @event_listener, or a module that has one"
        )
    return handlers


def _handlers_in(item: Any, name: str, environment: Environment | None) -> list[DeclaredHandler]:
    """Return the declared handlers of a function or class; an empty list for anything else."""
    if inspect.isfunction(item):
        declarations = named_declarations(item, name or item.__name__)
        return [DeclaredHandler.built(declaration, item, item) for declaration in declarations]
    if isinstance(item, type):
        resolve = partial(_build, item, environment)
        return [DeclaredHandler(declaration, item, resolve) for declaration in listener_declarations(item)]
    return []


def _build(cls: type, environment: Environment | None) -> Callable[..., Any]:
    known = environment is not None and cls in environment.providers
    return (environment.get(cls) if known and environment is not None else cls()).on  # type: ignore[no-any-return]
