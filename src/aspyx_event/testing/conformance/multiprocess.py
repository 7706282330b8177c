"""Manager level, across processes. For a remote provider these are real processes, killed while they handle events."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...engine.failure import republish
from ...policies import Retry
from .processes import Plan, Process
from .rig import Rig
from .suite import ConformanceBase, contract


def _starts(reports: list[dict[str, Any]], number: int) -> int:
    """Return how often a handler was started with an event."""
    return sum(1 for report in reports if report["number"] == number)


def _has_started(number: int, times: int, reports: list[dict[str, Any]]) -> bool:
    return _starts(reports, number) == times


class MultiprocessContract(ConformanceBase):
    """Several processes, some of which are killed."""

    async def _kill(self, rig: Rig, doomed: Process) -> None:
        """Kill a process whose handler hangs, after the broker has finished its work for that process.

        Artemis 2.44 sometimes withholds the messages of a STOMP client whose last frames cross the end of its
        connection, until the broker is restarted. The fault tests kill under traffic and account for that.
        """
        await rig.round_trips(await rig.provider("quiet"))
        await doomed.kill()

    @contract("durable", "competing", "headers")
    async def test_killed_process(self, rig: Rig) -> None:
        """If a process is killed in a handler, the event and all later ones go to another process, in order."""
        manager, order, reports = await rig.manager(), rig.event(), rig.log()
        listener = f"{rig.name}.listener"
        doomed = await rig.process(Plan(rig.address(), True, listener, hangs_on=3), reports, "a")
        receipts = [manager.send_event(order(number)) for number in range(1, 8)]
        for receipt in receipts:
            await receipt
        await reports.when(lambda items: _starts(items, 3) > 0, "event 3 at the first process")
        await self._kill(rig, doomed)
        await rig.process(Plan(rig.address(), True, listener), reports, "b")
        await reports.when(lambda items: _starts(items, 7) > 0, "the last event")
        assert [report["number"] for report in reports.items if report["process"] == "a"] == [1, 2, 3]
        redelivered = [report["number"] for report in reports.items if report["process"] == "b"]
        # An acknowledgement may be lost with its process: handled events may be redelivered, the others must be.
        assert redelivered == list(range(redelivered[0], 8))
        assert redelivered[0] <= 3
        ids = {report["number"]: report["id"] for report in reports.items}
        assert ids == {number: receipt.id for number, receipt in enumerate(receipts, 1)}

    @contract("durable", "competing", "headers", "remote")
    async def test_poison_message(self, rig: Rig) -> None:
        """An event that is in flight whenever its process dies becomes a dead letter; later events are handled."""
        manager, order, reports = await rig.manager(), rig.event(), rig.log()
        listener = f"{rig.name}.listener"
        dead = await rig.dead_letters(order, listener)
        plan = Plan(rig.address(), True, listener, hangs_on=3)
        for crashes in range(1, Retry().max_crashes + 1):
            doomed = await rig.process(plan, reports, "a")
            if crashes == 1:
                for number in range(1, 6):
                    await manager.send_event(order(number))
            await reports.when(partial(_has_started, 3, crashes), f"event 3 at process {crashes}")
            await self._kill(rig, doomed)
        await rig.process(plan, reports, "a")
        await reports.when(lambda items: _starts(items, 5) == 1, "the last event")
        [letter] = await dead.until(1)
        assert letter.envelope.headers[republish.CAUSE_TYPE].endswith("PoisonMessageError")
        assert (_starts(reports.items, 3), _starts(reports.items, 4)) == (Retry().max_crashes, 1)

    @contract("competing")
    async def test_processes_share_events(self, rig: Rig) -> None:
        """Processes with the same listener share its events; after the first has stopped, the other receives all."""
        manager, order, reports = await rig.manager(), rig.event(), rig.log()
        plan = Plan(rig.address(), rig.capabilities.durable, f"{rig.name}.listener", prefetch=1)
        leaving = await rig.process(plan, reports, "a")
        await rig.process(plan, reports, "b")
        for number in range(40):
            await manager.send_event(order(number))
        await reports.until(40)
        assert sorted(report["number"] for report in reports.items) == list(range(40))
        assert {report["process"] for report in reports.items} == {"a", "b"}
        await leaving.stop()
        for number in range(40, 50):
            await manager.send_event(order(number))
        await reports.until(50)
        assert [report["process"] for report in reports.items[40:]] == ["b"] * 10

    @contract("per_process")
    async def test_per_process_across_processes(self, rig: Rig) -> None:
        """Each process with a per-process listener receives every event."""
        manager, order, reports = await rig.manager(), rig.event(durable=False), rig.log()
        plan = Plan(rig.address(), False, f"{rig.name}.listener", per_process=True)
        await rig.process(plan, reports, "a")
        await rig.process(plan, reports, "b")
        for number in range(10):
            await manager.send_event(order(number))
        await reports.until(20)
        for process in ("a", "b"):
            numbers = [report["number"] for report in reports.items if report["process"] == process]
            assert numbers == list(range(10))

    @contract("competing")
    async def test_reply_from_process(self, rig: Rig) -> None:
        """A handler in another process may send events."""
        manager, order, answer, calls = await rig.manager(), rig.event(), rig.event("answer"), rig.calls()
        durable = rig.capabilities.durable
        await manager.subscribe(answer, calls, name=f"{rig.name}.answers")
        plan = Plan(rig.address(), durable, f"{rig.name}.listener", answers=rig.address("answer"))
        await rig.process(plan, rig.log(), "a")
        for number in range(5):
            await manager.send_event(order(number))
        await calls.until(5)
        assert [(call.number, call.event.text) for call in calls.items] == [(number, "from a") for number in range(5)]
