"""Helpers for asyncio's futures and tasks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from .error_text import error_text
from .interrupts import ends_program


def failed(error: Exception) -> asyncio.Future[Any]:
    """Return a future of the running loop that has failed with *error*."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def outcome(future: asyncio.Future[Any]) -> BaseException | None:
    """Return the error of a done future: a `CancelledError` if it was cancelled, None if it has a result."""
    return asyncio.CancelledError() if future.cancelled() else future.exception()


def settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    """Complete *future* with an `outcome`. Does nothing if it is done already."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    elif issubclass(type(error), asyncio.CancelledError):
        future.cancel()
    elif issubclass(type(error), StopIteration):  # which no future takes
        refused = RuntimeError(f"it raised {error_text(error)}")
        refused.__cause__ = error
        future.set_exception(refused)
    else:
        future.set_exception(error)


def relay(source: asyncio.Future[None], target: asyncio.Future[None]) -> None:
    """Complete *target* with the outcome of *source* when that is done. Cancelling *target* does not cancel *source*."""
    source.add_done_callback(lambda done: settle(target, outcome(done)))


def outcome_of(task: asyncio.Task[None], interrupted: Callable[[], Exception]) -> asyncio.Future[None]:
    """Return a future with the outcome of *task*. Cancelling the future cancels the task.

    Args:
        task: Raises the errors of the operation.
        interrupted: Returns the error of the future if somebody else cancels the task.
    """
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task.add_done_callback(lambda done: settle(future, interrupted() if done.cancelled() else done.exception()))
    future.add_done_callback(lambda done: task.cancel() if done.cancelled() else None)
    return future


async def run_isolated(call: Callable[[], Any]) -> BaseException | None:
    """Call a function of the application, sync or async, whose errors must not have any effect here.

    What it returns is awaited in a task of its own, so that it may cancel its task, or raise `CancelledError` itself.

    Returns:
        What it raised, whatever that is; None if it succeeded.

    Raises:
        asyncio.CancelledError: the calling task was cancelled.
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        answer = call()
        if not inspect.isawaitable(answer):
            return None
    except BaseException as error:
        if ends_program(error):
            raise
        return error
    task = asyncio.ensure_future(_error_of(answer))
    try:
        await asyncio.wait({task})
    except BaseException:
        task.cancel()
        raise
    return asyncio.CancelledError() if task.cancelled() else task.result()


async def _error_of(awaitable: Awaitable[Any]) -> BaseException | None:
    try:
        await awaitable
    except BaseException as error:
        # asyncio ends the event loop when a task raises SystemExit or KeyboardInterrupt.
        if ends_program(error):
            raise
        return error
    return None


class TaskSet(set["asyncio.Task[Any]"]):
    """Tasks that are running. The event loop itself holds only weak references to its tasks."""

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        """Run *coroutine* in a task of the running loop, and keep the task until it is done."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.add(task)
        task.add_done_callback(self.discard)
        return task

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in self.copy():
            task.cancel()
