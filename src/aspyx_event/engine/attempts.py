"""One attempt at handling a delivery: interceptors, handler, and the time it may take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import Any

from ..context import EventContext, _current
from ..exceptions import EventException, HandlerTimeoutError
from ..pipeline import Link

logger = logging.getLogger("aspyx.event")
#: Seconds that a cancelled handler has to end before it is left behind.
_CANCEL_GRACE = 1.0


class Attempts:
    """Runs attempts of one subscription, each within its time limit.

    Args:
        chain: Interceptors, ending in the handler.
        timeout: Seconds for one attempt; None does not limit it.
    """

    def __init__(self, chain: Link, timeout: float | None) -> None:
        self._chain, self._timeout = chain, timeout
        self._left_behind: set[object] = set()

    @property
    def left_behind(self) -> int:
        """Handlers past their time limit that still run: sync ones in their threads, async ones that ignore cancelling."""
        return len(self._left_behind)

    async def run(self, context: EventContext) -> Exception | None:
        """Run interceptors and handler; return what they raised, None if they succeeded.

        Raises:
            asyncio.CancelledError: the caller is cancelled.
        """
        token = _current.set(context)
        try:
            handled = self._chain.handle(context.envelope, context.listener)
            if handled is not None:
                await (handled if self._timeout is None else self._within(handled, self._timeout, context))
        except Exception as error:  # noqa: BLE001  every failure of a listener is a failed attempt
            return error
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            return EventException(f"the handler was cancelled from within: {error!r}")  # its own affair, not ours
        finally:
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
        running: Future[Any] | asyncio.Future[Any] = context.thread or work
        if not running.done():
            # Its slot comes back all the same; otherwise one hanging handler stops its subscription for ever.
            self._left_behind.add(running)
            running.add_done_callback(self._left_behind.discard)
            logger.error(
                "listener %r ignores its time limit of %g s and was left behind", context.listener.name, seconds
            )
        raise HandlerTimeoutError(f"listener {context.listener.name!r} took longer than {seconds:g} s")


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # from Python 3.11 on
    return cancelling is None or cancelling() > 0
