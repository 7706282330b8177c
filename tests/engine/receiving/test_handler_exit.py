"""A handler that calls sys.exit, or raises what is no Exception, fails; it does not end the process, nor its worker."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import eventually

from aspyx_event import EventManager, LocalProvider, Retry, event
from aspyx_event.engine.operations import DeadLetter


@event(name="exit.order")
@dataclass
class Order:
    number: int


class Abort(BaseException):
    """What some frameworks end their tasks with."""


def sync(order: Order) -> None:
    if order.number == 1:
        sys.exit(7)


async def coroutine(order: Order) -> None:
    sync(order)


def abort(order: Order) -> None:
    if order.number == 1:
        raise Abort("enough")


async def abort_async(order: Order) -> None:
    abort(order)


async def letter_of_the_first(handler: Any, inline: bool, timeout: float | None) -> DeadLetter:
    """Send two events to a handler that does not get over the first; return what becomes of that one."""
    async with EventManager(LocalProvider(), retry=Retry(attempts=2, delay=0.0, timeout=timeout)) as manager:
        subscription = await manager.subscribe(Order, handler, inline=inline)
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: subscription.stats.count == 1 and subscription.stats.dead_letters == 1)
        (letter,) = await manager.dead_letters.list()
    return letter


@pytest.mark.parametrize(("handler", "inline"), [(abort, False), (abort, True), (abort_async, False)])
@pytest.mark.parametrize("timeout", [None, 5.0])
async def test_a_handler_that_raises_no_exception_has_failed_and_the_next_event_is_handled(handler, inline, timeout):
    letter = await letter_of_the_first(handler, inline, timeout)
    assert letter.attempts == 2
    assert "Abort('enough')" in letter.cause.message


@pytest.mark.parametrize(("handler", "inline"), [(sync, False), (sync, True), (coroutine, False)])
@pytest.mark.parametrize("timeout", [None, 5.0])
async def test_a_handler_that_exits_has_failed_and_the_next_event_is_handled(handler, inline, timeout):
    letter = await letter_of_the_first(handler, inline, timeout)
    assert letter.attempts == 2
    assert "SystemExit(7)" in letter.cause.message
