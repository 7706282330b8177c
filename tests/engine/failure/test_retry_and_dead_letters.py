"""Retries in both modes, time limits, manual acknowledgement, and the dead letters at the manager."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest
from support_core import eventually

from aspyx_event import (
    AckPolicy,
    DeclarationError,
    Deduplicate,
    EventManager,
    Limits,
    LocalBroker,
    LocalProvider,
    Retry,
    StateError,
    event,
)
from aspyx_event.clock import ManualClock
from aspyx_event.exceptions import HandlerTimeoutError, HeaderError, LimitExceededError, UnknownDeadLetterError
from aspyx_event.observer import Observer


@event("policy.order", durable=True)
@dataclass
class Order:
    number: int


class Failing:
    """Fails until it is cured; remembers number, attempt and what it replays."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.cured, self.calls = set(numbers), False, []

    async def __call__(self, order, context):
        self.calls.append((order.number, context.attempt, context.headers.get("aspyx-replay-of", "")))
        if order.number in self.numbers and not self.cured:
            raise ValueError(f"no {order.number}")


async def test_a_delayed_retry_lets_the_events_behind_pass_and_counts_attempts():
    clock = ManualClock()
    failing = Failing(1)
    async with EventManager(LocalProvider(clock=clock)) as manager:
        retry = Retry(attempts=3, delay=10, backoff="fixed", jitter=0, mode="delayed")
        subscription = await manager.subscribe(Order, failing, name="delayed", retry=retry)
        for number in (1, 2, 3):
            await manager.send_event(Order(number))
        await eventually(lambda: len(failing.calls) == 3)
        assert [call[:2] for call in failing.calls] == [(1, 1), (2, 1), (3, 1)]
        await clock.advance(9)
        assert len(failing.calls) == 3
        await clock.advance(1)
        await eventually(lambda: len(failing.calls) == 4)
        await clock.advance(10)
        await eventually(lambda: subscription.stats.dead_letters == 1)
        assert [call[:2] for call in failing.calls[3:]] == [(1, 2), (1, 3)]
        [letter] = await manager.dead_letters.list()
    assert (letter.attempts, letter.cause.type, letter.cause.message) == (3, "builtins.ValueError", "no 1")


class RecordingClock(ManualClock):
    """Remembers the delays that it was asked for."""

    def __init__(self):
        super().__init__()
        self.delays = []

    def call_later(self, delay, callback):
        self.delays.append(delay)
        return super().call_later(delay, callback)


class RetryObserver(Observer):
    """Remembers the delays that it was told."""

    def __init__(self):
        self.delays = []

    def retrying(self, context, error, delay):
        self.delays.append(delay)


@pytest.mark.parametrize("mode", ["in-order", "delayed"])
async def test_an_observer_is_told_the_delay_that_is_waited(mode):
    """The delay is random within its jitter: it is drawn once for each attempt."""
    clock, observer, failing = RecordingClock(), RetryObserver(), Failing(1)
    async with EventManager(LocalProvider(clock=clock), observers=[observer]) as manager:
        retry = Retry(attempts=4, delay=10, jitter=0.5, mode=mode)
        subscription = await manager.subscribe(Order, failing, name="jittered", retry=retry)
        await manager.send_event(Order(1))
        for attempt in (1, 2, 3):
            await eventually(lambda: clock.waiting == 1 and len(failing.calls) == attempt)  # noqa: B023
            await clock.advance(clock.delays[-1])
        await eventually(lambda: subscription.stats.dead_letters == 1)
    assert len(observer.delays) == 3
    assert clock.delays == pytest.approx(observer.delays)


async def test_an_in_order_retry_holds_the_events_behind():
    clock = ManualClock()
    failing = Failing(1)
    async with EventManager(LocalProvider(clock=clock)) as manager:
        await manager.subscribe(Order, failing, name="ordered", retry=Retry(attempts=2, delay=10, jitter=0))
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: clock.waiting == 1)
        assert [call[:2] for call in failing.calls] == [(1, 1)]
        await clock.advance(10)
        await eventually(lambda: len(failing.calls) == 3)
    assert [call[:2] for call in failing.calls] == [(1, 1), (1, 2), (2, 1)]


