"""Signs of life for steps that take long: a line when a step starts, and one every few seconds until it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Gets one line of text, without a line break; may be called from another thread.
Progress = Callable[[str], None]


@contextmanager
def heartbeat(progress: Progress, what: str, *, first: float = 3.0, every: float = 10.0) -> Iterator[None]:
    """Report *what* once it has taken *first* seconds, and again *every* so many, until the block ends."""
    done = threading.Event()
    started = time.monotonic()

    def beat() -> None:
        wait = first
        while not done.wait(wait):
            progress(f"{what} ... {time.monotonic() - started:.0f} s")
            wait = every

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def silent(line: str) -> None:
    """Report nothing."""
