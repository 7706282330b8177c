"""Worker threads for sync handlers: started when they are needed, kept for the next call, ended with the manager.

A `concurrent.futures` executor does the same with three locks, two futures and a semaphore per call. What a call costs here is
one thread woken for it, and the loop woken for its end.
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

logger = logging.getLogger("aspyx.event")


class Job:
    """A function called in a worker thread, with the context variables of the moment it was asked for.

    All but `run` belongs to the event loop.

    Attributes:
        future: Its result or error. Cancelling that ends the wait: a call that no thread has begun is left out then, and one
            that runs goes on.
    """

    __slots__ = ("_arguments", "_ended", "_free", "_function", "_told", "_variables", "future")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], free: Callable[[], None]) -> None:
        self._function, self._arguments, self._free = function, arguments, free
        self._variables = copy_context()
        self._told: list[Callable[[Job], None]] = []
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._ended = False

    def done(self) -> bool:
        """True once the thread is done with it, whatever became of the future."""
        return self._ended

    def add_done_callback(self, told: Callable[[Job], None]) -> None:
        """Have *told* called when the thread is done, on the loop; to be asked for before that."""
        self._told.append(told)

    def run(self) -> None:
        """Do it; in the worker thread."""
        result: Any = None
        error: BaseException | None = None
        try:
            if not self.future.cancelled():
                result = self._variables.run(self._function, *self._arguments)
        except StopIteration as stop:  # which no coroutine can raise
            error = RuntimeError(f"the handler raised {stop!r}")
            error.__cause__ = stop
        except BaseException as raised:  # noqa: BLE001  whoever waits gets it, as if the function had been called there
            error = raised
        try:
            self.future.get_loop().call_soon_threadsafe(self._end, result, error)
        except RuntimeError:
            _unheard(error)  # the loop is closed, and with it ended whoever waited

    def _end(self, result: Any, error: BaseException | None) -> None:
        self._ended = True
        self._free()
        if self.future.done():
            _unheard(error)
        elif error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
        for told in self._told:
            told(self)


class Threads:
    """The worker threads of one manager. For its event loop.

    They end when it is closed or nobody has it any more, each after the call it is in; so does the program.

    Args:
        most: How many there are at most; calls beyond that wait for one.
        name: Theirs, with a number behind it.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name, self._busy = most, name, 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._workers: list[Worker] = []
        self._ending = weakref.finalize(self, _end_all, self._workers)
        self._ending.atexit = False

    def call(self, function: Callable[..., Any], *arguments: Any) -> Job:
        """Call *function* in a thread.

        Raises:
            RuntimeError: the system gives no further thread.
        """
        if self._busy >= len(self._workers) < self._most:
            worker = Worker(self._jobs, f"{self._name}_{len(self._workers)}")
            worker.start()
            self._workers.append(worker)
        job = Job(function, arguments, self._free)
        self._busy += 1
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """Let the threads end when they have done what they were asked for; waits for none. Again is no error."""
        self._ending()

    def _free(self) -> None:
        self._busy -= 1


class Worker(threading.Thread):
    """Does jobs, one after the other, until it gets None. It holds nothing of the `Threads`, so that they can be forgotten.

    As a daemon it keeps no program from its end while it idles; a job that runs then is waited for, see `_finish`.
    """

    def __init__(self, jobs: SimpleQueue[Job | None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs = jobs

    def run(self) -> None:
        get = self.jobs.get
        while (job := get()) is not None:
            job.run()
            del job  # it would keep event and result until the next one


def _unheard(error: BaseException | None) -> None:
    """Log an error that nobody waits for: the time was up, or the manager has stopped. The event is not acknowledged."""
    if error is not None:
        logger.warning("a handler that nobody waited for any more failed: %r", error, exc_info=error)


def _end_all(workers: list[Worker]) -> None:
    for worker in workers:
        worker.jobs.put(None)


@atexit.register
def _finish() -> None:
    """Wait for the handlers that run when the program ends, as it waits for threads of its own."""
    workers = [one for one in threading.enumerate() if isinstance(one, Worker)]
    _end_all(workers)
    for worker in workers:
        worker.join()
