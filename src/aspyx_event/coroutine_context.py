"""Runs the rest of a coroutine in given context variables, inside the task that awaits it."""

from __future__ import annotations

from collections.abc import Generator
from contextvars import Context
from functools import partial
from typing import Any


def resume_in_context(context: Context, coroutine: Any, awaited: Any) -> Generator[Any, Any, None]:
    """Resume *coroutine* in *context* until it returns. To be used with ``yield from`` in an ``__await__``.

    Args:
        context: The context variables.
        coroutine: A coroutine that has made its first step, or the iterator that ``__await__`` returns.
        awaited: The future that its first step yielded.
    """
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001  also a cancellation: the coroutine decides what it does with it
            resume = partial(coroutine.throw, error)
        else:
            resume = partial(coroutine.send, None)
        try:
            awaited = context.run(resume)
        except StopIteration:
            return
