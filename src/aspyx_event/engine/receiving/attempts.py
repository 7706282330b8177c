"""Runs one attempt at handling a delivery: interceptors and handler, within the time limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ...context import EventContext, Running, _current
from ...exceptions import EventException, HandlerTimeoutError, StopProcessing
from ...log_fields import log_fields
from ...observer import Observer
from ...pipeline import Next

logger = logging.getLogger("aspyx.event")
#: Seconds that a cancelled handler has to end before it is abandoned.
_CANCEL_GRACE = 1.0


class Attempts:
    """Runs the attempts of one handler, each within its time limit.

    Args:
        chain: Interceptors, ending in the handler.
        timeout: Seconds for one attempt; None does not limit it.
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
                await (handled if self._timeout is None else self._limit(_shield_system_exit(handled), context))
            if context.returned is not None:
                await self._publish_results(context)
        except StopProcessing:
            context.stopped = True
        except SystemExit as error:
            return _exit_attempted(error)
        except Exception as error:  # noqa: BLE001  every failure of a listener is a failed attempt
            outcome = error
            return error
        except BaseException as error:
            outcome = error
            if isinstance(error, asyncio.CancelledError):
                if _task_is_cancelled():
                    raise
                return EventException(f"the handler was cancelled from within: {error!r}")  # not the worker
            if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
                raise
            # Any other BaseException would end the worker, and the subscription would stop consuming.
            wrapped = EventException(f"the handler raised {error!r}, which is not an Exception")
            wrapped.__cause__ = error
            return wrapped
        finally:
            if finish is not None:
                finish(outcome)
            _current.reset(token)
        return None

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
        running: Running = context.thread or task
        if not running.done():
            # The worker goes on without it; otherwise one hanging handler would block its subscription for ever.
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


async def _shield_system_exit(handled: Awaitable[Any]) -> Any:
    # asyncio ends the event loop when a task raises SystemExit.
    try:
        return await handled
    except SystemExit as error:
        raise _exit_attempted(error) from error


def _exit_attempted(error: SystemExit) -> EventException:
    """Return the error of a failed attempt: one event must not end a process that handles others."""
    return EventException(f"the handler tried to end the process: {error!r}")


def _task_is_cancelled() -> bool:
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # since Python 3.11
    return cancelling is None or cancelling() > 0