async def test_a_delayed_copy_goes_to_the_failing_listener_alone():
    clock = ManualClock()
    failing, other = Failing(1), []
    async with EventManager(LocalProvider(clock=clock)) as manager:
        await manager.subscribe(Order, failing, name="failing", retry=Retry(attempts=2, delay=1, mode="delayed"))
        await manager.subscribe(Order, other.append, name="other", inline=True)
        await manager.send_event(Order(1))
        await eventually(lambda: clock.waiting == 1)
        failing.cured = True
        await clock.advance(2)
        await eventually(lambda: len(failing.calls) == 2)
    assert other == [Order(1)]


async def test_an_event_does_not_outlive_its_ttl_by_being_retried():
    clock = ManualClock()
    failing = Failing(1)
    provider = LocalProvider(clock=clock)
    async with EventManager(provider) as manager:
        retry = Retry(attempts=9, delay=60, backoff="fixed", jitter=0, mode="delayed")
        await manager.subscribe(Order, failing, name="short-lived", retry=retry)
        await manager.send_event(Order(1), ttl=30)
        await eventually(lambda: provider.broker.delayed == 1)
        await clock.advance(120)
        await eventually(lambda: provider.broker.delayed == 0)
        assert provider.broker.depth("short-lived") == 0
    assert len(failing.calls) == 1


async def test_a_delayed_retry_needs_a_queue_with_a_name():
    async with EventManager(LocalProvider()) as manager:
        with pytest.raises(DeclarationError, match="in-order"):
            manager.subscribe(Order, print, name="own", per_process=True, retry=Retry(attempts=2, mode="delayed"))


async def test_a_dead_letter_tells_all_and_is_replayed_to_its_subscription_alone():
    failing, other = Failing(1, 2), []
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, failing, name="failing")
        await manager.subscribe(Order, other.append, name="other", inline=True)
        receipts = [manager.send_event(Order(number), headers={"tenant": "a"}) for number in (1, 2, 3)]
        await asyncio.gather(*receipts)
        await eventually(lambda: len(failing.calls) == len(other) == 3)
        first, second = await manager.dead_letters.list("failing")
        assert [first.event_id, second.event_id] == [receipts[0].id, receipts[1].id]
        assert (first.subscription, first.address, first.queue, first.attempts) == (
            "failing",
            "policy.order",
            "failing",
            1,
        )
        assert first.body == b'{"number":1}'
        assert first.headers["tenant"] == "a"
        assert not [name for name in first.headers if name.startswith("aspyx-")]
        assert "no 1" in first.cause.traceback
        assert first.failed_at is not None
        assert await manager.dead_letters.inspect(second.id) == second

        failing.cured, failing.calls = True, []
        assert await manager.dead_letters.replay(first.id) == 1
        await eventually(lambda: failing.calls == [(1, 1, first.id)])
        assert len(other) == 3
        assert [letter.id for letter in await manager.dead_letters.list()] == [second.id]
        with pytest.raises(UnknownDeadLetterError, match=first.id):
            await manager.dead_letters.replay(first.id)
        with pytest.raises(UnknownDeadLetterError):
            await manager.dead_letters.inspect(first.id)


async def test_replay_all_takes_what_the_filter_accepts_and_tells_its_progress():
    failing, progress = Failing(*range(6)), []
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, failing, name="failing")
        for number in range(6):
            await manager.send_event(Order(number))
        await eventually(lambda: subscription.stats.dead_letters == 6)
        failing.cured, failing.calls = True, []
        count = await manager.dead_letters.replay_all(
            lambda letter: letter.cause.message in {"no 1", "no 4"}, progress=progress.append
        )
        await eventually(lambda: len(failing.calls) == 2)
        assert (count, progress) == (2, [1, 2])
        assert [call[0] for call in failing.calls] == [1, 4]
        assert await manager.dead_letters.purge(lambda letter: letter.cause.message == "no 0") == 1
        assert [letter.cause.message for letter in await manager.dead_letters.list()] == ["no 2", "no 3", "no 5"]
        assert len(await manager.dead_letters.list(limit=2)) == 2
        assert await manager.dead_letters.purge() == 3
        assert await manager.dead_letters.list() == []


