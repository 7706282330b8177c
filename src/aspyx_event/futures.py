"""Helpers for asyncio's futures and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


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
    elif isinstance(error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(error)


def relay(source: asyncio.Future[None], target: asyncio.Future[None]) -> None:
    """Complete *target* with the outcome of *source* when that is done. Cancelling *target* does not cancel *source*."""
    source.add_done_callback(lambda done: settle(target, outcome(done)))


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
