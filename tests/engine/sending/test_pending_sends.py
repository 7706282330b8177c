"""Sends that interceptors take part in: their order, their context, their tasks, and who is told how they end."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from aspyx_event import AbstractEnvelopePipeline, EventManager, LocalProvider, event

LIMIT = 10.0
who: ContextVar[str] = ContextVar("who", default="nobody")


@event("underway.parcel")
@dataclass
class Parcel:
    number: int


class Gate(AbstractEnvelopePipeline):
    """Lets a send pass when its gate is open, and notes what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self.order: list[int] = []
        self.seen: list[str] = []
        self.tasks: list[Any] = []
        self.cancelled = 0
        self.error: Exception | None = None

    async def send(self, envelope: Any, event_descriptor: Any) -> None:
        self.order.append(envelope.event.number)
        self.seen.append(who.get())
        self.tasks.append(asyncio.current_task())
        who.set("the interceptor")
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        await self.proceed_send(envelope, event_descriptor)
        self.tasks.append(asyncio.current_task())


def managed(gate: Gate) -> EventManager:
    return EventManager(LocalProvider(), pipelines=[gate])


async def test_a_send_awaited_at_once_runs_in_its_caller_s_task():
    gate = Gate()
    async with managed(gate) as manager:
        await manager.send_event(Parcel(1))
    assert gate.tasks == [asyncio.current_task()] * 2


async def test_what_an_interceptor_does_to_context_variables_stays_its_own_awaited_or_not():
    gate = Gate()
    async with managed(gate) as manager:
        token = who.set("the sender")
        await manager.send_event(Parcel(1))
        assert who.get() == "the sender"
        later = manager.send_event(Parcel(2))
        who.reset(token)
        await later
        assert who.get() == "nobody"
    assert gate.seen == ["the sender", "the sender"]


@given(some.lists(some.sampled_from(["drop", "keep", "await", "turn"]), max_size=12))
@settings(max_examples=60, deadline=None)
def test_sends_go_out_in_the_order_they_were_made_awaited_or_not(steps):
    async def program() -> list[int]:
        gate, kept = Gate(), []
        async with managed(gate) as manager:
            for number, step in enumerate(steps):
                if step == "turn":
                    await asyncio.sleep(0)
                elif step == "await":
                    await manager.send_event(Parcel(number))
                elif step == "keep":
                    kept.append(manager.send_event(Parcel(number)))
                else:
                    manager.send_event(Parcel(number))
        assert all(receipt.done() for receipt in kept)
        return gate.order

    assert asyncio.run(program()) == [number for number, step in enumerate(steps) if step != "turn"]


async def test_a_send_made_before_goes_first_even_if_another_task_awaits_its_own_at_once():
    gate = Gate()
    async with managed(gate) as manager:

        async def other() -> None:
            await manager.send_event(Parcel(2))

        task = asyncio.ensure_future(other())
        first = manager.send_event(Parcel(1))
        await asyncio.wait_for(asyncio.gather(first, task), LIMIT)
    assert gate.order == [1, 2]


async def test_cancelling_the_caller_cancels_its_send():
    gate = Gate()
    gate.open.clear()
    async with managed(gate) as manager:
        receipts = []

        async def caller() -> None:
            receipts.append(manager.send_event(Parcel(1)))
            await receipts[0]

        task = asyncio.ensure_future(caller())
        await asyncio.wait_for(gate.entered.wait(), LIMIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (gate.cancelled, receipts[0].done(), repr(receipts[0])[-10:]) == (1, True, "cancelled>")


async def test_a_time_limit_around_a_send_ends_it():
    gate = Gate()
    gate.open.clear()
    async with managed(gate) as manager:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(manager.send_event(Parcel(1)), 0.05)
        assert gate.cancelled == 1


async def test_all_who_await_a_receipt_are_told_also_later():
    gate = Gate()
    gate.open.clear()
    gate.error = ValueError("refused")
    async with managed(gate) as manager:
        receipt = manager.send_event(Parcel(1))

        async def wait() -> None:
            await receipt

        waits = [asyncio.ensure_future(wait()) for _ in range(3)]
        await asyncio.wait_for(gate.entered.wait(), LIMIT)
        assert not receipt.done()
        gate.open.set()
        ends = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), LIMIT)
        assert ends == [gate.error] * 3
        assert receipt.exception() is gate.error
        with pytest.raises(ValueError, match="refused"):
            await receipt


async def test_a_receipt_awaited_by_two_after_the_first_one_began_tells_both():
    gate = Gate()
    gate.open.clear()
    async with managed(gate) as manager:
        receipts = []

        async def first() -> None:
            receipts.append(manager.send_event(Parcel(1)))
            await receipts[0]

        async def second() -> None:
            await gate.entered.wait()
            await receipts[0]

        both = asyncio.gather(first(), second())
        await asyncio.wait_for(gate.entered.wait(), LIMIT)
        await asyncio.sleep(0)
        gate.open.set()
        assert await asyncio.wait_for(both, LIMIT) == [None, None]


async def test_a_stop_waits_for_a_send_that_its_caller_runs():
    gate = Gate()
    gate.open.clear()
    manager = managed(gate)
    await manager.start()

    async def caller() -> None:
        await manager.send_event(Parcel(1))

    task = asyncio.ensure_future(caller())
    await asyncio.wait_for(gate.entered.wait(), LIMIT)
    stop = asyncio.ensure_future(manager.stop())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not stop.done()
    gate.open.set()
    await asyncio.wait_for(asyncio.gather(task, stop), LIMIT)


def test_a_manager_sends_on_a_second_loop_too():
    orders = []
    manager = managed(gate := Gate())

    async def once(number: int) -> None:
        gate.open = asyncio.Event()
        gate.open.set()
        async with manager:
            await manager.send_event(Parcel(number))
            receipt = manager.send_event(Parcel(number + 1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert receipt.done()
            manager.send_event(Parcel(number + 2))
        orders.append(list(gate.order))

    for number in (1, 4):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asyncio.wait_for(once(number), LIMIT))
        loop.close()
    assert orders == [[1, 2, 3], [1, 2, 3, 4, 5, 6]]
