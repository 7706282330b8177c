"""`EventLoopRunner`: the manager's event loop: the caller's loop, or a new loop in a thread for programs without."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ...exceptions import StateError
from ...futures import TaskSet
from ...safe_logger import SafeLogger
from .operations import Completed, Operation

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]
logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Seconds that a loop in a thread of its own waits for the work that other threads wait for, before it ends.
SHUTDOWN_GRACE = 1.0


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, None if there is none."""
    return asyncio._get_running_loop()


class EventLoopRunner:
    """Runs work on the manager's loop, from any thread and any loop. Thread-safe.

    Args:
        report: Makes the coroutine that reports an error: called with the error, a text, and ``event_id=``.
    """

    def __init__(self, report: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        #: Tasks on a loop of its own that other threads wait for; the loop ends after them.
        self._awaited: set[asyncio.Task[Any]] = set()
        self._report = report
        #: The process that the loop belongs to; None without a loop.
        self._process: int | None = None
        self._reporting = TaskSet()

    @property
    def owns_loop(self) -> bool:
        """True if the loop runs in a thread of its own."""
        return self._thread is not None

    def bind(self) -> asyncio.AbstractEventLoop:
        """Return the manager's loop. The first call chooses it: the running loop, or a new loop in a daemon thread."""
        loop = self.loop
        if loop is not None:
            return loop
        with self._lock:
            if self.loop is None:
                self.loop, self._process = running_loop() or self._start_thread(), os.getpid()
            return self.loop

    @property
    def is_inherited(self) -> bool:
        """True in a process that was forked after the loop was chosen: nothing runs the loop there."""
        return self.loop is not None and self._process != os.getpid()

    def check_process(self) -> None:
        """Refuse a forked process.

        Raises:
            StateError: the loop belongs to the parent process.
        """
        if self.is_inherited:
            raise StateError(
                f"this process ({os.getpid()}) was forked from process {self._process}, which had started the event manager: "
                "its loop, threads and connections stay with the parent; make a manager of its own after the fork"
            )

    def forget_ended(self) -> None:
        """Forget a loop that has ended; only for a manager that has nothing on it."""
        with self._lock:
            if self.loop is not None and self.loop.is_closed():
                self.loop = None

    def unbind(self) -> None:
        """Forget the loop, and end it if it runs in a thread of its own. Must not be called on that loop."""
        with self._lock:
            loop, thread = self.loop, self._thread
            self.loop = self._thread = None
        if thread is not None and loop is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join(timeout=5.0)

    def here(self) -> bool:
        """True if the caller runs on the manager's loop."""
        return self.loop is not None and running_loop() is self.loop

    def run(self, work: Work[T]) -> asyncio.Future[T] | Completed[T]:
        """Run *work* on the manager's loop.

        Returns:
            In a thread with a running loop: a future of that loop. Without a loop: the result, after waiting for it.

        Raises:
            StateError: the manager's loop has ended.
            Exception: what *work* raises, if the call waits.
        """
        self.check_process()
        loop, running = self.bind(), running_loop()
        if running is loop:
            return loop.create_task(work())
        if loop.is_closed():
            raise StateError(
                "the event loop that this manager was started on has ended; call `await environment.stop()` (or "
                "`await manager.stop()`) inside that loop, and start again in the new loop"
            )
        if running is not None:
            return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._track(work), loop))
        if not loop.is_running():
            # The caller's own loop, between two run_until_complete().
            return Completed(loop.run_until_complete(work()))
        return Completed(asyncio.run_coroutine_threadsafe(self._track(work), loop).result())

    def control(self, work: Work[T]) -> Operation[T]:
        """Run *work* on the manager's loop as an operation, whose error is reported if nobody awaits it."""
        return Operation(self.run(work), self.report)

    def report(self, error: BaseException, event_id: str = "") -> None:
        """Report the error of an operation that nobody awaited; on the manager's loop.

        Args:
            error: The error.
            event_id: The id of the event, if the operation was its send.
        """
        self._reporting.spawn(self._report(error, "an operation nobody awaited", event_id=event_id))

    async def _track(self, work: Work[T]) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  always true in a coroutine
        self._awaited.add(task)
        try:
            return await work()
        finally:
            self._awaited.discard(task)

    def _start_thread(self) -> asyncio.AbstractEventLoop:
        loop, ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(
            target=_run_loop, args=(loop, ready, self._awaited), name="aspyx-event-loop", daemon=True
        )
        self._thread.start()
        ready.wait()
        return loop


def _run_loop(loop: asyncio.AbstractEventLoop, ready: threading.Event, awaited: set[asyncio.Task[Any]]) -> None:
    asyncio.set_event_loop(loop)
    loop.call_soon(ready.set)
    try:
        loop.run_forever()
    finally:
        if awaited:  # a second stop, which joined the first, has yet to get its result
            loop.run_until_complete(asyncio.wait(set(awaited), timeout=SHUTDOWN_GRACE))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
