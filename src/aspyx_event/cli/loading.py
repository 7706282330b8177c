"""From ``package.module:Class`` to an environment and its event manager."""

from __future__ import annotations

import importlib
import os
import re
import sys

import typer
from aspyx.di import Environment, module
from aspyx.reflection import Decorators

from ..manager import EventManager
from .output import CliError, one_line

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def check_target(text: str) -> str:
    """Return *text* if it has the form of a target; the callback of an argument.

    Raises:
        typer.BadParameter: it has not.
    """
    if not _TARGET.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not like shop.main:ShopModule (module, colon, class)")
    return text


def load(target: str) -> type:
    """Import the module class that *target* names; the working directory is searched first.

    Raises:
        CliError: there is no such module or class, it is none of the container's modules, or importing it fails.
    """
    here = os.getcwd()  # noqa: PTH109 - as sys.path wants it
    if here not in sys.path:
        sys.path.insert(0, here)
    name, _, attribute = target.partition(":")
    try:
        imported = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise CliError(f"there is no module {missing!r}, neither in {here} nor installed") from error
        raise CliError(f"cannot import {name}: {one_line(error)}") from error
    except Exception as error:
        raise CliError(f"cannot import {name}: {one_line(error)}") from error
    found = getattr(imported, attribute, None)
    if isinstance(found, type) and _is_module(found):
        return found
    own = [key for key, value in vars(imported).items() if _is_module(value) and value.__module__ == name]
    known = f"it has {', '.join(sorted(own))}" if own else "it has no such class"
    what = "there is no" if found is None else "not marked with @module() is"
    raise CliError(f"{name}: {what} {attribute!r}; {known}")


def manager_of(environment: Environment) -> EventManager:
    """Return the event manager of an environment.

    Raises:
        CliError: it has none.
    """
    if not environment.is_registered_type(EventManager):
        name = environment.type.__name__
        raise CliError(
            f"{name} has no EventManager; create it there: @create() def event_manager(self) -> EventManager"
        )
    manager: EventManager = environment.get(EventManager)
    return manager


def _is_module(value: object) -> bool:
    return isinstance(value, type) and bool(Decorators.has_decorator(value, module))
