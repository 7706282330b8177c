"""Failed futures, outcomes handed on, and tasks that are kept until they end."""

from __future__ import annotations

import asyncio
import gc

import pytest

from aspyx_event.futures import TaskSet, failed, outcome, relay, settle


async def test_a_failed_future_raises_its_error():
    with pytest.raises(LookupError, match="gone"):
        await failed(LookupError("gone"))


@pytest.mark.parametrize("error", [None, LookupError("gone"), asyncio.CancelledError()])
async def test_relay_hands_the_outcome_on(error):
    source, target = (asyncio.get_running_loop().create_future() for _ in range(2))
    relay(source, target)
    settle(source, error)
    await asyncio.wait({target})
    assert type(outcome(target)) is type(error)


async def test_relay_leaves_a_cancelled_target_alone_and_does_not_cancel_the_source():
    source, target = (asyncio.get_running_loop().create_future() for _ in range(2))
    relay(source, target)
    target.cancel()
    await asyncio.sleep(0)
    assert not source.done()
    settle(source, LookupError("gone"))
    await asyncio.sleep(0)
    assert target.cancelled()


async def test_a_task_set_keeps_a_task_until_it_is_done():
    tasks, go_on = TaskSet(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()

    tasks.spawn(work(), name="work")
    gc.collect()
    (task,) = tasks
    assert task.get_name() == "work"
    go_on.set()
    await task
    await asyncio.sleep(0)
    assert not tasks


async def test_a_task_set_cancels_what_still_runs():
    tasks = TaskSet()
    forever = [tasks.spawn(asyncio.Event().wait()) for _ in range(3)]
    tasks.cancel()
    await asyncio.wait(forever)
    assert all(task.cancelled() for task in forever)
    assert not tasks
