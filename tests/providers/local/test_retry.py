"""Attempts, waits and times of the local provider, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support_core import Gate, Recorder, eventually, settle

from aspyx_event import Backoff, EventManager, LocalBroker, LocalProvider, Retry, event
from aspyx_event.clock import ManualClock


@event(name="retry.order", durable=True)
@dataclass
class Order:
    number: int


def errors(count: int, kind: type[Exception] = ValueError) -> list[Exception]:
    return [kind(f"failure {number}") for number in range(1, count + 1)]


async def waits_of(retry: Retry, seen: Recorder) -> list[float]:
    """Return how long the clock had to go on before each further attempt."""
    clock = ManualClock()
    waits: list[float] = []
    async with EventManager(LocalProvider(clock=clock)) as manager:
        subscription = await manager.subscribe(Order, seen, name="careful", retry=retry)
        await manager.send_event(Order(1))
        await eventually(lambda: seen.events)
        while not seen.handled and not subscription.stats.dead_letters:
            attempts = len(seen.events)
            await eventually(lambda: clock.waiting or seen.handled or subscription.stats.dead_letters)
            begin = clock.time()
            while clock.waiting and len(seen.events) == attempts:
                await clock.advance(0.5)
                await settle(10)
            if len(seen.events) > attempts:
                waits.append(clock.time() - begin)
    return waits


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (Retry(attempts=4, delay=2, backoff=Backoff.FIXED, jitter=0), [2, 2, 2]),
        (Retry(attempts=5, delay=1, backoff=Backoff.EXPONENTIAL, jitter=0), [1, 2, 4, 8]),
        (Retry(attempts=5, delay=1, backoff=Backoff.EXPONENTIAL, jitter=0, max_delay=3), [1, 2, 3, 3]),
        (Retry(attempts=5, backoff=[1, 5], jitter=0), [1, 5, 5, 5]),
        (Retry(attempts=1), []),
    ],
    ids=["fixed", "exponential", "bounded", "list", "none"],
)
async def test_the_waits_between_attempts_follow_the_policy(retry, expected):
    seen = Recorder(failures=errors(retry.attempts))
    assert await waits_of(retry, seen) == expected
    assert len(seen.events) == retry.attempts


def test_jitter_spreads_the_waits():
    retry = Retry(attempts=2, delay=10, jitter=0.2)
    waits = [retry.next_delay(1, ValueError()) for _ in range(200)]
    assert all(8 <= wait <= 12 for wait in waits)
    assert max(waits) - min(waits) > 1


def test_no_wait_grows_beyond_its_bound_and_none_that_was_asked_for_is_cut():
    def waits(**options):
        retry = Retry(attempts=9, **options)
        return [retry.next_delay(attempt, ValueError()) for attempt in range(1, 9) for _ in range(50)]

    assert max(waits(delay=1, max_delay=20, jitter=0.5)) <= 20
    assert set(waits(delay=300, backoff="fixed", jitter=0)) == {300}
    assert set(waits(delay=300, jitter=0)) == {300}
    assert set(waits(backoff=[30, 600], jitter=0)) == {30, 600}
    assert max(waits(backoff=[600], jitter=0.5)) > 600


async def test_attempts_are_counted_and_success_ends_them():
    seen = Recorder(failures=errors(2))
    await waits_of(Retry(attempts=5, delay=1, jitter=0), seen)
    assert [context.attempt for context in seen.contexts] == [1, 2, 3]
    assert len({context.event_id for context in seen.contexts}) == 1


@pytest.mark.parametrize(
    ("retry", "kind", "attempts"),
    [
        (Retry(attempts=3, delay=0, on=(OSError,)), ConnectionError, 3),
        (Retry(attempts=3, delay=0, on=(OSError,)), ValueError, 1),
        (Retry(attempts=3, delay=0, never=(LookupError,)), KeyError, 1),
        (Retry(attempts=3, delay=0, never=(LookupError,)), ValueError, 3),
        (Retry(attempts=3, delay=0, on=(LookupError,), never=(KeyError,)), KeyError, 1),
    ],
    ids=["on", "not on", "never", "not never", "never wins"],
)
async def test_only_the_named_errors_are_tried_again(retry, kind, attempts):
    seen = Recorder(failures=errors(5, kind))
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, seen, name="careful", retry=retry)
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters)
    assert len(seen.events) == attempts


async def test_the_managers_policy_is_for_listeners_without_one():
    plain, own = Recorder(failures=errors(9)), Recorder(failures=errors(9))
    async with EventManager(LocalProvider(), retry=Retry(attempts=3, delay=0)) as manager:
        one = await manager.subscribe(Order, plain, name="plain")
        two = await manager.subscribe(Order, own, name="own", retry=Retry(attempts=2, delay=0))
        await manager.send_event(Order(1))
        await eventually(lambda: one.stats.dead_letters and two.stats.dead_letters)
    assert (len(plain.events), len(own.events)) == (3, 2)


async def test_a_waiting_attempt_holds_its_queue_so_that_the_order_stays():
    clock, seen = ManualClock(), Recorder(failures=errors(1))
    async with EventManager(LocalProvider(clock=clock)) as manager:
        await manager.subscribe(Order, seen, name="careful", retry=Retry(attempts=2, delay=5, jitter=0))
        await manager.send_event(Order(1))
        await manager.send_event(Order(2))
        await eventually(lambda: clock.waiting)
        await settle()
        assert seen.events == [Order(1)]
        await clock.advance(5)
        await eventually(lambda: seen.handled == [Order(1), Order(2)])


async def test_a_stop_ends_the_wait_and_the_event_stays_in_its_durable_queue():
    broker, seen = LocalBroker(ManualClock()), Recorder(failures=errors(1))
    manager = EventManager(LocalProvider(broker=broker))
    await manager.subscribe(Order, seen, name="careful", retry=Retry(attempts=2, delay=3600))
    await manager.send_event(Order(1))
    await eventually(lambda: broker.clock.waiting)  # type: ignore[attr-defined]
    await manager.stop()
    assert (broker.depth("careful"), broker.clock.waiting) == (1, 0)  # type: ignore[attr-defined]
    async with EventManager(LocalProvider(broker=broker)) as other:
        await other.subscribe(Order, seen, name="careful")
        await eventually(lambda: seen.handled)
    assert [context.redelivered for context in seen.contexts] == [False, True]


async def test_a_delayed_event_comes_when_its_time_has_come():
    broker, seen = LocalBroker(ManualClock()), Recorder()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(Order, seen)
        await manager.send_event(Order(1), delay=10)
        await manager.send_event(Order(2), delay=5)
        await manager.send_event(Order(3))
        await eventually(lambda: seen.handled == [Order(3)])
        assert broker.delayed == 2
        await broker.clock.advance(4.9)  # type: ignore[attr-defined]
        await settle()
        assert seen.handled == [Order(3)]
        await broker.clock.advance(10)  # type: ignore[attr-defined]
        await eventually(lambda: seen.handled == [Order(3), Order(2), Order(1)])
        assert broker.delayed == 0


async def test_an_event_that_waited_too_long_is_not_delivered():
    clock, gate = ManualClock(), Gate()
    async with EventManager(LocalProvider(clock=clock)) as manager:
        await manager.subscribe(Order, gate, name="slow", prefetch=1)
        await manager.send_event(Order(1))
        await eventually(lambda: gate.entered)
        await manager.send_event(Order(2), ttl=5)
        await manager.send_event(Order(3), ttl=60)
        await manager.send_event(Order(4), ttl=5, delay=6)
        await clock.advance(10)
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 2)
        await settle()
        assert gate.left == [Order(1), Order(3)]
        assert manager.provider.broker.depth("slow") == 0  # type: ignore[attr-defined]


async def test_a_manual_clock_calls_in_order_and_forgets_what_was_cancelled():
    clock, called = ManualClock(100.0), []
    clock.call_later(2, lambda: called.append(("two", clock.time())))
    clock.call_later(1, lambda: called.append(("one", clock.time())))
    cancelled = clock.call_later(1, lambda: called.append(("never", 0)))
    cancelled.cancel()
    clock.call_later(1, lambda: clock.call_later(0.5, lambda: called.append(("nested", clock.time()))))  # type: ignore[arg-type]
    assert clock.waiting == 3
    await clock.advance(1.5)
    assert (called, clock.time()) == ([("one", 101.0), ("nested", 101.5)], 101.5)
    await clock.advance(1)
    assert called[-1] == ("two", 102.0)
