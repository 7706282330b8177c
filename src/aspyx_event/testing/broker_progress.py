"""Progress messages for slow steps: the first after some seconds, then at regular intervals until the step ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Receives a line of text without a line break. May be called from another thread.
Progress = Callable[[str], None]


@contextmanager
def heartbeat(progress: Progress, what: str, *, first: float = 3.0, every: float = 10.0) -> Iterator[None]:
    """Report *what* after *first* seconds, and then *every* so many seconds, until the block ends."""
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
