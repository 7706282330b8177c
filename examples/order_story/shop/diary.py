"""Prints what the parts of the shop do, and records it, so that the story can wait for it."""

from __future__ import annotations

import threading

from aspyx.di import injectable

from .session import current_session


@injectable()
class Diary:
    """Shared by the application. Listeners write to it from the event loop and from worker threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._notes: set[tuple[str, int]] = set()

    def note(self, who: str, order_id: int, text: str, done: bool = True) -> None:
        """Print a line with the current session.

        Args:
            done: *who* is done with this order; False for an intermediate step.
        """
        with self._changed:
            print(f"    {who:<10} order {order_id}: {text:<58} [{current_session.get()}]", flush=True)
            if done:
                self._notes.add((who, order_id))
                self._changed.notify_all()

    def forget(self, who: str, order_id: int) -> None:
        """Let `wait` wait for *who* and this order again."""
        with self._changed:
            self._notes.discard((who, order_id))

    def wait(self, *expected: tuple[str, int], seconds: float = 30.0) -> None:
        """Block until each (who, order) of *expected* is done.

        Raises:
            TimeoutError: some are not done after *seconds*.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._notes.issuperset(expected), seconds):
                raise TimeoutError(f"still not done after {seconds:g} s: {sorted(set(expected) - self._notes)}")
