"""`Operation`: work that runs on the manager's loop, awaited or dropped without losing its error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from ...error_text import error_text

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
#: Called with the error of work that nobody awaited, and with the id of the event whose send it was, "" for other work.
Report = Callable[[BaseException, str], None]


class FutureLike(Protocol[T_co]):
    """The part of `asyncio.Future` that an `Operation` uses."""

    def __await__(self) -> Generator[Any, None, T_co]: ...

    def done(self) -> bool: ...

    def cancelled(self) -> bool: ...

    def result(self) -> T_co: ...

    def exception(self) -> BaseException | None: ...

    def get_loop(self) -> asyncio.AbstractEventLoop: ...

    def add_done_callback(self, callback: Callable[[asyncio.Future[Any]], object], /) -> None: ...


class Completed(Coroutine[Any, Any, T]):
    """The result of work that has finished: both a done future and a finished coroutine.

    Unlike a coroutine it may be dropped without being awaited.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, Any, T]:
        yield from ()
        return self._value

    def send(self, value: Any, /) -> Any:  # noqa: ARG002
        raise StopIteration(self._value)

    def throw(self, *error: Any) -> Any:
        raise error[0]

    def close(self) -> None:
        """Do nothing: the work has finished."""

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def result(self) -> T:
        return self._value

    def exception(self) -> BaseException | None:
        return None


class Operation(Generic[T]):
    """Work on the manager's loop. Await it for the result, or drop it: an error that nobody awaits is reported to the
    exception manager or the log.

    Without a running event loop the work is already done; `result()` and the truth value give its result.
    """

    __slots__ = ("_awaited", "_future", "_report")

    def __init__(self, future: FutureLike[T] | Completed[T], report: Report | None) -> None:
        self._future: FutureLike[T] | Completed[T] = future
        self._report = report
        #: Somebody has asked for the outcome, so the error is not reported.
        self._awaited = False

    def __await__(self) -> Generator[Any, None, T]:
        self._awaited = True
        return self._future.__await__()

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> T:
        """Return the result of finished work.

        Raises:
            asyncio.InvalidStateError: the work has not finished.
        """
        self._awaited = True
        return self._future.result()

    def exception(self) -> BaseException | None:
        """Return the error of finished work, None if it succeeded."""
        self._awaited = True
        return self._future.exception()

    def __bool__(self) -> bool:
        return not self._future.done() or (not self._future.cancelled() and bool(self._future.result()))

    def __repr__(self) -> str:
        future = self._future
        if not future.done():
            return "<Operation pending>"
        if future.cancelled():
            return "<Operation cancelled>"
        error = future.exception()
        if error is not None:
            return f"<Operation failed: {error_text(error)}>"
        return f"<Operation done: {future.result()!r}>"

    def __del__(self) -> None:
        future, report = self._future, self._report
        if self._awaited or report is None or isinstance(future, Completed):
            return
        if future.done() and (future.cancelled() or future.exception() is None):
            return
        loop = future.get_loop()
        if loop.is_closed():
            return
        callback = partial(_report_failure, report, getattr(self, "id", ""))
        # The thread that drops the last reference may be any thread; the future belongs to its loop.
        if asyncio._get_running_loop() is loop:
            future.add_done_callback(callback)
        else:
            loop.call_soon_threadsafe(future.add_done_callback, callback)


def _report_failure(report: Report, event_id: str, future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        error = future.exception()
        if error is not None:
            report(error, event_id)
