"""Describes errors of application code in text. Nothing here raises, whatever the error does when it is asked."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from .printable import printable

#: Placeholder for text that a value refused to give.
UNPRINTABLE = "<unprintable>"
#: Characters of a message beyond which it is cut.
MESSAGE_LIMIT = 1_000
#: Characters of a traceback, of which the last ones are kept.
TRACEBACK_LIMIT = 4_000
#: Characters up to which an error is handed to the application's loggers as it is.
_PRINTABLE_LIMIT = 65_536

# The getters of the classes themselves: subclasses may replace the attributes by properties that raise.
_NAME, _MODULE = type.__dict__["__qualname__"].__get__, type.__dict__["__module__"].__get__
_TRACEBACK = BaseException.__dict__["__traceback__"].__get__


def type_name(error: BaseException) -> str:
    """Return module and name of the class of *error*."""
    cls = type(error)
    return f"{_plain(_MODULE, cls)}.{_plain(_NAME, cls)}"


def short_type_name(error: BaseException) -> str:
    """Return the name of the class of *error*, without its module."""
    return _plain(_NAME, type(error))


def message_of(error: BaseException, limit: int = MESSAGE_LIMIT) -> str:
    """Return ``str(error)``, at most *limit* characters of it; a placeholder if that raises."""
    return _plain(str, error)[:limit]


def printable_message(error: BaseException) -> str:
    """Return the message in one printable line; "" if there is none."""
    return printable(message_of(error))


def error_text(error: BaseException) -> str:
    """Return class name and message in a single printable line, for logs and the health."""
    message = printable_message(error)
    return f"{short_type_name(error)}: {message}" if message else short_type_name(error)


def repr_of(value: object, limit: int = MESSAGE_LIMIT) -> str:
    """Return ``repr(value)``, at most *limit* characters of it; a placeholder with the class name if that raises."""
    text = _plain(repr, value)
    return f"<unprintable {_plain(_NAME, type(value))}>" if text is UNPRINTABLE else text[:limit]


def traceback_frames(error: BaseException) -> TracebackType | None:
    """Return ``error.__traceback__``, also where a subclass hides it."""
    frames: TracebackType | None = _TRACEBACK(error)
    return frames


def traceback_text(error: BaseException, frames: TracebackType | None, limit: int = TRACEBACK_LIMIT) -> str:
    """Return the traceback of *error* with its causes and notes, at most the last *limit* characters of it.

    Args:
        error: The error.
        frames: The frames to show, which may be fewer than the error has.
        limit: Characters.
    """
    import traceback  # it is slow to import, and programs whose handlers do not fail do not need it

    try:
        return _encodable("".join(traceback.format_exception(type(error), error, frames))[-limit:])
    except BaseException:  # noqa: BLE001  its causes, notes or message raise: the frames tell where it happened
        header = "Traceback (most recent call last):\n"
    try:
        lines = "".join(traceback.format_tb(frames))
    except BaseException:  # noqa: BLE001  source files of the application are read for it
        lines = f"  {UNPRINTABLE}\n"
    return _encodable(f"{header}{lines}{type_name(error)}: {message_of(error)}\n"[-limit:])


def is_printable(error: BaseException) -> bool:
    """True if loggers can format *error* with its causes and write the text, and the text is not huge."""
    import traceback

    try:
        shown = traceback.TracebackException(type(error), error, None, limit=1)
        text = "".join(shown.format())
        text.encode()  # a lone surrogate cannot be written to a file
        return len(text) <= _PRINTABLE_LIMIT and type(str(error)) is str and isinstance(error, BaseException)
    except BaseException:  # noqa: BLE001
        return False


def _plain(describe: Any, value: object) -> str:
    """Return the result of *describe* as an exact `str` that can be encoded; `UNPRINTABLE` if that fails."""
    try:
        text = describe(value)
        # Of a subclass of str, whose methods may do anything.
        return _encodable(str.__str__(text))
    except BaseException:  # noqa: BLE001  a description is never worth more than what it describes
        return UNPRINTABLE


def _encodable(text: str) -> str:
    """Return *text* with lone surrogates escaped: they cannot be written to a header or a log file."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
