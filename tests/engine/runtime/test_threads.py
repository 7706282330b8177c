"""Sync handlers in worker threads: how many there are, how they end, and what becomes of calls that nobody waits for."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import dataclass

import pytest
from support_core import eventually, run_program, soon

from aspyx_event import EventManager, LocalBroker, LocalProvider, Retry, event
from aspyx_event.engine.runtime.threads import ThreadPool, WorkerThread


@event(name="threads.order", durable=True)
@dataclass
class Order:
    number: int


def _workers():
    return {one for one in threading.enumerate() if isinstance(one, WorkerThread)}


@pytest.fixture
def threads():
    made = ThreadPool(2, "two")
    yield made
    made.close()


async def _at_once(concurrency, events):
    """Handle *events*, as many at once as there may be; return the names of the threads they were handled in."""
    names, barrier = [], threading.Barrier(concurrency)

    def on(order):
        barrier.wait(20)
        names.append(threading.current_thread().name)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, on, concurrency=concurrency)
        for number in range(events):
            await manager.send_event(Order(number))
        await eventually(lambda: len(names) == events)
    return names


async def test_one_event_after_the_other_needs_one_thread():
    assert set(await _at_once(1, 50)) == {"aspyx-event_0"}


async def test_there_are_as_many_threads_as_handlers_at_once():
    assert set(await _at_once(4, 40)) == {f"aspyx-event_{number}" for number in range(4)}


async def test_threads_end_when_the_manager_stops():
    before = _workers()
    await _at_once(3, 9)
    await eventually(lambda: _workers() <= before)


async def test_a_manager_that_was_stopped_and_started_has_threads_again():
    handled = []
    manager = EventManager(LocalProvider())
    await manager.subscribe(Order, handled.append)
    for number in (1, 2):
        await manager.start()
        await manager.send_event(Order(number))
        await eventually(lambda number=number: len(handled) == number)  # type: ignore[misc]
        await manager.stop()


async def test_calls_beyond_the_bound_wait_for_a_thread(threads):
    go_on, running = threading.Event(), []

    def block(number):
        running.append(number)
        go_on.wait(20)

    jobs = [threads.call(block, number) for number in range(3)]
    await eventually(lambda: len(running) == 2)
    assert not any(job.done() for job in jobs)
    go_on.set()
    await asyncio.gather(*(job.future for job in jobs))
    assert running == [0, 1, 2] or running == [1, 0, 2]
    assert len([one for one in _workers() if one.name.startswith("two")]) == 2


async def test_a_call_given_up_before_a_thread_has_begun_it_is_left_out(threads):
    go_on, called = threading.Event(), []
    blocking = [threads.call(go_on.wait, 20) for _ in range(2)]
    given_up = threads.call(called.append, "never")
    given_up.future.cancel()
    go_on.set()
    await asyncio.gather(*(job.future for job in blocking))
    await eventually(given_up.done)
    assert called == []
    assert await threads.call(lambda: "and the next one").future == "and the next one"


async def test_a_call_given_up_while_it_runs_goes_on_and_tells_its_end(threads, caplog):
    go_on, entered, told = threading.Event(), threading.Event(), []

    def fail():
        entered.set()
        go_on.wait(20)
        raise ValueError("too late")

    job = threads.call(fail)
    job.add_done_callback(told.append)
    await eventually(entered.is_set)
    job.future.cancel()
    await asyncio.sleep(0)
    assert not job.done()
    go_on.set()
    await eventually(lambda: told == [job])
    assert job.done()
    assert "nobody waited for any more failed: ValueError('too late')" in caplog.text


async def test_a_thread_that_idles_holds_nothing_of_its_last_call(threads):
    order = Order(1)
    gone = weakref.ref(order)
    job = threads.call(lambda given: None, order)
    await job.future
    del order, job
    await eventually(lambda: gone() is None)


async def test_threads_that_everybody_forgot_end():
    forgotten = ThreadPool(2, "forgotten")
    await asyncio.gather(*(forgotten.call(threading.Event().wait, 0.01).future for _ in range(2)))
    del forgotten
    gc.collect()
    await eventually(lambda: not [one for one in _workers() if one.name.startswith("forgotten")])


async def test_a_stop_iteration_out_of_a_handler_is_a_failed_attempt():
    handled = []

    def on(order):
        handled.append(order.number if order.number == 2 else next(iter(())))

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, on)
        for number in (1, 2):
            await manager.send_event(Order(number))
        await eventually(lambda: handled == [2])
        [letter] = await manager.dead_letters.list()
        assert subscription.stats.dead_letters == 1
    assert "StopIteration" in letter.cause.message


async def test_what_a_sync_handler_gave_back_to_be_awaited_is_left_behind_past_its_time():
    go_on = asyncio.Event()

    async def stubborn():
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, lambda order: stubborn(), name="back", retry=Retry(timeout=0.05))
        await manager.send_event(Order(1))
        try:
            await eventually(lambda: subscription.stats.abandoned == 1)
        finally:
            go_on.set()
        await eventually(lambda: subscription.stats.abandoned == 0)


async def test_a_stop_waits_its_time_and_the_event_of_a_handler_that_goes_on_comes_again():
    before, go_on, entered, finished = _workers(), threading.Event(), threading.Event(), []

    def on(order):
        entered.set()
        go_on.wait(20)
        finished.append(order)

    broker = LocalBroker()
    manager = EventManager(LocalProvider(broker=broker), stop_timeout=0.05)
    await manager.subscribe(Order, on, name="slow")
    await manager.send_event(Order(1))
    await eventually(entered.is_set)
    await manager.stop()
    assert (finished, broker.depth("slow")) == ([], 1)
    go_on.set()
    await eventually(lambda: finished == [Order(1)] and _workers() <= before)


def test_a_handler_that_ends_after_its_loop_does_no_harm(caplog):
    go_on, entered = threading.Event(), threading.Event()

    def on(order):
        entered.set()
        go_on.wait(20)
        raise ValueError("after the loop")

    async def main():
        manager = EventManager(LocalProvider())
        await manager.subscribe(Order, on)
        await manager.send_event(Order(1))
        await eventually(entered.is_set)

    asyncio.run(main())
    go_on.set()
    assert soon(lambda: "ValueError('after the loop')" in caplog.text)


PROGRAM = """
import asyncio, threading, time
from dataclasses import dataclass
from aspyx_event import *

