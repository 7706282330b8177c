"""Output of the command line: single-line errors, logs, and text without control characters for the terminal."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import typer
from aspyx.di import Environment
from rich.console import Console, RenderableType
from rich.text import Text

from ..exceptions import EventException
from ..printable import printable

#: Columns if there is no terminal, wide enough to `grep` complete rows.
_WIDE = 200
_LINE_LIMIT = 2_000
#: What no command sees, because it does not start the application.
NOT_SEARCHED = "subscriptions that the application makes after its start, for example in @on_running, are not seen here"
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


class CliError(Exception):
    """An error for the user of the command line; the message is a single line."""


class LogLevel(str, Enum):
    """Levels of ``--log-level``."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal that writes text unchanged: no markup, emoji or highlighting."""
    plain = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not plain.is_terminal:
        plain.width = _WIDE
    return plain


def show(content: RenderableType) -> None:
    """Write to stdout; without trailing spaces if it is not a terminal."""
    out = console()
    if out.is_terminal:
        out.print(content)
        return
    with out.capture() as captured:
        out.print(content)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def note(text: str, style: str = "") -> None:
    """Write a line to stderr."""
    console(stderr=True).print(Text(text, style), soft_wrap=True)


def one_line(error: BaseException) -> str:
    """Return the message of an error as a single line, without the user part of URLs."""
    message = printable(_USER_INFO.sub("", " ".join(str(error).split())))
    if isinstance(error, (EventException, CliError)) and message:
        return message[:_LINE_LIMIT]
    name = type(error).__name__
    return f"{name}: {message}"[:_LINE_LIMIT] if message else name


@contextmanager
def errors_in_one_line(*, debug: bool) -> Iterator[None]:
    """Turn an exception into a line on stderr and exit code 1; with *debug*, let it pass with its traceback."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        line = Text("error: ", "bold red").append(one_line(error), "not bold default")
        console(stderr=True).print(line, soft_wrap=True)
        raise typer.Exit(1) from None


def set_up_logs(level: LogLevel | None, default: LogLevel) -> None:
    """Send logs to stderr. An application's own logging setup is kept, but *level* overrides its level."""
    root = logging.root
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.getLevelName((level or default).value.upper()))
    elif level is not None:
        root.setLevel(logging.getLevelName(level.value.upper()))
    container: logging.Logger = Environment.logger
    container.addFilter(_LevelFilter(root.level if root.level < logging.INFO else max(root.level, logging.WARNING)))


class _LevelFilter(logging.Filter):
    """Drops records below a level: at INFO, the container reports each of its own steps.

    Args:
        level: Records below it are dropped.
    """

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        return record.levelno >= self._level
