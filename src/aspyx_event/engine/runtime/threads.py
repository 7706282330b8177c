"""`ThreadPool`: worker threads for sync handlers, started on demand, reused, and ended with the manager.

`concurrent.futures` does the same with three locks, two futures and a semaphore per call. Here a call costs waking the
thread that runs it, and waking the loop when it ends.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import weakref
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

from ...error_text import repr_of
from ...safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))


class Job:
    """A function call in a worker thread, with the context variables of its creation.

    Everything but `run` belongs to the event loop.

    Attributes:
        future: Result or error. Cancelling it ends the wait: a call that has not started yet is skipped then, a
            call that has started continues.
    """

    __slots__ = ("_arguments", "_callbacks", "_context", "_done", "_function", "_release_thread", "future")

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], release_thread: Callable[[], None]
    ) -> None:
        self._function, self._arguments, self._release_thread = function, arguments, release_thread
        self._context = copy_context()
        self._callbacks: list[Callable[[Job], None]] = []
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._done = False

    def done(self) -> bool:
        """True once the thread has finished the call, whatever the state of the future."""
        return self._done

    def add_done_callback(self, callback: Callable[[Job], None]) -> None:
        """Have *callback* called on the loop when the thread has finished the call. To be added before that."""
        self._callbacks.append(callback)

    def run(self) -> None:
        """Call the function; in the worker thread."""
        result: Any = None
        error: BaseException | None = None
        try:
            if not self.future.cancelled():
                result = self._context.run(self._function, *self._arguments)
        except (StopIteration, GeneratorExit, KeyboardInterrupt) as raised:
            # A future refuses the first, the second would close the coroutine that awaits it, and the third would be taken
            # for a Ctrl-C, which only the main thread gets.
            error = RuntimeError(f"the handler raised {repr_of(raised)}")
            error.__cause__ = raised
        except BaseException as raised:  # noqa: BLE001  the waiting task raises it, as if it had called the function
            error = raised
        try:
            self.future.get_loop().call_soon_threadsafe(self._end, result, error)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            _log_unawaited(error)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self._done = True
        self._release_thread()
        if self.future.done():
            _log_unawaited(error)
        elif error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
        for callback in self._callbacks:
            callback(self)


class ThreadPool:
    """The worker threads of a manager. To be used on its event loop.

    When the pool is closed or garbage-collected, each thread ends after its current call. At the end of the program
    running calls are waited for.

    Args:
        limit: Maximum number of threads. Further calls wait for a free thread.
        name: Prefix of the threads' names; a number follows.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit, self._name = limit, name
        self._unfinished = 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._workers: list[WorkerThread] = []
        self._finalizer = weakref.finalize(self, _end_all, self._workers)
        self._finalizer.atexit = False

    def call(self, function: Callable[..., Any], *arguments: Any) -> Job:
        """Call *function* in a thread.

        Raises:
            RuntimeError: the operating system cannot start another thread.
        """
        if self._unfinished >= len(self._workers) < self._limit:
            worker = WorkerThread(self._jobs, f"{self._name}_{len(self._workers)}")
            worker.start()
            self._workers.append(worker)
        job = Job(function, arguments, self._release_thread)
        self._unfinished += 1
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """Let the threads end after the calls already made, without waiting for them. Idempotent."""
        self._finalizer()

    def _release_thread(self) -> None:
        self._unfinished -= 1


class WorkerThread(threading.Thread):
    """Runs jobs in sequence until it gets None. Holds no reference to its pool, which can be collected.

    A daemon thread, so it does not keep the program from ending while it is idle; `_wait_for_jobs` waits for a running job.
    """

    def __init__(self, jobs: SimpleQueue[Job | None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs = jobs

    def run(self) -> None:
        get = self.jobs.get
        while (job := get()) is not None:
            job.run()
            del job  # otherwise it would keep event and result until the next job


def _log_unawaited(error: BaseException | None) -> None:
    """Log an error that nobody waits for: the handler timed out, or the manager stopped. The event is not acknowledged."""
    if error is not None:
        logger.warning("a handler that nobody waited for any more failed: %r", error, exc_info=error)


def _end_all(workers: list[WorkerThread]) -> None:
    for worker in workers:
        worker.jobs.put(None)


@atexit.register
def _wait_for_jobs() -> None:
    """Wait for the handlers that are running when the program ends, as it does for threads that are no daemons."""
    workers = [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]
    _end_all(workers)
    for worker in workers:
        worker.join()
