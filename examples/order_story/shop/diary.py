"""What the shop's parts say they are doing: printed, and remembered so that the story can wait for it."""

from __future__ import annotations

import threading

from aspyx.di import injectable

from .session import current_session


@injectable()
class Diary:
    """One per application. Listeners write from the event loop and from worker threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._notes: set[tuple[str, int]] = set()

    def note(self, who: str, order_id: int, text: str, done: bool = True) -> None:
        """Print a line with the session that is current here.

        Args:
            done: *who* is through with this order; False for a step on the way.
        """
        with self._changed:
            print(f"    {who:<10} order {order_id}: {text:<58} [{current_session.get()}]", flush=True)
            if done:
                self._notes.add((who, order_id))
                self._changed.notify_all()

    def forget(self, who: str, order_id: int) -> None:
        """Wait for this one anew."""
        with self._changed:
            self._notes.discard((who, order_id))

    def wait(self, *expected: tuple[str, int], seconds: float = 30.0) -> None:
        """Block until each (who, order) of *expected* is done.

        Raises:
            TimeoutError: they are not after *seconds*.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._notes.issuperset(expected), seconds):
                raise TimeoutError(f"still not done after {seconds:g} s: {sorted(set(expected) - self._notes)}")
