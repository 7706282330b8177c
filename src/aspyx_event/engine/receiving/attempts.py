"""One attempt at handling a delivery: interceptors, handler, and the time it may take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ...context import EventContext, Running, _current
from ...exceptions import EventException, HandlerTimeoutError, StopProcessing
from ...log_fields import log_fields
from ...observer import Observer
from ...pipeline import Next

logger = logging.getLogger("aspyx.event")
#: Seconds that a cancelled handler has to end before it is left behind.
_CANCEL_GRACE = 1.0


class Attempts:
    """Runs attempts of one subscription, each within its time limit.

    Args:
        chain: Interceptors, ending in the handler.
        timeout: Seconds for one attempt; None does not limit it.
        abandoned: Called with 1 for a handler that ignores its time limit, and with -1 when it ends at last.
        pass_on: Sends the events that a handler returned.
        observer: Told of each attempt.
    """

    def __init__(
        self,
        chain: Next,
        timeout: float | None,
        abandoned: Callable[[int], None],
        pass_on: Callable[[EventContext], Awaitable[None]],
        observer: Observer | None = None,
    ) -> None:
        self._chain, self._timeout, self._left_behind, self._pass_on = chain, timeout, abandoned, pass_on
        self._observer = observer
        #: A reference to each handler that is left behind.
        self._running: set[object] = set()

    async def run(self, context: EventContext) -> Exception | None:
        """Run interceptors and handler; return what they raised, None if they succeeded.

        Raises:
            asyncio.CancelledError: the caller is cancelled.
        """
        token = _current.set(context)
        finish = None if self._observer is None else self._observer.handling(context)
        ended: BaseException | None = None
        try:
            handled = self._chain.handle(context.envelope, context.listener)
            if handled is not None:
                await (handled if self._timeout is None else self._within(_staying(handled), self._timeout, context))
            if context.returned is not None:
                await self._pass_on(context)
        except StopProcessing:
            context.stopped = True
        except SystemExit as error:
            return _exit_refused(error)
        except Exception as error:  # noqa: BLE001  every failure of a listener is a failed attempt
            ended = error
            return error
        except BaseException as error:
            ended = error
            if isinstance(error, asyncio.CancelledError):
                if _is_being_cancelled():
                    raise
                return EventException(f"the handler was cancelled from within: {error!r}")  # its own affair, not ours
            if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
                raise
            # An error that derives from no Exception would end the worker, and leave the subscription deaf.
            refused = EventException(f"the handler raised {error!r}, which is no Exception")
            refused.__cause__ = error
            return refused
        finally:
            if finish is not None:
                finish(ended)
            _current.reset(token)
        return None

    async def _within(self, handled: Awaitable[Any], seconds: float, context: EventContext) -> None:
        work = asyncio.ensure_future(handled)
        try:
            done, _ = await asyncio.wait({work}, timeout=seconds)
        except BaseException:
            work.cancel()
            raise
        if done:
            return work.result()  # type: ignore[no-any-return]
        work.cancel()
        await asyncio.wait({work}, timeout=_CANCEL_GRACE)
        # A thread cannot be cancelled: the wait for it ended, it itself goes on.
        running: Running = context.thread or work
        if not running.done():
            # Its slot comes back all the same; otherwise one hanging handler stops its subscription for ever.
            self._running.add(running)
            self._left_behind(1)
            running.add_done_callback(self._ended)
            logger.error(
                "listener %r ignores its time limit of %g s and was left behind",
                context.listener.name,
                seconds,
                extra=log_fields(context.envelope, context.listener.name),
            )
        raise HandlerTimeoutError(f"listener {context.listener.name!r} took longer than {seconds:g} s")

    def _ended(self, running: object) -> None:
        self._running.discard(running)
        self._left_behind(-1)


async def _staying(handled: Awaitable[Any]) -> Any:
    # In a task of its own, SystemExit would end the event loop at once.
    try:
        return await handled
    except SystemExit as error:
        raise _exit_refused(error) from error


def _exit_refused(error: SystemExit) -> EventException:
    """One event must not end a process that handles others: this is a failed attempt like any other."""
    return EventException(f"the handler tried to end the process: {error!r}")


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # from Python 3.11 on
    return cancelling is None or cancelling() > 0
