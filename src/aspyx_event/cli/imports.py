"""Creates the environment of a module class, and refuses one with modules that could not be imported."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
from aspyx.di import Environment

from .output import CliError, note, one_line

Lenient = Annotated[
    bool,
    typer.Option("--lenient", help="Leave out modules that cannot be imported, instead of refusing the application."),
]
_FAILED_IMPORT = "failed to import module"


def make_environment(module_class: type, *, lenient: bool) -> Environment:
    """Create the environment of a module class; this imports all modules of its package.

    The container leaves out a module that cannot be imported and only logs it. Its listeners would be missing, so that
    their events stay unhandled, and their dead letters and contracts would not be seen.

    Args:
        module_class: Has the decorator ``@module``.
        lenient: Report these modules on stderr instead of raising.

    Raises:
        CliError: a module could not be imported; the message names each one with the reason.
    """
    failures: list[str] = []
    original = Environment.logger
    Environment.logger = _ImportRecorder(original, failures)  # type: ignore[assignment]  # all that it calls are log methods
    try:
        environment = Environment(module_class)
    finally:
        Environment.logger = original
    if failures and not lenient:
        raise CliError(f"{'; '.join(failures)}. Correct this, or leave the modules out with --lenient")
    for failure in failures:
        note(failure, "yellow")
    return environment


class _ImportRecorder(logging.LoggerAdapter):  # type: ignore[type-arg]  # not subscriptable on Python 3.10
    """The container's logger, which also records failed imports: whatever level the application has configured.

    Args:
        logger: The container's own logger.
        failures: Receives a description of each failed import.
    """

    def __init__(self, logger: logging.Logger, failures: list[str]) -> None:
        super().__init__(logger, {})
        self._failures = failures

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Record a failed import; log everything else."""
        error = sys.exc_info()[1]
        if not str(msg).startswith(_FAILED_IMPORT):
            super().info(msg, *args, **kwargs)
        elif args:
            reason = str(args[-1]) if error is None else one_line(error)
            self._failures.append(f"module {args[0]} cannot be imported: {reason}")
