"""Counters, ready-made handlers and events: what users of Baroque know, rows BQ of the features."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import Any

import pytest
from support_core import Recorder, eventually
from support_reactions import Born, Grown

from aspyx_event import ANY, DeclarationError, EventManager, GenericEvent, LocalProvider
from aspyx_event.database import EventStatus
from aspyx_event.database.memory import MemoryEventStore as Backend
from aspyx_event.exceptions import InvalidEventSchemaError
from aspyx_event.reactions import call, log_event, stdout
from aspyx_event.standard_events import DataOperation, Metric, StateTransition


async def test_one_subscription_to_a_class_and_one_to_any():
    seen, everything = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Grown, seen, name="grown")
        await manager.subscribe(ANY, everything, name="any")
        await manager.send_event(Grown(1))
        await manager.send_event(Born("a"))
        await eventually(lambda: len(everything.handled) == 2 and seen.handled)
        assert seen.events == [Grown(1)]


async def test_what_was_sent_and_handled_is_counted_by_class_event_and_name():
    seen = Recorder(failures=[ValueError("once")])
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe((Grown, Born), seen, name="l")
        assert (subscription.stats.last_event_id, subscription.stats.last_time) == ("", None)
        receipts = [manager.send_event(one) for one in (Grown(1), Born("a"), Grown(2))]
        for receipt in receipts:
            await receipt
        await eventually(lambda: manager.stats.handled() == 2)
        stats = manager.stats
        assert (stats.sent(), stats.sent(Grown), stats.sent(Born("x")), stats.sent("reactions.grown")) == (3, 2, 1, 2)
        assert stats.sent("never") == 0
        assert (stats.handled(Grown), stats.handled(Born), stats.failures, stats.dead_letters) == (1, 1, 1, 1)
        assert stats.last_event_id == receipts[-1].id
        assert stats.last_time is not None
        assert subscription.stats.handled == {"reactions.grown": 1, "reactions.born": 1}
        stats.reset()
        assert (stats.sent(), stats.handled(), stats.failures, stats.last_event_id, stats.last_time) == (
            0,
            0,
            0,
            "",
            None,
        )
        assert subscription.stats.last_time is None


async def test_a_subscription_is_counted_found_and_cancelled():
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Grown, Recorder(), name="l")
        assert manager.list_subscriptions("reactions.grown") == [subscription]
        assert await subscription.cancel()
        assert manager.list_subscriptions() == []


async def test_the_metadata_of_a_sent_event_is_at_hand_on_both_sides():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Grown, seen, name="l")
        receipt = manager.send_event(Grown(3))
        await receipt
        await eventually(lambda: seen.handled)
        record, sent = seen.contexts[0].record, receipt.record
    assert (record.id, record.type, record.body) == (receipt.id, "reactions.grown", b'{"years":3}')
    assert record.time.tzinfo is not None
    assert sent.content_hash == record.content_hash
    assert sent.status is EventStatus.PUBLISHED
    assert '"data":{"years":3}' in record.json()


def test_ready_made_events():
    manager = EventManager(LocalProvider())
    seen: list[Any] = []
    manager.subscribe(ANY, seen.append, name="any")
    ready = [
        GenericEvent("anything", {"a": 1}),
        StateTransition("a", "b", "t"),
        DataOperation({"id": 1}, "create", "2026-01-01T00:00:00Z", {"by": "me"}),
        Metric("temperature", 21.5, 1_700_000_000),
    ]
    for one in ready:
        manager.process(one)
    assert seen == ready
    with pytest.raises(InvalidEventSchemaError, match="operation"):
        manager.send_event(DataOperation({}, None, "now"))  # type: ignore[arg-type]
    manager.stop()  # type: ignore[unused-coroutine]


async def test_ready_made_handlers(caplog):
    class Box:
        def __init__(self) -> None:
            self.marks: list[Any] = []

        def mark(self, *arguments: Any, **keywords: Any) -> None:
            self.marks.append((arguments, keywords))

        async def mark_later(self) -> None:
            await asyncio.sleep(0)
            self.marks.append("later")

    box, stream = Box(), io.StringIO()
    caplog.set_level(logging.INFO, "reactions")
    async with EventManager(LocalProvider()) as manager:
        for reaction in (
            stdout(stream),
            call(box, "mark", 1, key="x"),
            call(box, "mark_later"),
            log_event(logging.getLogger("reactions"), logging.WARNING),
        ):
            await manager.subscribe(Grown, reaction)
        await manager.send_event(Grown(5))
        await eventually(lambda: manager.stats.handled() == 4)
    assert stream.getvalue() == "Grown(years=5)\n"
    assert sorted(box.marks, key=str) == [((1,), {"key": "x"}), "later"]
    assert ("reactions", logging.WARNING, "Grown(years=5)") in caplog.record_tuples


@pytest.mark.parametrize(
    "make",
    [lambda: call(object(), "missing"), lambda: call(object(), 5), lambda: log_event("no logger")],  # type: ignore[arg-type]
)
def test_misuse_of_ready_made_handlers_is_told_at_once(make):
    with pytest.raises(DeclarationError):
        make()


async def test_what_is_sent_is_stored_and_found_again():
    store = Backend()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        receipt = manager.send_event(Born("a"))
        await receipt
        assert (await manager.store.read(receipt.id)).type == "reactions.born"
