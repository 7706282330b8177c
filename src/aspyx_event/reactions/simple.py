"""Handlers that print, log, or call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, TextIO

from ..exceptions import DeclarationError


def stdout(stream: TextIO | None = None) -> Callable[[Any], None]:
    """Return a handler that prints each event.

    Args:
        stream: Output stream; None uses `sys.stdout` as it is at the time of the event.
    """

    def stdout(event: Any) -> None:
        (stream or sys.stdout).write(f"{event}\n")

    return stdout


def log_event(logger: logging.Logger, level: int = logging.INFO) -> Callable[[Any], None]:
    """Return a handler that logs each event.

    Raises:
        DeclarationError: *logger* is not a logger, or *level* is not a number.
    """
    if not isinstance(logger, logging.Logger) or not isinstance(level, int):
        raise DeclarationError(f"log_event({logger!r}, {level!r}): give a logger, and a level as a number")

    def log_event(event: Any) -> None:
        logger.log(level, "%s", event)

    return log_event


def call(target: Any, method: str, *arguments: Any, **keywords: Any) -> Callable[[Any], Any]:
    """Return a handler that calls a method of an object with fixed arguments, without the event.

    The method is looked up for each event. It may be async. Its result is dropped, not sent as an event.

    Raises:
        DeclarationError: *target* has no such method.
    """
    if not isinstance(method, str) or not callable(getattr(target, method, None)):
        raise DeclarationError(f"call({target!r}, {method!r}): there is no method with this name")

    async def call(_event: Any) -> None:
        result = getattr(target, method)(*arguments, **keywords)
        if hasattr(result, "__await__"):
            await result

    return call
