"""AX-42: what `send_event` gives back, from a loop, without one, from another loop, from threads and from listeners."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from dataclasses import dataclass

import pytest
from support_core import Gate, Recorder, eventually, settle

from aspyx_event import AbstractEnvelopePipeline, EventManager, LocalProvider, Receipt, event
from aspyx_event.exceptions import NoRouteError


@event(name="receipts.order")
@dataclass
class Order:
    number: int


@event(name="receipts.answer")
@dataclass
class Answer:
    number: int


class FailingPipeline(AbstractEnvelopePipeline):
    async def send(self, envelope, event_descriptor):
        raise OSError("no line")


class Catching:
    """An exception manager that takes everything."""

    def __init__(self) -> None:
        self.caught: list[BaseException] = []

    def get_handlers(self, clazz: type) -> object:
        return self

    def handle(self, exception: BaseException) -> None:
        self.caught.append(exception)


async def test_an_awaited_receipt_means_that_the_event_is_queued_not_that_it_is_handled():
    gate = Gate()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, gate, name="slow")
        receipt = manager.send_event(Order(1))
        assert isinstance(receipt, Receipt)
        assert await receipt is None
        assert (receipt.done(), receipt.exception(), receipt.result(), bool(receipt)) == (True, None, None, True)
        assert "confirmed" in repr(receipt)
        assert gate.left == []
        gate.opened.set()
        await eventually(lambda: gate.left)


async def test_a_receipt_carries_the_id_that_listeners_see():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen)
        receipt = manager.send_event(Order(1))
        await eventually(lambda: seen.handled)
    assert seen.contexts[0].event_id == receipt.id


async def test_receipts_work_with_asyncio():
    async with EventManager(LocalProvider()) as manager:
        await asyncio.gather(*(manager.send_event(Order(number)) for number in range(3)))
        await asyncio.wait_for(manager.send_event(Order(3)), 20)
        receipt = manager.send_event(Order(4))
        await receipt
        await receipt


def test_without_a_loop_the_call_returns_when_every_listener_is_done():
    seen: list[object] = []

    async def later(event: Order) -> None:
        await asyncio.sleep(0.01)
        seen.append(event)

    manager = EventManager(LocalProvider())
    subscription = manager.subscribe(Order, later)
    assert subscription.attached
    manager.subscribe(Order, seen.append, name="sync")
    receipt = manager.send_event(Order(1))
    assert (seen, receipt.done(), receipt.result()) == ([Order(1), Order(1)], True, None)
    manager._engine.lifecycle._stop_at_exit()


def test_without_a_loop_a_failing_listener_does_not_fail_the_send_but_is_logged(caplog):
    def fail(event: Order) -> None:
        raise ValueError("broken listener")

    manager = EventManager(LocalProvider())
    manager.subscribe(Order, fail)
    manager.send_event(Order(1))
    assert [record.getMessage().endswith("ValueError: broken listener") for record in caplog.records] == [True]
    manager._engine.lifecycle._stop_at_exit()


def test_without_a_loop_a_failing_send_raises():
    manager = EventManager(LocalProvider(), pipelines=[FailingPipeline()])
    with pytest.raises(OSError, match="no line"):
        manager.send_event(Order(1))
    plain = EventManager(LocalProvider())
    with pytest.raises(NoRouteError):
        plain.send_event(Order(1), require_route=True)
    for one in (manager, plain):
        one._engine.lifecycle._stop_at_exit()


async def test_from_a_worker_thread_the_call_waits_and_from_a_foreign_loop_the_receipt_is_awaited_there():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen, name="l")

        async def elsewhere() -> None:
            await manager.send_event(Order(2))

        receipt = await asyncio.to_thread(manager.send_event, Order(1))
        assert receipt.done()
        assert seen.handled == [Order(1)]
        await asyncio.to_thread(asyncio.run, elsewhere())
        await eventually(lambda: seen.handled == [Order(1), Order(2)])


async def test_errors_reach_threads_and_foreign_loops():
    async with EventManager(LocalProvider()) as manager:

        async def elsewhere() -> None:
            await manager.send_event(Order(2), require_route=True)

        with pytest.raises(NoRouteError):
            await asyncio.to_thread(manager.send_event, Order(1), require_route=True)
        with pytest.raises(NoRouteError):
            await asyncio.to_thread(asyncio.run, elsewhere())


async def test_a_sync_listener_may_send_although_it_holds_its_queue():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:

        def on(event: Order) -> None:
            if event.number < 3:
                assert manager.send_event(Order(event.number + 1)).done()
            manager.send_event(Answer(event.number))

        await manager.subscribe(Order, on, name="chain")
        await manager.subscribe(Answer, seen)
        await manager.send_event(Order(0))
        await eventually(lambda: len(seen.handled) == 4)


def test_a_sync_listener_may_send_in_a_plain_script_too():
    seen: list[object] = []
    manager = EventManager(LocalProvider())

    def on(event: Order) -> None:
        manager.send_event(Answer(event.number))

    manager.subscribe(Order, on)
    manager.subscribe(Answer, seen.append, name="answers")
    manager.send_event(Order(5))
    manager._engine.lifecycle._stop_at_exit()
    assert seen == [Answer(5)]


def test_many_threads_may_send_at_once_and_start_the_manager_once():
    seen: list[object] = []
    manager = EventManager(LocalProvider())

    def remember(event: Order) -> None:
        seen.append(event.number)

    manager.subscribe(Order, remember, name="l")
    threads = [threading.Thread(target=manager.send_event, args=(Order(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(seen) == list(range(20))  # type: ignore[type-var]
    manager._engine.lifecycle._stop_at_exit()


async def test_a_failing_send_that_nobody_awaits_is_reported_once(caplog):
    async with EventManager(LocalProvider(), pipelines=[FailingPipeline()]) as manager:
        manager.send_event(Order(1))
        await eventually(lambda: "no line" in caplog.text)
        gc.collect()
        await settle()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "nobody awaited" in caplog.text


async def test_a_failing_send_that_nobody_awaits_goes_to_the_exception_manager(caplog):
    catching = Catching()
    async with EventManager(LocalProvider(), catching, pipelines=[FailingPipeline()]) as manager:
        manager.send_event(Order(1))
        await eventually(lambda: catching.caught)
        await settle()
    assert [str(error) for error in catching.caught] == ["no line"]
    assert caplog.records == []


async def test_a_failing_send_that_is_awaited_is_not_reported(caplog):
    catching = Catching()
    async with EventManager(LocalProvider(), catching, pipelines=[FailingPipeline()]) as manager:
        with pytest.raises(OSError, match="no line"):
            await manager.send_event(Order(1))
        receipt = manager.send_event(Order(1))
        await eventually(receipt.done)
        assert "failed" in repr(receipt)
        assert str(receipt.exception()) == "no line"
        del receipt
        gc.collect()
        await settle()
    assert (catching.caught, caplog.records) == ([], [])


async def test_a_lost_failure_in_a_foreign_loop_is_reported_too(caplog):
    async with EventManager(LocalProvider(), pipelines=[FailingPipeline()]) as manager:

        async def elsewhere() -> None:
            manager.send_event(Order(1))
            await eventually(lambda: "no line" in caplog.text)

        await asyncio.to_thread(asyncio.run, elsewhere())
    assert len(caplog.records) == 1