async def test_a_letter_that_cannot_go_back_stays_and_keeps_no_other(caplog):
    volatile, durable = Failing(1), Failing(1)
    async with EventManager(LocalProvider()) as manager:
        first = await manager.subscribe(Order, volatile, name="volatile", per_process=True)
        second = await manager.subscribe(Order, durable, name="durable")
        await manager.send_event(Order(1))
        await eventually(lambda: first.stats.dead_letters == second.stats.dead_letters == 1)
        durable.cured = True
        assert await manager.dead_letters.replay_all() == 1
        await eventually(lambda: second.stats.count == 1)
        [letter] = await manager.dead_letters.list()
        assert letter.subscription == "volatile"
        assert f"{letter.id} stays" in caplog.text
        with pytest.raises(DeclarationError, match="per_process"):
            await manager.dead_letters.replay(letter.id)


async def test_a_replay_keeps_to_its_rate():
    failing = Failing(*range(5))
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, failing, name="failing")
        for number in range(5):
            await manager.send_event(Order(number))
        await eventually(lambda: subscription.stats.dead_letters == 5)
        failing.cured = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await manager.dead_letters.replay_all(rate=50) == 5
        # Five letters have four pauses between them, of a fiftieth of a second each.
        assert loop.time() - began >= 4 / 50
        await eventually(lambda: subscription.stats.count == 5)


async def test_a_replayed_event_that_fails_again_is_a_letter_again():
    failing = Failing(1)
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, failing, name="failing")
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters == 1)
        [letter] = await manager.dead_letters.list()
        await manager.dead_letters.replay(letter.id)
        await eventually(lambda: subscription.stats.dead_letters == 2)
        [again] = await manager.dead_letters.list()
    assert again.event_id == letter.event_id
    assert again.id != letter.id
    assert again.headers["aspyx-replay-of"] == letter.id


async def test_an_unreadable_dead_letter_does_not_hide_the_others():
    from aspyx_event import Envelope
    from aspyx_event.providers import AddressKind, Outgoing

    failing = Failing(1)
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, failing, name="failing")
        foreign = Envelope(b"\xff", {"aspyx-attempts": "many", "aspyx-failed-at": "yesterday"})
        address = "dead-letters.policy.order.failing"
        await manager.provider.publish(
            Outgoing(address=address, envelope=foreign, dedup_id="x", kind=AddressKind.QUEUE)
        )
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters == 1)
        strange, letter = await manager.dead_letters.list()
    assert (strange.body, strange.attempts, strange.failed_at, strange.cause.type) == (b"\xff", 0, None, "")
    assert letter.cause.message == "no 1"


async def test_dead_letters_of_an_unknown_subscription_are_an_error_that_names_the_known_ones():
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, print, name="billing")
        with pytest.raises(DeclarationError, match=r"'bill'.*billing"):
            await manager.dead_letters.list("bill")


def test_dead_letters_can_be_worked_with_without_a_loop():
    failing = Failing(1)
    manager = EventManager(LocalProvider())
    manager.subscribe(Order, failing, name="failing")
    manager.send_event(Order(1))
    [letter] = manager.dead_letters.list().result()
    failing.cured = True
    assert manager.dead_letters.replay(letter.id).result() == 1
    assert manager.dead_letters.list().result() == []
    asyncio.run(manager.stop())


