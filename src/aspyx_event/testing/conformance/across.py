"""Manager level, across processes: real ones, killed in the middle of their work, where the provider reaches them."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...engine.failure import republish as copies
from ...policies import Retry
from .processes import Plan, Process
from .rig import Rig
from .suite import ConformanceBase, contract


def _starts(items: list[dict[str, Any]], number: int) -> int:
    """Return how often a handler began with an event."""
    return sum(1 for one in items if one["number"] == number)


def _has_begun(number: int, times: int, items: list[dict[str, Any]]) -> bool:
    return _starts(items, number) == times


class ProcessContract(ConformanceBase):
    """What holds between processes."""

    async def _kill(self, rig: Rig, doomed: Process) -> None:
        """Kill a process whose handler hangs, once the broker has nothing more to do for it.

        Artemis 2.44 withholds, now and then, what a STOMP client holds whose last frames cross the end of its
        connection, until the broker is restarted. The fault tests kill in the middle of traffic and look behind that.
        """
        await rig.round_trips(await rig.provider("quiet"))
        await doomed.kill()

    @contract("durable", "competing", "headers")
    async def test_killed_process(self, rig: Rig) -> None:
        """If a process is killed in a handler, the event and all later ones go to another process, in order."""
        manager, order, reports = await rig.manager(), rig.event(), rig.log()
        listener = f"{rig.name}.listener"
        doomed = await rig.process(Plan(rig.address(), True, listener, hangs_on=3), reports, "one")
        receipts = [manager.send_event(order(number)) for number in range(1, 8)]
        for receipt in receipts:
            await receipt
        await reports.when(lambda items: any(one["number"] == 3 for one in items), "event 3 at the first process")
        await self._kill(rig, doomed)
        await rig.process(Plan(rig.address(), True, listener), reports, "two")
        await reports.when(lambda items: any(one["number"] == 7 for one in items), "the last event")
        assert [one["number"] for one in reports.items if one["process"] == "one"] == [1, 2, 3]
        again = [one["number"] for one in reports.items if one["process"] == "two"]
        # An acknowledgement may die with its process: what was handled before may come again, what was not must.
        assert again == list(range(again[0], 8))
        assert again[0] <= 3
        ids = {one["number"]: one["id"] for one in reports.items}
        assert ids == {number: receipt.id for number, receipt in enumerate(receipts, 1)}

    @contract("durable", "competing", "headers", "remote")
    async def test_poison_message(self, rig: Rig) -> None:
        """An event that is in flight whenever its process dies becomes a dead letter; later events are handled."""
        manager, order, reports = await rig.manager(), rig.event(), rig.log()
        listener = f"{rig.name}.listener"
        dead = await rig.dead_letters(order, listener)
        plan = Plan(rig.address(), True, listener, hangs_on=3)
        for deaths in range(1, Retry().max_crashes + 1):
            doomed = await rig.process(plan, reports, "one")
            if deaths == 1:
                for number in range(1, 6):
                    await manager.send_event(order(number))
            await reports.when(partial(_has_begun, 3, deaths), f"event 3 at process {deaths}")
            await self._kill(rig, doomed)
        await rig.process(plan, reports, "one")
        await reports.when(lambda items: _starts(items, 5) == 1, "the last event")
        [letter] = await dead.until(1)
        assert letter.envelope.headers[copies.CAUSE_TYPE].endswith("PoisonMessageError")
        assert (_starts(reports.items, 3), _starts(reports.items, 4)) == (Retry().max_crashes, 1)

    @contract("competing")
    async def test_processes_share_events(self, rig: Rig) -> None:
        """Processes with the same listener share its events; after one has stopped, the other receives all."""
        manager, order, reports = await rig.manager(), rig.event(), rig.log()
        plan = Plan(rig.address(), rig.capabilities.durable, f"{rig.name}.listener", prefetch=1)
        leaving = await rig.process(plan, reports, "one")
        await rig.process(plan, reports, "two")
        for number in range(40):
            await manager.send_event(order(number))
        await reports.until(40)
        assert sorted(one["number"] for one in reports.items) == list(range(40))
        assert {one["process"] for one in reports.items} == {"one", "two"}
        await leaving.stop()
        for number in range(40, 50):
            await manager.send_event(order(number))
        await reports.until(50)
        assert [one["process"] for one in reports.items[40:]] == ["two"] * 10

    @contract("per_process")
    async def test_per_process_across_processes(self, rig: Rig) -> None:
        """Each process with a per-process listener receives every event."""
        manager, order, reports = await rig.manager(), rig.event(durable=False), rig.log()
        plan = Plan(rig.address(), False, f"{rig.name}.listener", per_process=True)
        await rig.process(plan, reports, "one")
        await rig.process(plan, reports, "two")
        for number in range(10):
            await manager.send_event(order(number))
        await reports.until(20)
        for process in ("one", "two"):
            assert [one["number"] for one in reports.items if one["process"] == process] == list(range(10))

    @contract("competing")
    async def test_reply_from_process(self, rig: Rig) -> None:
        """A handler in another process may send events."""
        manager, order, answer, calls = await rig.manager(), rig.event(), rig.event("answer"), rig.calls()
        durable = rig.capabilities.durable
        await manager.subscribe(answer, calls, name=f"{rig.name}.answers")
        plan = Plan(rig.address(), durable, f"{rig.name}.listener", answers=rig.address("answer"))
        await rig.process(plan, rig.log(), "one")
        for number in range(5):
            await manager.send_event(order(number))
        await calls.until(5)
        assert [(call.number, call.event.text) for call in calls.items] == [(number, "from one") for number in range(5)]
