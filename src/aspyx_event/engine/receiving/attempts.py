"""Runs a single attempt at handling a delivery: interceptors and handler, within the time limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ...context import EventContext, RunningCall, _current
from ...error_text import repr_of
from ...exceptions import EventException, HandlerTimeoutError, StopProcessing
from ...interrupts import ends_program
from ...log_fields import log_fields
from ...observer import Observer
from ...pipeline import Next
from ...safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Seconds that a cancelled handler has to end before it is abandoned.
_CANCEL_GRACE = 1.0


class Attempts:
    """Runs the attempts of a handler, each within its time limit.

    Args:
        chain: Interceptors, ending in the handler.
        timeout: Seconds for each attempt; None does not limit it.
        count_abandoned: Called with 1 for a handler that ignores its time limit, and with -1 when it ends after all.
        publish_results: Sends the events that a handler returned.
        observer: Notified of each attempt.
    """

    def __init__(
        self,
        chain: Next,
        timeout: float | None,
        count_abandoned: Callable[[int], None],
        publish_results: Callable[[EventContext], Awaitable[None]],
        observer: Observer | None = None,
    ) -> None:
        self._chain, self._timeout, self._observer = chain, timeout, observer
        self._count_abandoned, self._publish_results = count_abandoned, publish_results
        #: References to the abandoned handlers, so that their tasks are not garbage-collected.
        self._abandoned: set[object] = set()

    async def run(self, context: EventContext) -> Exception | None:
        """Run interceptors and handler; return the exception that they raised, None if they succeeded.

        Raises:
            asyncio.CancelledError: the calling task was cancelled.
        """
        token = _current.set(context)
        finish = None if self._observer is None else self._observer.handling(context)
        outcome: BaseException | None = None
        try:
            handled = self._chain.handle(context.envelope, context.listener)
            if handled is not None:
                await (handled if self._timeout is None else self._limit(_shield_loop(handled), context))
            if context.returned is not None:
                await self._publish_results(context)
        except StopProcessing:
            context.stopped = True
        except Exception as error:  # noqa: BLE001  every failure of a listener is a failed attempt
            outcome = error
            return error
        except BaseException as error:  # noqa: BLE001  what must go on is raised by the call
            outcome = error
            return self._failure_of(error, context)
        finally:
            if finish is not None:
                finish(outcome)
            if _current.get() is context:  # not in a coroutine that is closed
                _current.reset(token)
        return None

    def _failure_of(self, error: BaseException, context: EventContext) -> Exception:
        """Return the error of an attempt that ended in a `BaseException`, which must not end the worker.

        Raises:
            BaseException: *error*, if it came from outside of the handler.
        """
        kind = type(error)
        if issubclass(kind, asyncio.CancelledError):
            if _task_is_cancelled():
                raise error
            return EventException(f"the handler was cancelled from within: {repr_of(error)}")
        # A coroutine that is closed runs in the context of whoever closes it, and must not go on.
        closed = issubclass(kind, GeneratorExit) and _current.get() is not context
        if closed or ends_program(error):
            raise error
        if issubclass(kind, SystemExit):
            return _exit_attempted(error)
        wrapped = EventException(f"the handler raised {repr_of(error)}, which is not an Exception")
        wrapped.__cause__ = error
        return wrapped

    async def _limit(self, handled: Awaitable[Any], context: EventContext) -> None:
        """Await *handled* for at most the time limit, then cancel it.

        Raises:
            HandlerTimeoutError: it took longer.
        """
        seconds, name = cast("float", self._timeout), context.listener.name
        task = asyncio.ensure_future(handled)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except BaseException:
            task.cancel()
            raise
        if done:
            return task.result()  # type: ignore[no-any-return]
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_GRACE)
        # A thread cannot be cancelled: the task that waited for it has ended, the thread itself may still run.
        running: RunningCall = context.thread or task
        if not running.done():
            # The worker goes on without it; otherwise a hanging handler would block its subscription for ever.
            self._abandoned.add(running)
            self._count_abandoned(1)
            running.add_done_callback(self._on_abandoned_end)
            logger.error(
                "listener %r ignores its time limit of %g s and was abandoned",
                name,
                seconds,
                extra=log_fields(context.envelope, name),
            )
        raise HandlerTimeoutError(f"listener {name!r} took longer than {seconds:g} s")

    def _on_abandoned_end(self, running: object) -> None:
        self._abandoned.discard(running)
        self._count_abandoned(-1)


async def _shield_loop(handled: Awaitable[Any]) -> Any:
    # asyncio ends the event loop when a task raises SystemExit or KeyboardInterrupt.
    try:
        return await handled
    except SystemExit as error:
        raise _exit_attempted(error) from error
    except KeyboardInterrupt as error:
        if ends_program(error):
            raise
        raise EventException(f"the handler raised {repr_of(error)}, which is not an Exception") from error


def _exit_attempted(error: BaseException) -> EventException:
    """Return the error of a failed attempt: a single event must not end a process that handles others."""
    return EventException(f"the handler tried to end the process: {repr_of(error)}")


def _task_is_cancelled() -> bool:
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # since Python 3.11
    return cancelling is None or cancelling() > 0
