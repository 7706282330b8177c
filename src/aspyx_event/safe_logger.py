"""`SafeLogger`: logs without raising, whatever the application's logging and the logged values do."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, cast

from .error_text import is_printable, message_of, repr_of, traceback_frames, traceback_text
from .interrupts import ends_program

#: What `exc_info=` takes: the current error for True, an error, or an error with the frames to show.
ErrorInfo = bool | BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | None
#: Types whose values format themselves without running code of the application.
_PLAIN = frozenset({str, int, float, bool, type(None)})
#: The frames between a caller and the standard library's logger.
_STACK_LEVEL = 3


class SafeLogger:
    """A logger of the standard library that never raises: logging must not change what is logged.

    The filters, handlers and formatters of the application run inside a logging call, and so do ``__str__`` and
    ``__repr__`` of what is logged. A record that fails is dropped. Ctrl-C still ends the program.

    Args:
        logger: Writes the records.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def log(self, level: int, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._write(level, message, arguments, None, extra)

    def debug(self, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._write(logging.DEBUG, message, arguments, None, extra)

    def info(self, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._write(logging.INFO, message, arguments, None, extra)

    def warning(
        self,
        message: str,
        *arguments: object,
        exc_info: ErrorInfo = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self._write(logging.WARNING, message, arguments, exc_info, extra)

    def error(
        self,
        message: str,
        *arguments: object,
        exc_info: ErrorInfo = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self._write(logging.ERROR, message, arguments, exc_info, extra)

    def exception(
        self,
        message: str,
        *arguments: object,
        exc_info: ErrorInfo = True,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self._write(logging.ERROR, message, arguments, exc_info, extra)

    def _write(
        self,
        level: int,
        message: str,
        arguments: tuple[object, ...],
        exc_info: ErrorInfo,
        extra: Mapping[str, object] | None,
    ) -> None:
        try:
            if not self._logger.isEnabledFor(level):
                return
            shown = tuple(value if type(value) in _PLAIN else _Argument(value) for value in arguments)
            error, frames = _error_of(exc_info)
            info: Any = None
            if error is not None and is_printable(error):
                info = (type(error), error, frames)
            elif error is not None:
                message, shown = f"{message}\n%s", (*shown, traceback_text(error, frames))
            self._logger.log(level, message, *shown, exc_info=info, extra=extra, stacklevel=_STACK_LEVEL)
        except BaseException as failure:
            if ends_program(failure):
                raise
            if extra and issubclass(type(failure), KeyError):
                # A record factory of the application has set an attribute of the same name; no handler has seen it yet.
                self._write(level, message, arguments, exc_info, None)


class _Argument:
    """An argument of a log message that is formatted when the record is written, and never raises."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        value = self._value
        if issubclass(type(value), BaseException):
            return message_of(value)  # type: ignore[arg-type]
        try:
            return str.__str__(str(value))
        except BaseException:  # noqa: BLE001
            return repr_of(value)

    def __repr__(self) -> str:
        return repr_of(self._value)


def _error_of(exc_info: ErrorInfo) -> tuple[BaseException | None, TracebackType | None]:
    """Return an error and the frames to show; None where nothing is to be shown."""
    if exc_info is True:
        error = sys.exc_info()[1]
        return error, None if error is None else traceback_frames(error)
    if exc_info is None or exc_info is False:
        return None, None
    if type(exc_info) is tuple:  # not isinstance, which asks an error for its class
        return exc_info[1], exc_info[2]
    error = cast("BaseException", exc_info)
    return error, traceback_frames(error)
