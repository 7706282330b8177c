"""Handles errors that nothing else handles."""

from __future__ import annotations

from aspyx.di import injectable
from aspyx.exception import catch
from shop.diary import Diary
from shop.session import session

from aspyx_event import current_context


@injectable()
class Failures:
    """Handlers for an exception manager, which calls the most specific handler for the class of the error."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @catch()
    def gave_up(self, error: Exception) -> None:
        """Called once per failure, not per attempt."""
        context = current_context()
        if context is None:
            print(f"!!! {type(error).__name__}: {error}")
            return
        with session(context.envelope.get("session")):
            text = f"gives up after attempt {context.attempt}; the event becomes a dead letter"
            self.diary.note(context.listener.name, int(context.key), text)
