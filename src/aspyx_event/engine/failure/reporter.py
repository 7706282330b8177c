"""`FailureReporter`: passes an error to the application's exception manager, or logs it once."""

from __future__ import annotations

import concurrent.futures
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ...context import EventContext, _current
from ...error_text import error_text, repr_of, short_type_name, traceback_frames
from ...futures import run_isolated
from ...interrupts import ends_program
from ...log_fields import log_fields
from ...printable import printable
from ...safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))
_OWN_FRAMES = (str(Path(__file__).parents[1]), concurrent.futures.__path__[0])


class ExceptionManager(Protocol):
    """The methods of `aspyx.exception.ExceptionManager` that are used."""

    def get_handlers(self, clazz: type, /) -> Any: ...

    def handle(self, exception: BaseException, /) -> Any: ...


class FailureReporter:
    """Reports errors that nothing else handles, each once. Runs on the manager's loop.

    Args:
        exception_manager: Gets the errors for which it has a handler; the others are logged.
    """

    def __init__(self, exception_manager: ExceptionManager | None = None) -> None:
        self._exception_manager = exception_manager

    def has_handler(self, error: BaseException) -> bool:
        """True if the exception manager has a handler for the class of *error* or one of its bases."""
        return self._exception_manager is not None and self._exception_manager.get_handlers(type(error)) is not None

    async def report(
        self, error: BaseException, subject: str, context: EventContext | None = None, event_id: str = ""
    ) -> None:
        """Pass *error* to the most specific handler of the exception manager, or log it with its traceback.

        While the handler runs, `current_context()` is *context*, and the error carries a note that names event and
        listener. Whatever the exception manager raises is logged and has no other effect.

        Args:
            error: The error.
            subject: The subject of the sentence that is logged: "listener 'billing'".
            context: The failed delivery; None if it was none.
            event_id: Id of the event whose send failed; "" if it was none.
        """
        text = f"{_describe(subject, context)}: {error_text(error)}"
        extra = (
            {"event_id": printable(event_id)}
            if context is None
            else log_fields(context.envelope, context.listener.name)
        )
        manager = self._exception_manager
        failure: BaseException | None = None
        if manager is not None:
            try:
                if self.has_handler(error):
                    _add_note(error, _describe(subject, context))
                    failure = await _handle(manager, error, context)
                    if failure is None:
                        return
            except Exception as refusal:  # noqa: BLE001  logged below
                failure = refusal
        if failure is not None:
            text = f"{text}; an exception handler for {short_type_name(error)} failed itself"
            error = failure
        frames = user_frames(traceback_frames(error))
        logger.error("%s", text, exc_info=(type(error), error, frames), extra=extra)


async def _handle(
    manager: ExceptionManager, error: BaseException, context: EventContext | None
) -> BaseException | None:
    """Let the exception manager handle *error*; return what it raises."""
    token = _current.set(context)
    try:
        return await run_isolated(lambda: manager.handle(error))
    finally:
        _current.reset(token)


def user_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame of the application on, without the leading frames of this package and of
    the thread pool. The whole traceback if no frame is the application's.
    """
    frames = trace
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN_FRAMES):
        frames = frames.tb_next
    return frames or trace


def _describe(subject: str, context: EventContext | None) -> str:
    if context is None:
        return f"{subject} failed"
    return (
        f"{subject} failed on event {context.listener.event.name!r} "
        f"(id {printable(context.event_id) or 'unknown'}, attempt {context.attempt})"
    )


def _add_note(error: BaseException, text: str) -> None:
    # `add_note` exists since Python 3.11; the attribute that it fills works before.
    try:
        notes = getattr(error, "__notes__", [])
        if text not in notes:
            error.__notes__ = [*notes, text]  # type: ignore[attr-defined,unused-ignore]
    except BaseException as refusal:
        if ends_program(refusal):
            raise
        logger.debug("an error takes no note: %s", repr_of(error))
