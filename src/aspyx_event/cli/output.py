"""What the command line writes: one-line errors, logs, and text that no message can use to play with the terminal."""

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

#: Columns where no terminal tells how wide it is: wide enough for a line of `grep`.
_WIDE = 200
_LINE_LIMIT = 2_000
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
_FAILED_IMPORT = "failed to import module"


class CliError(Exception):
    """What the user of the command line has to know, in one line."""


class LogLevel(str, Enum):
    """Levels of ``--log-level``."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def console(*, stderr: bool = False) -> Console:
    """Return a console that writes what it is given, as wide as the terminal."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _WIDE
    return made


def show(content: RenderableType) -> None:
    """Write the output proper; where it is no terminal without the spaces that fill lines."""
    out = console()
    if out.is_terminal:
        out.print(content)
        return
    with out.capture() as captured:
        out.print(content)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def note(text: str, style: str = "") -> None:
    """Write a line beside the output proper."""
    console(stderr=True).print(Text(text, style), soft_wrap=True)


def printable(text: str, *, keep: str = "") -> str:
    """Return *text* with everything a terminal would obey, except the characters *keep*, written out."""
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line and without the user part of addresses."""
    said = printable(_USER_INFO.sub("", " ".join(str(error).split())))
    if isinstance(error, (EventException, CliError)) and said:
        return said[:_LINE_LIMIT]
    name = type(error).__name__
    return f"{name}: {said}"[:_LINE_LIMIT] if said else name


@contextmanager
def errors_in_one_line(*, debug: bool) -> Iterator[None]:
    """Turn errors into a line and exit code 1; with *debug* they keep their traceback."""
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
    """Send logs to stderr. An application that has set up its own keeps them; a *level* that is asked for wins."""
    root = logging.root
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.getLevelName((level or default).value.upper()))
    elif level is not None:
        root.setLevel(logging.getLevelName(level.value.upper()))
    container: logging.Logger = Environment.logger
    # The container tells at INFO only that a module is missing, and with it its listeners.
    container.setLevel(min(logging.INFO, root.level))
    container.addFilter(_ContainerFilter(root.level if root.level < logging.INFO else max(root.level, logging.WARNING)))


class _ContainerFilter(logging.Filter):
    """Makes a warning of a module that could not be imported.

    Args:
        level: What is below it is not written otherwise.
    """

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        if str(record.msg).startswith(_FAILED_IMPORT):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return record.levelno >= self._level
