"""Manager level: handlers that raise anything that can be raised, or that interfere with what runs them."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

from ...context import EventContext
from ...options import SubscriptionHooks
from ...policies import Retry
from .hostile_errors import HOSTILE_ERRORS
from .hostile_surroundings import (
    ERRORS,
    GOOD,
    INTERFERENCES,
    EndRaisingObserver,
    Interference,
    RaisingExceptionManager,
    RaisingFilter,
    RaisingInterceptor,
    RaisingLogHandler,
    RaisingObserver,
    raise_abort,
    raise_abort_async,
    raise_numbered,
)
from .rig import Log, Rig
from .suite import ConformanceBase, contract


def _handlers(log: Log[int]) -> dict[str, Callable[..., Any]]:
    """Return handlers of every shape that raise the error with the number of the event."""

    def sync(event: Any) -> None:
        log.add(event.number)
        raise_numbered(event.number)

    async def coroutine(event: Any) -> None:
        sync(event)

    async def late_coroutine(event: Any) -> None:
        await asyncio.sleep(0)
        sync(event)

    results: list[Any] = []

    def generator(event: Any) -> Any:
        yield from ()
        sync(event)

    async def async_generator(event: Any) -> Any:
        sync(event)
        for returned in results:
            yield returned

    return {
        "sync": sync,
        "coroutine": coroutine,
        "late coroutine": late_coroutine,
        "generator": generator,
        "async generator": async_generator,
    }


class HostileHandlerContract(ConformanceBase):
    """One failed attempt, one dead letter; the next event is handled, neighbours are undisturbed, the health is good."""

    @contract("competing", "durable")
    async def test_a_sync_handler_may_raise_anything(self, rig: Rig) -> None:
        await _run_table(rig, "sync")

    @contract("competing", "durable")
    async def test_an_inline_handler_may_raise_anything(self, rig: Rig) -> None:
        await _run_table(rig, "sync", inline=True)

    @contract("competing", "durable")
    async def test_an_async_handler_may_raise_anything(self, rig: Rig) -> None:
        await _run_table(rig, "coroutine")
        await _run_table(rig, "late coroutine")

    @contract("competing", "durable")
    async def test_a_generator_may_raise_anything(self, rig: Rig) -> None:
        await _run_table(rig, "generator")
        await _run_table(rig, "async generator")

    @contract("competing", "durable")
    async def test_a_handler_with_a_time_limit_may_raise_anything(self, rig: Rig) -> None:
        limit = Retry(timeout=60.0)
        await _run_table(rig, "sync", retry=limit)
        await _run_table(rig, "late coroutine", retry=limit)

    @contract("competing", "durable")
    async def test_a_handler_may_raise_anything_in_every_attempt(self, rig: Rig) -> None:
        await _run_table(rig, "coroutine", retry=Retry(attempts=2, delay=0.0), attempts=2)

    @contract("competing", "durable", "headers")
    async def test_an_interceptor_may_raise_anything(self, rig: Rig) -> None:
        log = rig.log()
        await _run_table(rig, "coroutine", pipelines=[RaisingInterceptor(log)], log=log)

    @contract("competing", "durable")
    async def test_a_condition_may_raise_anything(self, rig: Rig) -> None:
        log = rig.log()

        def condition(event: Any) -> bool:
            log.add(event.number)
            raise_numbered(event.number)
            return True

        await _run_table(rig, "coroutine", when=condition, log=log)

    @contract("competing", "durable")
    async def test_observers_exception_managers_and_hooks_may_raise_anything(self, rig: Rig) -> None:
        hooks = SubscriptionHooks(on_connect=raise_abort, on_disconnect=raise_abort_async, on_error=raise_abort_async)
        await _run_table(
            rig,
            "coroutine",
            hooks=hooks,
            observers=[RaisingObserver(), EndRaisingObserver()],
            exception_manager=RaisingExceptionManager(),
        )

    @contract("competing", "durable")
    async def test_the_logging_of_the_application_may_raise_anything(self, rig: Rig) -> None:
        logger, handler, raising = logging.getLogger("aspyx.event"), RaisingLogHandler(), RaisingFilter()
        retry = Retry(attempts=2, delay=0.0)
        try:
            logger.addHandler(handler)
            await _run_table(rig, "coroutine", retry=retry, attempts=2)
            logger.addFilter(raising)
            await _run_table(rig, "sync", retry=retry, attempts=2)
        finally:
            logger.removeHandler(handler)
            logger.removeFilter(raising)

    @contract("competing", "durable")
    async def test_a_handler_may_interfere_with_what_runs_it(self, rig: Rig) -> None:
        """With its task, its subscription, its manager and signals; the next event is handled each time."""
        for name, action in INTERFERENCES.items():
            await _run_action(rig, name, action)

    @contract("competing", "durable")
    async def test_a_handler_may_end_its_subscription_or_its_manager(self, rig: Rig) -> None:
        """Its own event is done then, and the next one waits for the next consumer."""
        await _end_inside(rig, "cancel", lambda interference: interference.subscription.cancel())
        await _end_inside(
            rig, "unsubscribe", lambda interference: interference.manager.unsubscribe(interference.subscription)
        )
        await _end_inside(rig, "stop", lambda interference: interference.manager.stop())


async def _run_table(
    rig: Rig,
    shape: str,
    *,
    attempts: int = 1,
    log: Log[int] | None = None,
    pipelines: Any = (),
    observers: Any = (),
    exception_manager: Any = None,
    **options: Any,
) -> None:
    """Send an event for every hostile error, and a good one, to a handler that raises these errors and to a neighbour."""
    calls = log or rig.log()
    handler = _handlers(rig.log() if log is not None else calls)[shape]
    manager = await rig.manager(pipelines=pipelines, observers=observers, exception_manager=exception_manager)
    order, neighbour = rig.event(shape.replace(" ", "-")), rig.calls()
    name = f"{rig.name}.{shape.replace(' ', '-')}.hostile"
    dead = await rig.dead_letters(order, name)
    subscription = await manager.subscribe(order, handler, name=name, **options)
    beside = await manager.subscribe(order, neighbour, name=f"{name}-neighbour")
    numbers = [*range(len(ERRORS)), GOOD]
    receipts = [manager.send_event(order(number), headers={"number": str(number)}) for number in numbers]
    for receipt in receipts:
        await receipt
    await calls.when(lambda items: GOOD in items, "the good event")
    letters = await dead.until(len(ERRORS))
    assert [letter.envelope.id for letter in letters] == [receipt.id for receipt in receipts[:-1]]
    assert neighbour.numbers == (await neighbour.until_number(GOOD)) == numbers
    _check_calls(calls.items, attempts)
    stats = subscription.stats
    await _until(lambda: stats.count == 1)
    assert (stats.count, stats.dead_letters, beside.stats.failures) == (1, len(ERRORS), 0)
    await _check_health(manager)
    await subscription.cancel()
    await beside.cancel()


def _check_calls(numbers: list[int], attempts: int) -> None:
    """Check that each event was handled in its place, and as often as it had attempts."""
    names = [*HOSTILE_ERRORS, "good"]
    for number in range(len(ERRORS)):
        # Before Python 3.11 a task cannot tell its own cancellation from an error that its handler raises.
        most = attempts + 1 if sys.version_info < (3, 11) and "cancel" in names[number] else attempts
        assert attempts <= numbers.count(number) <= most, f"{names[number]}: {numbers.count(number)} calls"
    assert numbers == sorted(numbers, key=lambda number: number % len(names))


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  the time limit of the test ends it
        await asyncio.sleep(0.01)


async def _check_health(manager: Any) -> None:
    health = await manager.health(timeout=10.0)
    assert health.live, health.reasons
    assert health.ready, health.reasons


async def _run_action(rig: Rig, name: str, action: Callable[[Interference], Any]) -> None:
    """Let a handler interfere at its first event; it handles the second one."""
    manager, order, calls, neighbour = await rig.manager(), rig.event(name), rig.log(), rig.calls()
    interference = Interference(rig, manager, rig.event(f"{name}-other"))

    async def handler(event: Any, _: EventContext) -> Any:
        calls.add(event.number)
        return await action(interference) if event.number == 1 else None

    interference.subscription = await manager.subscribe(order, handler, name=f"{rig.name}.{name}")
    beside = await manager.subscribe(order, neighbour, name=f"{rig.name}.{name}.neighbour")
    for number in (1, 2):
        await manager.send_event(order(number))
    await calls.when(lambda numbers: 2 in numbers, f"{name}: the second event")
    await neighbour.until_number(2)
    assert 1 <= calls.items.count(1) <= 2, f"{name}: {calls.items}"
    stats = interference.subscription.stats
    await _until(lambda: stats.count + stats.dead_letters == 2)
    assert beside.stats.dead_letters == 0, name
    await _check_health(manager)
    await manager.stop()


async def _end_inside(rig: Rig, name: str, end: Callable[[Interference], Any]) -> None:
    manager, order, log = await rig.manager("one"), rig.event(f"end-{name}"), rig.log()
    interference, following = Interference(rig, manager, order), rig.calls()

    async def handler(event: Any) -> None:
        if event.number == 1:
            await end(interference)
        log.add(event.number)

    listener = f"{rig.name}.end-{name}"
    interference.subscription = await manager.subscribe(order, handler, name=listener)
    sender = await rig.manager("two")
    for number in (1, 2):
        await sender.send_event(order(number))
    await log.when(lambda numbers: 1 in numbers, f"{name}: the first event")
    await manager.stop()
    # A stop that has only begun lets the second event pass, or not; neither event is handled twice.
    await sender.subscribe(order, following, name=listener)
    await sender.send_event(order(3))
    await following.until_number(3)
    assert [*log.items, *following.numbers] == [1, 2, 3], name
    await sender.stop()
