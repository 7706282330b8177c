"""Where an error goes that nobody else takes: to the exception manager, or once to the log."""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ...context import EventContext, _current
from ...log_fields import log_fields

logger = logging.getLogger("aspyx.event")
_OWN_FRAMES = (str(Path(__file__).parents[1]), concurrent.futures.__path__[0])


class ExceptionHandling(Protocol):
    """The part of `aspyx.exception.ExceptionManager` that is used."""

    def get_handlers(self, clazz: type, /) -> Any: ...

    def handle(self, exception: BaseException, /) -> Any: ...


class FailureReporter:
    """Reports errors on the manager's loop. An error has one report.

    Args:
        exception_manager: Gets every error for which it has a handler; the others are logged.
    """

    def __init__(self, exception_manager: ExceptionHandling | None = None) -> None:
        self._exception_manager = exception_manager

    def knows(self, error: BaseException) -> bool:
        """True if the exception manager has a handler for the error's class or one of its bases."""
        return self._exception_manager is not None and self._exception_manager.get_handlers(type(error)) is not None

    async def report(
        self, error: BaseException, what: str, context: EventContext | None = None, event_id: str = ""
    ) -> None:
        """Hand *error* to the most specific handler of the exception manager, or log it with its traceback.

        While the handler runs, `current_context()` is *context*, and the error carries a note naming event and
        listener.

        Args:
            error: What happened.
            what: What failed, as the subject of a sentence: "listener 'billing'".
            context: The delivery that failed, if it was one.
            event_id: Of the event whose send failed, if it was that.
        """
        text = _describe(what, context)
        extra = {"event_id": event_id} if context is None else log_fields(context.envelope, context.listener.name)
        error.__traceback__ = users_part(error.__traceback__)
        if self._exception_manager is None or not self.knows(error):
            logger.error("%s: %s: %s", text, type(error).__name__, error, exc_info=error, extra=extra)
            return
        _add_note(error, text)
        token = _current.set(context)
        try:
            answer = self._exception_manager.handle(error)
            if inspect.isawaitable(answer):
                await answer
        except Exception:  # a handler may only observe; its own error must not fail the delivery a second time
            logger.exception("%s: an exception handler for %s failed itself", text, type(error).__name__, extra=extra)
        finally:
            _current.reset(token)


def users_part(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the leading frames of this package and of the thread pool: where the user's code
    begins. All of it, if it never leaves this package.
    """
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename.startswith(_OWN_FRAMES):
        part = part.tb_next
    return part or trace


def _describe(what: str, context: EventContext | None) -> str:
    if context is None:
        return f"{what} failed"
    return (
        f"{what} failed on event {context.listener.event.name!r} "
        f"(id {context.event_id or 'unknown'}, attempt {context.attempt})"
    )


def _add_note(error: BaseException, text: str) -> None:
    # add_note() is there from Python 3.11 on; the attribute it fills can be filled before.
    notes = getattr(error, "__notes__", [])
    if text not in notes:
        error.__notes__ = [*notes, text]  # type: ignore[attr-defined,unused-ignore]
