"""Handlers that installed distributions offer under an entry-point group."""

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
from ...targets import ANY
from .discovery import DeclaredHandler, handlers_in, named_declarations

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

logger = logging.getLogger("aspyx.event")


def load_reactions(
    group: str, environment: Environment | None, take: Callable[[DeclaredHandler], Any], *, strict: bool
) -> list[Any]:
    """Load every entry of *group*, in the order of their names, and give what it holds to *take*.

    Args:
        group: Of entry points.
        environment: Builds the listener classes that it knows; others are built without arguments.
        take: Binds one; what it raises makes the entry a broken one.
        strict: False logs broken entries instead of raising.

    Returns:
        What *take* returned.

    Raises:
        EntryPointError: an entry cannot be loaded or bound, or holds no handler.
    """
    # Takes longer to import than the engine, and most programs have no use for it.
    from importlib.metadata import entry_points

    taken: list[Any] = []
    for entry in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        try:
            found = _reactions_of(entry, entry.load(), environment)
            taken += [take(reaction) for reaction in found]
        except Exception as error:
            where = f" of {entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
            text = f"entry point {entry.name!r} = {entry.value!r}{where} in group {group!r}: {error}"
            if strict:
                raise EntryPointError(text) from error
            logger.error("left out: %s", text, exc_info=error)
    return taken


def _reactions_of(entry: EntryPoint, found: Any, environment: Environment | None) -> list[DeclaredHandler]:
    if isinstance(found, ModuleType):
        own = [one for one in vars(found).values() if getattr(one, "__module__", None) == found.__name__]
        reactions = [reaction for one in own for reaction in _reactions_in(one, "", environment)]
    else:
        reactions = _reactions_in(found, entry.name, environment)
        if not reactions and inspect.isfunction(found):
            declaration = Declaration(ANY, SubscriptionOptions(name=entry.name))
            reactions = [DeclaredHandler.built(declaration, found, found)]
        elif not reactions and not isinstance(found, type):
            reactions = handlers_in([found])
    if not reactions:
        raise EntryPointError(
            "it holds no handler: offer a function, a class marked with @event_listener, or a module with such"
        )
    return reactions


def _reactions_in(one: Any, name: str, environment: Environment | None) -> list[DeclaredHandler]:
    """Return what *one* is marked with; nothing for what is no function and no class."""
    if inspect.isfunction(one):
        return [DeclaredHandler.built(each, one, one) for each in named_declarations(one, name or one.__name__)]
    if isinstance(one, type):
        resolve = partial(_built, one, environment)
        return [DeclaredHandler(each, one, resolve) for each in listener_declarations(one)]
    return []


def _built(cls: type, environment: Environment | None) -> Callable[..., Any]:
    known = environment is not None and cls in environment.providers
    return (environment.get(cls) if known and environment is not None else cls()).on  # type: ignore[no-any-return]
