"""What asynchronous operations give back: awaitables whose errors are never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...database.records import EventStatus, StoredEvent
from ...envelope import Envelope
from ...events import EventDescriptor

if TYPE_CHECKING:
    from ..sending.pending import PendingSend

T = TypeVar("T")
#: Told of an error, and of the id of the event whose send it was; "" for other work.
Report = Callable[[BaseException, str], None]


class Completed(Generic[T]):
    """The result of work that was waited for; looks like a future that is done."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[object, None, T]:
        yield from ()
        return self._value

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def result(self) -> T:
        return self._value

    def exception(self) -> BaseException | None:
        return None


class Finished(Coroutine[Any, Any, None]):
    """A coroutine that is over; nobody minds if it is not awaited."""

    def send(self, value: Any, /) -> Any:  # noqa: ARG002
        raise StopIteration

    def throw(self, *error: Any) -> Any:
        raise error[0]

    def close(self) -> None:
        """There is nothing to close."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


class Operation(Generic[T]):
    """Work under way on the manager's loop. Await it for the result, or drop it: an error that nobody awaits is
    reported to the exception manager or the log.

    Where no event loop was running the work is already done; `result()` and truth give its value.
    """

    __slots__ = ("_future", "_report", "_taken")

    def __init__(self, future: asyncio.Future[T] | Completed[T] | PendingSend, report: Report | None) -> None:
        # What is under way has all that is used of a future here.
        self._future: asyncio.Future[T] | Completed[T] = future  # type: ignore[assignment]
        self._report, self._taken = report, False

    def __await__(self) -> Generator[object, None, T]:
        self._taken = True
        return self._future.__await__()

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> T:
        """Return the result of work that is done.

        Raises:
            asyncio.InvalidStateError: it is still under way.
        """
        self._taken = True
        return self._future.result()

    def exception(self) -> BaseException | None:
        """Return the error of work that is done, None if it succeeded."""
        self._taken = True
        return self._future.exception()

    def __bool__(self) -> bool:
        return not self._future.done() or (not self._future.cancelled() and bool(self._future.result()))

    def __del__(self) -> None:
        future, report = self._future, self._report
        if self._taken or report is None or isinstance(future, Completed):
            return
        if future.done() and (future.cancelled() or future.exception() is None):
            return
        loop = future.get_loop()
        if loop.is_closed():
            return
        # Dropped by whichever thread held it last; a future belongs to its loop.
        if asyncio._get_running_loop() is loop:
            future.add_done_callback(partial(_report_failure, report, getattr(self, "id", "")))
        else:
            loop.call_soon_threadsafe(
                future.add_done_callback, partial(_report_failure, report, getattr(self, "id", ""))
            )


class Receipt(Operation[None]):
    """What `send_event` returns. Awaiting it means: the provider has taken responsibility for the event."""

    __slots__ = ("_descriptor", "_envelope")

    def __init__(
        self,
        future: asyncio.Future[None] | Completed[None] | PendingSend,
        report: Report | None,
        envelope: Envelope,
        descriptor: EventDescriptor,
    ) -> None:
        # Not by way of the base, which is a call more for each event.
        self._future = future  # type: ignore[assignment]
        self._report, self._taken = report, False
        self._envelope, self._descriptor = envelope, descriptor

    @property
    def id(self) -> str:
        """The event's id, the one that its listeners see."""
        return self._envelope.id

    @property
    def record(self) -> StoredEvent:
        """What is known of the event: id, type, time, status, owner, tags, canonical JSON, content hash."""
        status = EventStatus.UNPUBLISHED
        if self._future.done() and not self._future.cancelled():
            status = EventStatus.REFUSED if self._future.exception() else EventStatus.PUBLISHED
        return replace(StoredEvent.of(self._envelope, self._descriptor), status=status)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if not self._future.done():
            state = "pending"
        elif self._future.cancelled():
            state = "cancelled"
        else:
            state = "failed" if self._future.exception() else "confirmed"
        return f"<Receipt {self.id} {state}>"


def _report_failure(report: Report, event_id: str, future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        error = future.exception()
        if error is not None:
            report(error, event_id)
