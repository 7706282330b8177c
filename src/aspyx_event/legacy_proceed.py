"""Lets interceptors call `proceed_*` without awaiting it, as the published package allows.

`proceed_*` starts the rest of the chain. A sync interceptor cannot await it, and an async interceptor may forget to. So each call
of an interceptor's method records what it started, in a list on the envelope that a fork shares, and awaits afterwards
what the method did not await.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context, copy_context
from functools import lru_cache, partial
from typing import Any

from .coroutine_context import resume_in_context
from .envelope import Envelope

Method = Callable[[Envelope, Any], Any]


class Continuation:
    """The rest of the chain, started by `proceed_*` and not finished yet.

    Args:
        work: The rest of the chain.
        context: The context variables that it runs in; None for those of the task that awaits it.
    """

    __slots__ = ("_context", "_work", "awaited")

    def __init__(self, work: Awaitable[Any], context: Context | None) -> None:
        self._work, self._context, self.awaited = work, context, False

    def __await__(self) -> Generator[Any, Any, None]:
        self.awaited = True
        work = self._work.__await__()
        return work if self._context is None else _in_context(self._context, work)


def _in_context(context: Context, work: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
    try:
        awaited = context.run(next, work)
    except StopIteration:
        return
    yield from resume_in_context(context, work, awaited)


class _Finished:
    """Returned by `proceed_*` when the rest of the chain has finished already."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


_FINISHED = _Finished()
_is_async = lru_cache(maxsize=1024)(inspect.iscoroutinefunction)


def proceed(work: Awaitable[Any] | None, envelope: Envelope, caller: Callable[..., Any]) -> Awaitable[None]:
    """Return what `proceed_*` returns, and record it for `run_to_end`.

    Args:
        work: The rest of the chain; None when it has finished.
        envelope: The envelope that is passed on.
        caller: The interceptor's method. The rest of the chain of a sync method runs after it has returned, with the
            context variables of this moment.
    """
    if work is None:
        return _FINISHED
    continuation = Continuation(work, None if _is_async(caller) else copy_context())
    if envelope.started is not None:
        envelope.started.append(continuation)
    return continuation


def run_to_end(method: Method) -> Callable[[Envelope, Any], Awaitable[Any] | None]:
    """Return *method* of an interceptor as a part of a chain: it returns None when it is done, or an awaitable."""
    if inspect.iscoroutinefunction(method):
        return lambda envelope, descriptor: _finish(method(envelope, descriptor), [], None, envelope)
    return partial(_run_sync, method)


def _run_sync(method: Method, envelope: Envelope, descriptor: Any, /) -> Awaitable[Any] | None:
    started: list[Continuation] = []
    outer, envelope.started = envelope.started, started
    result: Any = None
    error: Exception | None = None
    try:
        result = method(envelope, descriptor)
    except Exception as raised:  # noqa: BLE001  raised by `_finish`, after what was started has ended
        error = raised
    finally:
        envelope.started = outer
    if result is None and not started and error is None:
        return None
    return _finish(result if inspect.isawaitable(result) else None, started, error, envelope)


async def _finish(
    work: Awaitable[Any] | None, started: list[Continuation], error: Exception | None, envelope: Envelope
) -> None:
    """Await what an interceptor's method returned, then what it started and did not await; raise the first error."""
    outer, envelope.started = envelope.started, started
    try:
        if work is not None:
            await work
    except Exception as raised:  # noqa: BLE001  raised below, after the rest has ended
        error = raised
    finally:
        envelope.started = outer
    for continuation in started:
        if not continuation.awaited:
            try:
                await continuation
            except Exception as raised:  # noqa: BLE001  raised below, after the rest has ended
                error = error or raised
    started.clear()  # a fork may be kept: it would keep the finished work
    if error is not None:
        raise error
