"""Loads the module class that ``package.module:Class`` names, and finds the event manager of its environment."""

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
    """Return *text* if it has the form of a target. Callback of an argument.

    Raises:
        typer.BadParameter: *text* has another form.
    """
    if not _TARGET.fullmatch(text):
        raise typer.BadParameter(f"{text!r} does not have the form shop.main:ShopModule (module, colon, class)")
    return text


def load(target: str) -> type:
    """Import the module class that *target* names. The working directory is searched first.

    Raises:
        CliError: the module or the class does not exist, the class has no @module(), or the import fails.
    """
    directory = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if directory not in sys.path:
        sys.path.insert(0, directory)
    name, _, attribute = target.partition(":")
    try:
        imported = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise CliError(f"there is no module {missing!r}, neither in {directory} nor installed") from error
        raise CliError(f"cannot import {name}: {one_line(error)}") from error
    except Exception as error:
        raise CliError(f"cannot import {name}: {one_line(error)}") from error
    target_class = getattr(imported, attribute, None)
    if isinstance(target_class, type) and _is_module(target_class):
        return target_class
    modules = [key for key, value in vars(imported).items() if _is_module(value) and value.__module__ == name]
    known = f"module classes there: {', '.join(sorted(modules)) or 'none'}"
    problem = f"there is no {attribute!r}" if target_class is None else f"{attribute!r} has no @module()"
    raise CliError(f"{name}: {problem}; {known}")


def manager_of(environment: Environment) -> EventManager:
    """Return the event manager of an environment.

    Raises:
        CliError: the environment has no event manager.
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
