"""AX-43, AX-44: where the errors of listeners go, with and without an exception manager."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest
from aspyx.exception import ExceptionManager, catch, handle
from support_core import Recorder, eventually, settle

from aspyx_event import EventManager, LocalProvider, Retry, current_context, event


@event(name="failures.order")
@dataclass
class Order:
    number: int


class ShopError(Exception):
    """Root of the errors of the example."""


class StockError(ShopError):
    """One of them."""


class Handlers:
    def __init__(self) -> None:
        self.caught: list[tuple] = []

    @catch()
    def anything(self, error: Exception):
        self.caught.append(("anything", error, current_context()))

    @handle()
    def shop(self, error: ShopError):
        self.caught.append(("shop", error, current_context()))


class AsyncHandlers(Handlers):
    @catch()
    async def anything(self, error: Exception):
        await asyncio.sleep(0)
        self.caught.append(("async", error, current_context()))


class FailingHandlers(Handlers):
    @catch()
    def anything(self, error: Exception):
        self.caught.append(("failing", error, None))
        raise RuntimeError("the handler is broken")


class OnlyShop:
    def __init__(self) -> None:
        self.caught: list[tuple] = []

    @handle()
    def shop(self, error: ShopError):
        self.caught.append(("shop", error, current_context()))


def _managed(handlers) -> ExceptionManager:
    manager = ExceptionManager()
    manager.collect_handlers(handlers)
    return manager


async def _fail_with(error: Exception, handlers=None, *, sync: bool = False, retry: Retry | None = None):
    """Let one listener fail once with *error* and another one succeed; return the failing subscription."""
    good = Recorder()
    bad = Recorder(failures=[error] * (retry.attempts if retry else 1))

    def sync_bad(event: Order) -> None:
        raise error

    exceptions = _managed(handlers) if handlers is not None else None
    async with EventManager(LocalProvider(), exceptions) as manager:
        subscription = await manager.subscribe(Order, sync_bad if sync else bad, name="failing", retry=retry)
        await manager.subscribe(Order, good, name="good")
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters == 1 and good.handled)
        await settle()
    return subscription


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(("error", "taken_by"), [(StockError("empty"), "shop"), (KeyError("k"), "anything")])
async def test_the_most_specific_handler_gets_the_error_once(error, taken_by, sync, caplog):
    handlers = Handlers()
    await _fail_with(error, handlers, sync=sync)
    assert [(who, caught) for who, caught, _ in handlers.caught] == [(taken_by, error)]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_handler_knows_event_and_subscription():
    handlers, error = Handlers(), ShopError("x")
    subscription = await _fail_with(error, handlers)
    [(_, _, context)] = handlers.caught
    assert (context.event_name, context.listener.name, context.attempt) == ("failures.order", "failing", 1)
    assert context.listener is subscription.descriptor
    assert context.headers
    [note] = error.__notes__  # type: ignore[attr-defined]
    assert "listener 'failing'" in note
    assert "event 'failures.order'" in note
    assert current_context() is None


async def test_handlers_may_be_async():
    handlers = AsyncHandlers()
    await _fail_with(KeyError("k"), handlers)
    [(who, _, context)] = handlers.caught
    assert (who, context.listener.name) == ("async", "failing")


async def test_a_failing_handler_is_logged_and_stops_nothing(caplog):
    handlers = FailingHandlers()
    await _fail_with(KeyError("k"), handlers)
    assert [who for who, _, _ in handlers.caught] == ["failing"]
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "an exception handler for KeyError failed itself" in record.getMessage()
    assert "the handler is broken" in caplog.text


async def test_only_the_last_attempt_reaches_the_handlers():
    handlers = Handlers()
    subscription = await _fail_with(ShopError("x"), handlers, retry=Retry(attempts=3, delay=0))
    assert subscription.stats.failures == 3
    assert [context.attempt for _, _, context in handlers.caught] == [3]


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("handlers", [None, OnlyShop()])
async def test_an_error_nobody_handles_is_logged_once_with_event_and_listener(handlers, sync, caplog):
    await _fail_with(LookupError("nobody cares"), handlers, sync=sync)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    [record] = errors
    assert record.name == "aspyx.event"
    for words in ("listener 'failing'", "event 'failures.order'", "LookupError: nobody cares", "attempt 1"):
        assert words in record.getMessage()
    assert record.exc_info[1].args == ("nobody cares",)
    assert "never retrieved" not in caplog.text


async def test_earlier_attempts_are_warnings(caplog):
    await _fail_with(LookupError("again"), retry=Retry(attempts=3, delay=0))
    levels = [record.levelname for record in caplog.records if "again" in record.getMessage()]
    assert levels == ["WARNING", "WARNING", "ERROR"]
    assert "attempt 1 of 3" in caplog.text


async def test_a_handler_that_cancels_itself_leaves_its_subscription_alive(caplog):
    seen = []

    async def on(event: Order) -> None:
        seen.append(event.number)
        if event.number == 1:
            raise asyncio.CancelledError

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, on)
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: 2 in seen and subscription.stats.count == 1)


async def test_bodies_and_header_values_are_not_logged(caplog):
    caplog.set_level(logging.DEBUG)

    async def on(event, context) -> None:
        logging.getLogger("test").warning("%r %r", context, context.envelope)
        raise ShopError("failed")

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, on)
        await manager.send_event(Order(987654321), headers={"token": "s3cret"})
        await eventually(lambda: subscription.stats.dead_letters == 1)
    assert "987654321" not in caplog.text
    assert "s3cret" not in caplog.text
    assert "token" in caplog.text