async def test_an_async_handler_past_its_time_is_cancelled_and_its_slot_comes_back():
    cancelled = asyncio.Event()
    handled = []

    async def slow(order):
        if order.number == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
        handled.append(order.number)

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, slow, name="slow", retry=Retry(timeout=1.0))
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: handled == [2])
        [letter] = await manager.dead_letters.list()
        assert subscription.stats.abandoned == 0
    assert cancelled.is_set()
    assert letter.cause.type == f"aspyx_event.exceptions.{HandlerTimeoutError.__name__}"


async def test_a_sync_handler_past_its_time_is_left_behind_and_counted(caplog):
    go_on, handled = threading.Event(), []

    def slow(order):
        if order.number == 1:
            go_on.wait(20)
        handled.append(order.number)

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, slow, name="slow", retry=Retry(timeout=1.0))
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: handled == [2])
        assert subscription.stats.abandoned == 1
        [health] = (await manager.health()).subscriptions
        assert health.abandoned == 1
        go_on.set()
        await eventually(lambda: subscription.stats.abandoned == 0)
    assert any("was abandoned" in record.getMessage() for record in caplog.records)


async def test_a_handler_acknowledges_by_itself_where_it_wishes():
    contexts = []

    async def later(order, context):
        contexts.append(context)

    broker = LocalBroker()
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(Order, later, name="manual", ack=AckPolicy.MANUAL)
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: len(contexts) == 2)
        assert broker.depth("manual") == 2
        contexts[0].ack()
        contexts[0].ack()
        assert broker.depth("manual") == 1
    again = []
    async with EventManager(LocalProvider(broker=broker)) as manager:
        await manager.subscribe(Order, again.append, name="manual", inline=True)
        await eventually(lambda: again == [Order(2)])


async def test_only_a_manual_listener_settles():
    errors = []

    async def wrong(order, context):
        try:
            context.ack()
        except StateError as error:
            errors.append(str(error))

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, wrong, name="wrong")
        await manager.send_event(Order(1))
        await eventually(lambda: errors)
    assert "AckPolicy.MANUAL" in errors[0]


async def test_the_inbox_lets_an_event_reach_each_subscription_once_but_retries_it():
    from aspyx_event import Envelope
    from aspyx_event.providers import Outgoing

    failing, other = Failing(1), []
    provider = LocalProvider()
    async with EventManager(provider, pipelines=[Deduplicate()]) as manager:
        subscription = await manager.subscribe(Order, failing, name="failing", retry=Retry(attempts=2, delay=0))
        await manager.subscribe(Order, other.append, name="other", inline=True)

        async def deliver(event_id, number):
            headers = {"cloudEvents_id": event_id}
            body = b'{"number":%d}' % number
            await provider.publish(Outgoing(address="policy.order", envelope=Envelope(body, headers), dedup_id="x"))

        await deliver("one", 1)
        await eventually(lambda: subscription.stats.dead_letters == 1 and len(other) == 1)
        failing.cured = True
        for _ in range(3):
            await deliver("one", 1)
        await deliver("two", 2)
        await eventually(lambda: len(other) == 2 and failing.calls[-1][0] == 2)
    assert [call[:2] for call in failing.calls] == [(1, 1), (1, 2), (1, 1), (2, 1)]
    assert other == [Order(1), Order(2)]


async def test_an_event_beyond_the_limits_is_refused_on_sending():
    limits = Limits(body=40, headers=8, header_bytes=500)
    async with EventManager(LocalProvider(), limits=limits) as manager:
        with pytest.raises(LimitExceededError, match=r"Limits\.headers"):
            await manager.send_event(Order(1), headers={f"h{number}": "" for number in range(9)})
        with pytest.raises(LimitExceededError, match=r"Limits\.header_bytes"):
            await manager.send_event(Order(1), headers={"long": "x" * 500})
        with pytest.raises(LimitExceededError, match=r"Limits\.body"):
            await manager.send_event(Order(10**50))
        with pytest.raises(HeaderError):
            await manager.send_event(Order(1), headers={"": "x"})
        await manager.send_event(Order(1))