@event()
@dataclass
class Hello:
    number: int

entered = threading.Event()

def on(event):
    entered.set()
    time.sleep(0.3)
    print("finished", event.number, flush=True)
"""


def test_a_program_that_ends_without_a_stop_waits_for_the_handlers_it_is_in(tmp_path):
    body = """
async def main():
    manager = EventManager(LocalProvider())
    await manager.subscribe(Hello, on)
    await manager.send_event(Hello(1))
    while not entered.is_set():
        await asyncio.sleep(0.001)

asyncio.run(main())
print("end", flush=True)
"""
    done = run_program(PROGRAM + body, tmp_path)
    assert (done.returncode, done.stdout) == (0, "end\nfinished 1\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_at_the_end_of_a_plain_script_no_event_that_waits_for_a_sync_handler_has_failed(tmp_path):
    body = """
manager = EventManager(LocalProvider())
manager.subscribe(Hello, on)
for number in (1, 2):
    threading.Thread(target=manager.send_event, args=(Hello(number),), daemon=True).start()
entered.wait()
"""
    done = run_program(PROGRAM + body, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1
    assert "failed" not in done.stderr


def test_a_keyboard_interrupt_that_a_handler_thread_raises_is_a_failed_attempt(tmp_path):
    """Ctrl-C reaches the main thread only: what a thread raises is an error of its handler."""
    body = """
seen = []

def interrupted(event):
    seen.append(event.number)
    if event.number == 1:
        raise KeyboardInterrupt

async def main():
    manager = EventManager(LocalProvider())
    subscription = await manager.subscribe(Hello, interrupted)
    for number in (1, 2):
        await manager.send_event(Hello(number))
    while not subscription.stats.count:
        await asyncio.sleep(0.01)
    print(seen, subscription.stats.dead_letters, flush=True)
    await manager.stop()

asyncio.run(main())
"""
    done = run_program(PROGRAM + body, tmp_path)
    assert (done.returncode, done.stdout) == (0, "[1, 2] 1\n"), done.stderr
