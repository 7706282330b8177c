"""Time limits: what is awaited in time is given back, and no cancellation is lost."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event.deadlines import within


async def test_the_result_comes_in_time():
    async def work():
        await asyncio.sleep(0)
        return 7

    assert await within(work(), 5) == 7
    assert await within(work(), None) == 7


async def test_late_work_is_cancelled():
    ended = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(asyncio.TimeoutError):
        await within(work(), 0.01)
    assert ended.is_set()


async def test_a_cancellation_in_the_turn_of_the_result_is_not_lost():
    """`asyncio.wait_for` of Python 3.10 and 3.11 returns the result here, and its task goes on for ever."""
    loop = asyncio.get_running_loop()
    result = loop.create_future()

    async def caller():
        await within(result, 5)
        await asyncio.Event().wait()

    task = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    result.set_result(None)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done, "the cancellation was lost"
    assert task.cancelled()
