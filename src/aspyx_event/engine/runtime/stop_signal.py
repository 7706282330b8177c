"""A flag that threads and coroutines of any loop can wait for: the manager was stopped."""

from __future__ import annotations

import asyncio
import threading

from ...futures import settle


class StopSignal:
    """A `threading.Event` that can be awaited as well. A cancelled wait leaves no thread behind."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiters: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """Release all that wait; from any thread."""
        with self._lock:
            self._event.set()
            waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            try:
                waiter.get_loop().call_soon_threadsafe(settle, waiter, None)
            except RuntimeError:  # its loop was closed meanwhile, so nobody waits there any more
                continue

    def clear(self) -> None:
        self._event.clear()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread; False after *timeout* seconds."""
        return self._event.wait(timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Wait on the running loop; False after *timeout* seconds."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._event.is_set():
                return True
            self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=timeout)
        finally:
            with self._lock:
                self._waiters.discard(waiter)
        return self._event.is_set()
