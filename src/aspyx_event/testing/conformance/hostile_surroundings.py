"""Interceptors, observers, exception managers and logging that raise; and what a handler can do to what runs it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from ...context import current_context
from ...observer import Observer
from ...pipeline import AbstractEnvelopePipeline
from .hostile_errors import HOSTILE_ERRORS, UNPRINTABLE, Abort
from .rig import Log, Rig

#: The number of an event that every handler handles without an error.
GOOD = -1
ERRORS = list(HOSTILE_ERRORS.values())


def raise_numbered(number: int) -> None:
    if number != GOOD:
        error = ERRORS[number]()
        raise error


class RaisingInterceptor(AbstractEnvelopePipeline):
    """Raises in place of the handler."""

    def __init__(self, log: Log[int]) -> None:
        super().__init__()
        self._log = log

    async def handle(self, envelope: Any, event_listener_descriptor: Any) -> Any:
        number = int(envelope.headers["number"])
        if event_listener_descriptor.name.endswith(".hostile"):
            self._log.add(number)
            raise_numbered(number)
        await self.proceed_handle(envelope, event_listener_descriptor)


class RaisingObserver(Observer):
    """Raises at every stage and at the end of every stage."""

    def __getattribute__(self, name: str) -> Any:
        if name == "for_manager" or name.startswith("__"):
            return super().__getattribute__(name)
        return raise_abort


class EndRaisingObserver(Observer):
    """Raises at the end of every stage."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("sending", "handling", "settling", "replaying"):
            return lambda *_: raise_abort
        return super().__getattribute__(name)


class RaisingExceptionManager:
    """An exception manager that raises, in the ways that a call and an awaitable can."""

    def __init__(self) -> None:
        self._number = 0

    def get_handlers(self, _: type) -> Any:
        self._number += 1
        if self._number % 5 == 0:
            raise UNPRINTABLE
        return self

    def handle(self, _: BaseException) -> Any:
        if self._number % 5 == 1:
            sys.exit("the exception handler exits")
        if self._number % 5 == 2:
            raise asyncio.CancelledError
        return self._cancel_itself() if self._number % 5 == 3 else raise_abort_async()

    async def _cancel_itself(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)


class RaisingLogHandler(logging.Handler):
    """A handler of the application's logging that is broken."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        raise Abort("logging is broken")


class RaisingFilter(logging.Filter):
    """A filter of the application's logging that is broken."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        raise UNPRINTABLE


def raise_abort(*_: Any) -> Any:
    raise Abort("enough")


async def raise_abort_async(*_: Any) -> None:
    raise Abort("enough")


class Interference:
    """What an action gets: it is called in the handler, on the manager's loop.

    Attributes:
        rig: Of the test.
        manager: Of the handler.
        subscription: Of the handler.
        other: The class of an event that nobody else sends.
    """

    def __init__(self, rig: Rig, manager: Any, other: type) -> None:
        self.rig, self.manager, self.other = rig, manager, other
        self.subscription: Any = None


async def _cancel_own_task(_: Interference) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def _cancel_own_task_and_return(_: Interference) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def _cancel_all_workers(_: Interference) -> None:
    for task in asyncio.all_tasks():
        if task.get_name().startswith("handle "):
            task.cancel()
    await asyncio.sleep(0)


async def _send(interference: Interference) -> None:
    await interference.manager.send_event(interference.other(1))


async def _subscribe_and_unsubscribe(interference: Interference) -> None:
    manager = interference.manager
    added = await manager.subscribe(interference.other, raise_abort_async, name=f"{interference.rig.name}.added")
    assert await manager.unsubscribe(added)


async def _pause_and_resume(interference: Interference) -> None:
    await interference.subscription.pause()
    await interference.subscription.resume()


async def _process(interference: Interference) -> None:
    await interference.manager.process_async(interference.other(1))


async def _recurse(interference: Interference) -> None:
    await _recurse(interference)


async def _raise_in_a_signal_handler(_: Interference) -> None:
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, raise_abort)
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)


async def _break_its_context(_: Interference) -> None:
    context: Any = current_context()
    context.envelope = context.listener = None
    raise Abort("its context is broken")


async def _return_what_raises(_: Interference) -> Any:
    return type("Raising", (), dict.fromkeys(("__bool__", "__iter__", "__len__", "__repr__"), raise_abort))()


INTERFERENCES: dict[str, Callable[[Interference], Any]] = {
    "cancel-own-task": _cancel_own_task,
    "cancel-own-task-and-return": _cancel_own_task_and_return,
    "cancel-all-workers": _cancel_all_workers,
    "send": _send,
    "subscribe-and-unsubscribe": _subscribe_and_unsubscribe,
    "pause-and-resume": _pause_and_resume,
    "process": _process,
    "recurse": _recurse,
    "raise-in-a-signal-handler": _raise_in_a_signal_handler,
    "break-its-context": _break_its_context,
    "return-what-raises": _return_what_raises,
}
