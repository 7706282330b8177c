"""Requirements never fail open, and handlers may be subscribed in any order."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from support_core import Recorder, eventually, soon
from support_order import Paid, Placed, noting

from aspyx_event import (
    AbstractEnvelopePipeline,
    DeclarationError,
    EventConfiguration,
    EventContext,
    EventManager,
    LocalProvider,
    Requirement,
    Retry,
    StopProcessing,
    event,
    event_handler,
)
from aspyx_event.database.deduplicate import Deduplicate
from aspyx_event.exceptions import RequirementError

#: A graph of five handlers: a and b before c; d before e; c before d.
GRAPH: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {"required_by": "c"},
    "c": {"requires": "a"},
    "d": {"requires": ("c", "b"), "required_by": "e"},
    "e": {},
}
ORDERS = list(itertools.permutations(GRAPH))


@event(name="order.kept", durable=True)
@dataclass
class Kept:
    number: int = 0


def all_five(notes: list[str]) -> bool:
    return len(notes) == len(GRAPH)


def assert_in_order(notes: list[str]) -> None:
    assert sorted(notes) == sorted(GRAPH)
    for first, second in (("a", "c"), ("b", "c"), ("c", "d"), ("d", "e")):
        assert notes.index(first) < notes.index(second), notes


def test_all_120_orders_of_subscribing_work_in_a_plain_script():
    for order in ORDERS:
        notes: list[str] = []
        manager = EventManager(LocalProvider())
        for name in order:
            manager.subscribe(Placed, noting(notes, name), **GRAPH[name])
        manager.send_event(Placed())
        assert_in_order(notes)
        assert len({subscription.queue for subscription in manager.list_subscriptions()}) == 1
        assert not manager.dead_letters.list().result()
        manager.stop()


@pytest.mark.parametrize("awaits", [True, False])
async def test_all_120_orders_of_subscribing_work_on_a_loop(awaits):
    for order in ORDERS:
        notes: list[str] = []
        manager = EventManager(LocalProvider())
        for name in order:
            subscription = manager.subscribe(Placed, noting(notes, name), inline=True, **GRAPH[name])
            if awaits:
                await subscription
        await manager.send_event(Placed())
        await eventually(partial(all_five, notes))
        assert_in_order(notes)
        await manager.stop()


def test_all_120_orders_of_subscribing_work_with_process():
    for order in ORDERS:
        notes: list[str] = []
        manager = EventManager(LocalProvider())
        for name in order:
            manager.subscribe(Placed, noting(notes, name), **GRAPH[name])
        manager.process(Placed())
        assert_in_order(notes)
        manager.stop()


def test_threads_may_subscribe_the_handlers_of_a_chain():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    with ThreadPoolExecutor(2) as pool:
        for name in "ecdba":
            pool.submit(manager.subscribe, Placed, noting(notes, name), **GRAPH[name]).result()
    manager.send_event(Placed())
    assert_in_order(notes)
    manager.stop()


async def test_events_sent_while_handlers_are_joined_are_not_lost():
    notes: list[Any] = []
    manager = EventManager(LocalProvider())
    for name in ("a", "b", "e"):
        await manager.subscribe(Placed, lambda event, name=name: notes.append((name, event.number)), name=name)
    for number in range(50):
        await manager.send_event(Placed(number))
    await manager.subscribe(Placed, lambda event: None, name="c", requires=("a", "b"), required_by="e")
    for number in range(50, 100):
        await manager.send_event(Placed(number))
    everything = set(itertools.product(("a", "b", "e"), range(100)))
    await eventually(lambda: set(notes) == everything)
    assert len({subscription.queue for subscription in manager.list_subscriptions()}) == 1
    await manager.stop()


async def test_a_handler_may_bind_others_while_it_handles():
    manager = EventManager(LocalProvider())
    seen = Recorder()

    async def first(event: Placed) -> None:
        if event.number == 0:
            await manager.subscribe(Placed, seen, name="last", requires=("first", "second"))

    await manager.subscribe(Placed, noting([], "second"))
    await manager.subscribe(Placed, first)
    await manager.send_event(Placed(0))
    await eventually(lambda: len(manager.list_subscriptions()) == 3)
    await eventually(lambda: not manager._engine.subscriptions.retiring)
    await manager.send_event(Placed(1))
    await eventually(lambda: Placed(1) in seen.handled)
    await manager.stop()


async def test_durable_queues_are_not_given_up_and_the_error_says_what_to_do():
    manager = EventManager(LocalProvider())
    await manager.subscribe(Kept, noting([], "a"))
    await manager.subscribe(Kept, noting([], "b"))
    with pytest.raises(DeclarationError, match="durable queues of their own already; pass them as EventManager"):
        manager.subscribe(Kept, noting([], "c"), requires=("a", "b"))
    await manager.stop()
    manager = EventManager(LocalProvider())
    notes: list[str] = []
    for name, required in (("c", ("a", "b")), ("a", None), ("b", None)):
        await manager.subscribe(Kept, noting(notes, name), requires=required)
    await manager.send_event(Kept())
    await eventually(lambda: notes == ["a", "b", "c"])
    await manager.stop()


async def test_events_that_wait_at_a_durable_queue_wait_for_the_required_handler_too():
    provider, notes = LocalProvider(), list[str]()
    first = EventManager(provider)
    await first.subscribe(Kept, noting([], "work"), name="work")
    await first.list_subscriptions()[0].pause()
    await first.send_event(Kept())
    await first.list_subscriptions()[0].cancel()
    await first.subscribe(Kept, noting(notes, "work"), requires="authorise")  # the event arrives at once
    await first.subscribe(Kept, noting(notes, "authorise"))
    await eventually(lambda: notes == ["authorise", "work"])
    assert not await first.dead_letters.list()
    await first.stop()


async def test_declared_handlers_come_first_then_those_that_are_subscribed():
    for eager in (False, True):
        notes: list[str] = []
        manager = EventManager(LocalProvider(), listeners=[event_handler(Placed)(noting(notes, "given"))])
        for name in ("one", "two"):
            subscription = manager.subscribe(Placed, noting(notes, name))
            if eager:
                await subscription
        await manager.process_async(Placed())
        assert notes == ["given", "one", "two"]
        await manager.stop()


def test_declared_handlers_come_first_in_a_plain_script_too():
    notes: list[str] = []
    manager = EventManager(LocalProvider(), listeners=[event_handler(Placed)(noting(notes, "given"))])
    manager.subscribe(Placed, noting(notes, "one"))
    manager.subscribe(Placed, noting(notes, "two"), requires="given")
    manager.process(Placed())
    assert notes == ["given", "one", "two"]
    manager.stop()


@pytest.mark.parametrize("elsewhere", [None, Paid, "order.placed.old", "order.*"])
async def test_a_start_refuses_a_requirement_that_nobody_meets(elsewhere):
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting([], "work"), requires="authorise")
    if elsewhere is not None:
        manager.subscribe(elsewhere, noting([], "authorise"))
    with pytest.raises(
        RequirementError, match=r"event 'order.placed': listener 'work' requires 'authorise'.*subscribe it"
    ):
        await manager.start()
    assert not manager.running
    await manager.stop()


async def test_a_manager_that_was_started_by_its_use_refuses_it_at_start_too():
    manager = EventManager(LocalProvider())
    await manager.subscribe(Placed, noting([], "work"), requires="authorise")
    health = await manager.health()
    assert not health.ready
    assert health.subscriptions[0].unmet == ("authorise",)
    with pytest.raises(RequirementError, match="'authorise'"):
        await manager.start()
    await manager.stop()


def test_a_missing_requirement_is_a_dead_letter_in_a_plain_script():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe("order.placed", noting(notes, "work"), requires="authorise")
    manager.send_event(Placed())
    letters = manager.dead_letters.list().result()
    assert notes == []
    assert [letter.subscription for letter in letters] == ["work"]
    assert "'work' requires 'authorise'" in letters[0].cause.message
    manager.stop()


async def refused(manager: EventManager, notes: list[str]) -> None:
    """Send an event, and see that `work` does not get it and that it is kept."""
    await manager.send_event(Placed())
    letters = await eventually(manager.dead_letters.list)
    assert "work" not in notes
    assert [letter.subscription for letter in letters] == ["work"]
    assert letters[0].cause.type.endswith("RequirementError")
    await manager.stop()


async def test_a_cancelled_requirement_is_not_met():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    required = await manager.subscribe(Placed, noting(notes, "authorise"))
    await manager.subscribe(Placed, noting(notes, "work"), requires="authorise")
    await required.cancel()
    await refused(manager, notes)


@pytest.mark.parametrize("elsewhere", [Paid, "order.*", "#"])
async def test_a_handler_of_another_target_does_not_meet_a_requirement(elsewhere):
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    await manager.subscribe(elsewhere, noting(notes, "authorise"))
    await manager.subscribe(Placed, noting(notes, "work"), requires="authorise")
    await refused(manager, notes)


class Drops(AbstractEnvelopePipeline):
    """Does not call `authorise`."""

    async def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
        if event_listener_descriptor.name != "authorise":
            await self.proceed_handle(envelope, event_listener_descriptor)


class Swallows(AbstractEnvelopePipeline):
    """Keeps every error of a handler back."""

    async def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
        with contextlib.suppress(StopProcessing, ValueError):
            await self.proceed_handle(envelope, event_listener_descriptor)


@pytest.mark.parametrize("keyword", ["requires", "required_by"])
@pytest.mark.parametrize(
    ("interceptor", "error"), [(Drops, None), (Swallows, ValueError("no")), (Swallows, StopProcessing())]
)
@pytest.mark.parametrize("inline", [True, False])
async def test_an_interceptor_that_drops_a_handler_or_its_error_does_not_let_others_run(
    keyword, interceptor, error, inline
):
    notes: list[str] = []

    def authorise(event: Placed) -> None:
        if error is not None:
            raise error

    manager = EventManager(LocalProvider(), pipelines=[interceptor()])
    bonds: dict[str, dict[str, Any]] = {"authorise": {}, "work": {}}
    bonds["work" if keyword == "requires" else "authorise"][keyword] = "authorise" if keyword == "requires" else "work"
    manager.subscribe(Placed, authorise, inline=inline, **bonds["authorise"])
    await manager.subscribe(Placed, noting(notes, "work"), inline=inline, **bonds["work"])
    await manager.send_event(Placed())
    letters = await eventually(manager.dead_letters.list)
    assert [letter.subscription for letter in letters] == ["work"] or interceptor is Swallows
    assert notes == []
    await manager.stop()


async def test_what_deduplicate_has_seen_before_was_handled():
    seen: list[EventContext] = []
    fails = [ValueError("no")]

    def authorise(event: Placed, context: EventContext) -> None:
        context.shared.orders.checked = True  # so that the replay begins with this handler

    def work(event: Placed, context: EventContext) -> None:
        if fails:
            raise fails.pop()
        seen.append(context)

    manager = EventManager(LocalProvider(), pipelines=[Deduplicate()], retry=Retry(attempts=1))
    manager.subscribe(Placed, authorise)
    await manager.subscribe(Placed, work, requires="authorise")
    await manager.send_event(Placed())
    letters = await eventually(manager.dead_letters.list)
    await manager.dead_letters.replay(letters[0].id)
    await eventually(lambda: seen)
    await manager.stop()


@pytest.mark.parametrize(
    ("retry", "error"),
    [
        (Retry(), ValueError("no")),
        (Retry(dead_letter=False), ValueError("no")),
        (Retry(attempts=2, delay=0.01), ValueError("no")),
        (Retry(attempts=2, delay=0.01, mode="delayed"), ValueError("no")),
        (Retry(), StopProcessing()),
    ],
)
async def test_work_does_not_run_if_the_required_handler_gives_up(retry, error):
    notes, calls, beside = list[str](), list[str](), Recorder()

    def authorise(event: Placed) -> None:
        calls.append("authorise")
        raise error

    manager = EventManager(LocalProvider())
    subscription = manager.subscribe(Placed, authorise, retry=retry)
    await manager.subscribe(Placed, noting(notes, "work"), requires="authorise")
    await manager.subscribe(Placed, beside, name="beside")
    await manager.send_event(Placed())
    await eventually(lambda: len(calls) == retry.attempts and beside.handled)
    stats = subscription.stats
    await eventually(lambda: stats.dead_letters + stats.dropped + stats.count == 1)
    await eventually(lambda: subscription.load[:2] == (0, 0))
    assert notes == []
    await manager.stop()


def test_process_does_not_run_what_requires_a_handler_that_failed():
    notes: list[str] = []

    def authorise(event: Placed) -> None:
        raise ValueError("no")

    manager = EventManager(LocalProvider(), configuration=EventConfiguration(propagate_exceptions=False))
    manager.subscribe(Placed, authorise, required_by="first")
    manager.subscribe(Placed, noting(notes, "work"), requires=Requirement("authorise", optional=True))
    manager.subscribe(Placed, noting(notes, "first"))
    manager.subscribe(Placed, noting(notes, "then"), requires="work")
    manager.subscribe(Placed, noting(notes, "free"))
    manager.process(Placed())
    assert notes == ["free"]
    manager.stop()


def test_two_handlers_of_a_chain_with_one_name_are_refused():
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting([], "check"), name="check")
    manager.subscribe(Placed, noting([], "check"), name="check")
    with pytest.raises(DeclarationError, match="are called 'check'"):
        manager.subscribe(Placed, noting([], "work"), requires="check")
    manager.stop()


def test_a_paused_requirement_holds_the_work_back():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    required = manager.subscribe(Placed, noting(notes, "authorise"))
    manager.subscribe(Placed, noting(notes, "work"), requires="authorise")
    required.pause()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(manager.send_event, Placed())
        soon(lambda: manager.stats.sent(Placed) == 1)
        assert notes == []
        required.resume()
        sent.result(timeout=60)
    soon(lambda: notes == ["authorise", "work"])
    manager.stop()


async def test_handlers_of_one_group_are_deduplicated_each_on_its_own():
    """An event that the first handler of a group handled is not taken as handled by the second."""
    notes: list[str] = []
    async with EventManager(LocalProvider(), pipelines=[Deduplicate()]) as manager:
        await manager.subscribe(Placed, noting(notes, "authorise"), name="authorise", group="shop")
        await manager.subscribe(Placed, noting(notes, "work"), name="work", group="shop", requires="authorise")
        await manager.send_event(Placed(1))
        await eventually(lambda: len(notes) == 2)
    assert notes == ["authorise", "work"]
