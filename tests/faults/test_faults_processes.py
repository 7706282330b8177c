"""F6 and F7: consumers that are killed in a handler, and consumers that are told to end under load."""

from __future__ import annotations

import asyncio

import pytest
from support_faults_plan import Listening

PREFETCH = 20


@pytest.mark.fault("F6 consumer killed in a handler")
async def test_what_a_killed_consumer_had_is_handled_by_another_in_the_order_of_its_key(rig, size):
    listening = Listening(name="one", concurrency=4, prefetch=PREFETCH, work=0.005, work_more=0.01)
    # Dies in a handler: they are at work nearly all the time.
    await rig.consume(listening, name="steady")
    victim = await rig.consume(listening, name="victim-0")
    await rig.produce(rate=250, keys=16)
    for number in range(1, size(4, 40) + 1):
        await rig.flow(60 + rig.random.randrange(100))
        await asyncio.sleep(rig.random.random() * 0.05)
        rig.fault()
        victim.kill()
        rig.over()
        victim = await rig.consume(listening, name=f"victim-{number}")
    await rig.flow(200)
    figures = await rig.settle()
    rig.check(redeliveries=PREFETCH * figures.faults)


@pytest.mark.fault("F7 consumer stopped under load")
async def test_a_consumer_that_is_told_to_end_finishes_what_it_began(rig, size):
    listening = Listening(name="one", concurrency=8, prefetch=PREFETCH, work=0.01, work_more=0.1)
    await rig.consume(listening, name="steady")
    going = await rig.consume(listening, name="going-0")
    await rig.produce(rate=100, keys=64)
    for number in range(1, size(3, 30) + 1):
        await rig.flow(50 + rig.random.randrange(50))
        rig.fault()
        coming = await rig.consume(listening, name=f"going-{number}")
        assert await going.stop(limit=30) == 0
        going = coming
    await rig.flow(50)
    await rig.settle()
    rig.check(redeliveries=0)
    assert rig.ledger.listeners["one"].begun == rig.ledger.listeners["one"].handled


@pytest.mark.fault("F7 handlers longer than the stop timeout")
async def test_a_consumer_that_is_told_to_end_does_not_wait_for_ever_and_loses_nothing(rig, size):
    patient = Listening(name="one", concurrency=4, prefetch=PREFETCH, work=0.01)
    endless = Listening(name="one", concurrency=4, prefetch=PREFETCH, work=0.01, hangs=0.02)
    going = await rig.consume(endless, name="going-0", stop_timeout=0.5)
    await rig.produce(rate=100, keys=64)
    for number in range(1, size(2, 20) + 1):
        await rig.until(
            lambda: sum(rig.ledger.listeners["one"].begun.values()) > sum(rig.ledger.listeners["one"].handled.values()),
            "a handler hangs",
        )
        await asyncio.sleep(0.5)
        rig.fault()
        assert await going.stop(limit=30) == 0
        going = await rig.consume(endless, name=f"going-{number}", stop_timeout=0.5)
    await rig.consume(patient, name="steady")
    assert await going.stop(limit=30) == 0
    await rig.flow(50)
    figures = await rig.settle()
    # Only what hung, at most one event in each of the handlers, comes again.
    rig.check(redeliveries=4 * (figures.faults + 1), ordered=False)
