"""Manager level: targets and conditions of subscriptions, handler chains, returned events, topics."""

from __future__ import annotations

import asyncio
from dataclasses import make_dataclass
from typing import Any

from ...context import EventContext
from ...engine.operations.dead_letters import DeadLetter
from ...events import event
from ...exceptions import StopProcessing
from ...filters import header
from ...free_form import GenericEvent
from ...policies import Retry, RetryMode
from ...targets import ANY
from ...topics import Topic
from .rig import Log, Rig
from .suite import ConformanceBase, contract


class RecordingHandler:
    """A handler that logs its label and the number of the event.

    Args:
        log: Receives the pairs.
        label: Identifies the handler.
        failures: Number of calls that fail first.
        answer: Function that makes its result from the event.
    """

    def __init__(self, log: Log[Any], label: str, *, failures: int = 0, answer: Any = None) -> None:
        self._log, self._label, self._failures, self._answer = log, label, failures, answer

    def __call__(self, event: Any) -> Any:
        self._log.add((self._label, event.number))
        if self._failures:
            self._failures -= 1
            raise ValueError(f"{self._label} fails on purpose")
        return self._answer(event) if self._answer is not None else None


class RoutingContract(ConformanceBase):
    """Conditions, targets, handler order, returned events, topics."""

    @contract("competing", "headers", "durable")
    async def test_condition_skips_event(self, rig: Rig) -> None:
        """An event that does not meet the conditions is skipped and acknowledged."""
        manager, order, log = await rig.manager(), rig.event(), rig.log()
        subscription = await manager.subscribe(
            order,
            RecordingHandler(log, "large"),
            name=f"{rig.name}.l",
            when=[header("kind", "x"), lambda received: received.number > 2],
        )
        for number in range(5):
            await manager.send_event(order(number), headers={"kind": "x" if number != 3 else "y"})
        await manager.send_event(order(9), headers={"kind": "x"})
        assert await log.until(2) == [("large", 4), ("large", 9)]
        assert subscription.stats.skipped == 4
        assert await manager.dead_letters.list() == []

    @contract("competing", "durable")
    async def test_failing_condition(self, rig: Rig) -> None:
        """A condition that raises affects only its own subscription, and the event becomes a dead letter."""
        manager, order, log = await rig.manager(), rig.event(), rig.log()
        await manager.subscribe(
            order, RecordingHandler(log, "broken"), name=f"{rig.name}.broken", when=lambda received: received.number / 0
        )
        await manager.subscribe(order, RecordingHandler(log, "sound"), name=f"{rig.name}.sound")
        await manager.send_event(order(1))
        assert await log.until(1) == [("sound", 1)]
        letters: list[DeadLetter] = []
        while not letters:
            letters = await manager.dead_letters.list()
        assert letters[0].cause.type == "builtins.ZeroDivisionError"

    @contract("competing", "headers")
    async def test_several_events_per_subscription(self, rig: Rig) -> None:
        """A subscription may receive several event classes."""
        manager, order, bill, log = await rig.manager(), rig.event("order"), rig.event("bill"), rig.log()
        shared = await manager.subscribe((order, bill), RecordingHandler(log, "both"), name=f"{rig.name}.both")
        await manager.send_event(order(1))
        await manager.send_event(bill(2))
        assert sorted(await log.until(2)) == [("both", 1), ("both", 2)]
        while shared.stats.count < 2:  # noqa: ASYNC110  a plain counter notifies nobody
            await asyncio.sleep(0.01)

    @contract("patterns", "competing", "headers")
    async def test_pattern_subscription(self, rig: Rig) -> None:
        """A subscription to a pattern receives all events with a matching name, as objects of their class if known."""
        manager_a, manager_b, order, log = (
            await rig.manager("a"),
            await rig.manager("b"),
            rig.event("shop.order"),
            rig.log(),
        )
        await manager_a.subscribe(f"{rig.name}.shop.*", log.add, name=f"{rig.name}.shop")
        manager_a.events.add(order)
        await manager_b.send_event(order(1))
        await manager_b.send_event(GenericEvent(f"{rig.name}.shop.other", {"number": 2}))
        await manager_b.send_event(GenericEvent(f"{rig.name}.shop.too.deep", {"number": 3}))
        await manager_b.send_event(order(4))
        events = await log.until(3)
        assert [type(item) for item in events].count(order) == 2
        assert GenericEvent(f"{rig.name}.shop.other", {"number": 2}) in events

    @contract("patterns", "per_process", "headers")
    async def test_subscription_to_any(self, rig: Rig) -> None:
        """A subscription to ANY receives every event."""
        manager, order, bill, log = await rig.manager(), rig.event("order"), rig.event("bill"), rig.log()
        mine = header("rig", rig.name)
        await manager.subscribe(ANY, RecordingHandler(log, "any"), name=f"{rig.name}.any", per_process=True, when=mine)
        await manager.send_event(order(1), headers={"rig": rig.name})
        await manager.send_event(bill(2), headers={"rig": rig.name})
        assert sorted(await log.until(2)) == [("any", 1), ("any", 2)]

    @contract("competing", "headers")
    async def test_subtypes(self, rig: Rig) -> None:
        """A subscription to a base class with `subtypes=True` receives the events derived from it."""
        manager, log = await rig.manager(), rig.log()
        base = make_dataclass("Base", [("number", int)])
        first = event(name=rig.address("first"))(make_dataclass("First", [], bases=(base,)))
        second = event(name=rig.address("second"))(make_dataclass("Second", [], bases=(base,)))
        await manager.subscribe(base, log.add, name=f"{rig.name}.base", subtypes=True)
        await manager.send_event(first(1))
        await manager.send_event(second(2))
        assert sorted(await log.until(2), key=lambda received: received.number) == [first(1), second(2)]

    @contract("competing", "headers")
    async def test_generic_event(self, rig: Rig) -> None:
        """An event without a class is sent and received by its name."""
        manager_a, manager_b, log = await rig.manager("a"), await rig.manager("b"), rig.log()
        await manager_a.subscribe(rig.address("foo"), log.add, name=f"{rig.name}.foo")
        await manager_b.send_event(GenericEvent(rig.address("foo"), {"ip": "127.0.0.1", "parts": [1, None, True]}))
        [events] = await log.until(1)
        assert events == GenericEvent(rig.address("foo"), {"ip": "127.0.0.1", "parts": [1, None, True]})

    @contract("durable", "headers")
    async def test_resumable_generic_event(self, rig: Rig) -> None:
        """A resumable subscription to an event without a class receives the events sent while it was detached."""
        manager_a, manager_b, log = await rig.manager("a"), await rig.manager("b"), rig.log()
        name, address = f"{rig.name}.foo", rig.address("foo")
        away = await manager_a.subscribe(address, lambda received: log.add(received.payload), name=name, resumable=True)
        await away.cancel()
        await manager_b.send_event(GenericEvent(address, 1))
        await manager_a.subscribe(address, lambda received: log.add(received.payload), name=name, resumable=True)
        await manager_b.send_event(GenericEvent(address, 2))
        assert await log.until(2) == [1, 2]

    @contract("competing")
    async def test_handler_order(self, rig: Rig) -> None:
        """Handlers with `requires` and `required_by` run one after the other, from one queue."""
        manager, order, log = await rig.manager(start=False), rig.event(), rig.log()
        names = {short: f"{rig.name}.{short}" for short in ("run", "prepare", "auxiliary")}
        run = manager.subscribe(order, RecordingHandler(log, "run"), name=names["run"], requires=names["prepare"])
        manager.subscribe(order, RecordingHandler(log, "prepare"), name=names["prepare"])
        manager.subscribe(
            order,
            RecordingHandler(log, "auxiliary"),
            name=names["auxiliary"],
            requires=names["prepare"],
            required_by=names["run"],
        )
        await run
        for number in range(3):
            await manager.send_event(order(number))
        expected = [(label, number) for number in range(3) for label in ("prepare", "auxiliary", "run")]
        assert await log.until(9) == expected
        assert len({subscription.queue for subscription in manager.list_subscriptions()}) == 1

    @contract("competing")
    async def test_chain_retry(self, rig: Rig) -> None:
        """A retry of a handler chain continues with the handler that failed."""
        await self._check_chain(rig, Retry(attempts=3, delay=0.01))

    @contract("competing", "delay", "headers")
    async def test_chain_delayed_retry(self, rig: Rig) -> None:
        """A delayed retry of a handler chain continues with the handler that failed."""
        await self._check_chain(rig, Retry(attempts=3, delay=0.05, mode=RetryMode.DELAYED))

    async def _check_chain(self, rig: Rig, retry: Retry) -> None:
        manager, order, log = await rig.manager(start=False, retry=retry), rig.event(), rig.log()
        first, second, third = (f"{rig.name}.{short}" for short in ("first", "second", "third"))
        manager.subscribe(order, RecordingHandler(log, "first"), name=first)
        manager.subscribe(order, RecordingHandler(log, "second", failures=2), name=second, requires=first)
        await manager.subscribe(order, RecordingHandler(log, "third"), name=third, requires=second)
        await manager.send_event(order(1))
        assert [label for label, _ in await log.until(5)] == ["first", "second", "second", "second", "third"]

    @contract("competing", "headers", "durable")
    async def test_chain_replay(self, rig: Rig) -> None:
        """A replay of a handler chain continues with the handler that failed."""
        manager, order, log = await rig.manager(start=False), rig.event(), rig.log()
        first, second = f"{rig.name}.first", f"{rig.name}.second"
        manager.subscribe(order, RecordingHandler(log, "first"), name=first)
        await manager.subscribe(order, RecordingHandler(log, "second", failures=1), name=second, requires=first)
        await manager.send_event(order(1))
        letters: list[DeadLetter] = []
        while not letters:
            letters = await manager.dead_letters.list(second)
        assert letters[0].subscription == second
        assert await manager.dead_letters.replay(letters[0].id) == 1
        assert await log.until(3) == [("first", 1), ("second", 1), ("second", 1)]

    @contract("competing")
    async def test_shared_data(self, rig: Rig) -> None:
        """The handlers of a delivery share data in the context; another delivery does not see it."""
        manager, order, log = await rig.manager(start=False), rig.event(), rig.log()

        def prepare(event: Any, context: EventContext) -> None:
            context.shared.tests.args = event.number

        def run(_event: Any, context: EventContext) -> None:
            log.add(getattr(context.shared.tests, "args", "nothing"))

        manager.subscribe(order, prepare, name=f"{rig.name}.prepare")
        await manager.subscribe(order, run, name=f"{rig.name}.run", requires=f"{rig.name}.prepare")
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        assert await log.until(2) == [1, 2]

    @contract("competing", "headers")
    async def test_returned_events(self, rig: Rig) -> None:
        """Events returned by a handler are sent in order, with the handled event as their cause."""
        manager, order, bill, log = await rig.manager(), rig.event("order"), rig.event("bill"), rig.log()
        calls = rig.calls()
        await manager.subscribe(bill, calls, name=f"{rig.name}.bill")
        await manager.subscribe(
            order,
            RecordingHandler(log, "order", answer=lambda received: [bill(received.number), bill(received.number + 1)]),
            name=f"{rig.name}.order",
        )
        receipt = manager.send_event(order(1))
        await receipt
        events = await calls.until(2)
        assert [call.event.number for call in events] == [1, 2]
        assert {call.context.causation_id for call in events} == {receipt.id}
        assert {call.context.correlation_id for call in events} == {receipt.id}

    @contract("competing", "durable")
    async def test_stop_processing(self, rig: Rig) -> None:
        """StopProcessing ends a handler chain and acknowledges the event."""
        manager, order, log = await rig.manager(start=False), rig.event(), rig.log()

        def authorise(event: Any) -> None:
            log.add(("authorise", event.number))
            if event.number == 1:
                raise StopProcessing

        manager.subscribe(order, authorise, name=f"{rig.name}.authorise", required_by=f"{rig.name}.work")
        await manager.subscribe(order, RecordingHandler(log, "work"), name=f"{rig.name}.work")
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        assert await log.until(3) == [("authorise", 1), ("authorise", 2), ("work", 2)]
        assert await manager.dead_letters.list() == []

    @contract("competing", "headers")
    async def test_topic(self, rig: Rig) -> None:
        """An event sent to a topic reaches the listeners of the topic, in another manager too."""
        manager_a, manager_b, order, bill = (
            await rig.manager("a"),
            await rig.manager("b"),
            rig.event("order"),
            rig.event("bill"),
        )
        topic, log = Topic(rig.address("family"), (order, bill)), rig.log()
        await manager_a.subscribe(topic, lambda received: log.add(("topic", received)), name=f"{rig.name}.topic")
        await manager_a.subscribe(order, lambda received: log.add(("order", received)), name=f"{rig.name}.order")
        await manager_b.send_event(order(1), topic=topic)
        await manager_b.send_event(bill(2), topic=topic.name)
        await manager_b.send_event(order(3))
        events = await log.until(3)
        assert [item for where, item in events if where == "topic"] == [order(1), bill(2)]
        assert ("order", order(3)) in events

    @contract("competing")
    async def test_cooldown(self, rig: Rig) -> None:
        """A subscription with a cooldown waits after each event."""
        manager, order, log = await rig.manager(), rig.event(), rig.log()
        await manager.subscribe(order, RecordingHandler(log, "slow"), name=f"{rig.name}.slow", cooldown=1.5)
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await log.until(1)
        await rig.round_trips(manager.provider)
        assert len(log.items) == 1, "the next event was taken without the cooldown"
        await log.until(2)
