"""F18: what many connections and subscriptions leave behind."""

from __future__ import annotations

import json

import pytest
import support_faults_cycles
from support_faults_plan import Plan
from support_faults_process import Program

_MIB = 1024 * 1024


@pytest.mark.fault("F18 connect and subscribe cycles")
async def test_connections_and_subscriptions_that_came_and_went_leave_nothing_behind(rig, size):
    count = size(40, 1_000)
    plan = Plan(name="cycles", folder=str(rig.folder), event=rig.event, endpoint=rig.endpoint(), count=count)
    program = Program(plan, support_faults_cycles.main)
    rig.programs["cycles"] = program
    assert await program.ended(600) == 0, f"see {rig.folder}"
    rig.fault(2 * count)
    samples = json.loads((rig.folder / "samples.json").read_text(encoding="utf-8"))
    for what in ("connects", "subscribes"):
        before, after = samples[f"{what}, before"], samples[f"{what}, after"]
        for name in ("files", "threads", "tasks"):
            assert after[name] <= before[name], f"{what}: {name}, {before[name]} have become {after[name]}"
        grown = after["rss"] - before["rss"]
        # 1 MiB in 100 cycles, and what the allocator rounds up.
        assert grown < _MIB * (count / 100 + 3), f"{what}: the memory has grown by {grown / _MIB:.1f} MiB"
    assert [name for name in rig.management.queues_of(rig.event) if not name.startswith(rig.event)] == []
