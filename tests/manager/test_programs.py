"""Whole programs in processes of their own: how they start, run and end."""

from __future__ import annotations

import pytest
from support_core import run_program

HEAD = """
import asyncio, sys, threading, time
from dataclasses import dataclass
from aspyx_event import *

@event()
@dataclass
class Hello:
    world: str

seen = []
"""


def _run(body: str, folder, expected: str) -> str:
    done = run_program(HEAD + body, folder)
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
    return done.stderr


SYNC = """
def on(event):
    entered.set()
    time.sleep(0.5)
    print("finished", event.world, flush=True)
"""
ASYNC = """
async def on(event):
    entered.set()
    await asyncio.sleep(0.5)
    print("finished", event.world, flush=True)
"""


@pytest.mark.parametrize("handler", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_plain_script_that_ends_without_a_stop_finishes_its_handlers(handler, tmp_path):
    body = f"""
entered = threading.Event()
{handler}
manager = EventManager(LocalProvider())
manager.subscribe(Hello, on)
threading.Thread(target=lambda: manager.send_event(Hello("late")), daemon=True).start()
entered.wait()
print("end", flush=True)
"""
    assert "Error" not in _run(body, tmp_path, "end\nfinished late\n")


def test_an_idle_plain_script_ends_at_once(tmp_path):
    body = """
manager = EventManager(LocalProvider())
manager.subscribe(Hello, seen.append, name="l")
manager.send_event(Hello("x"))
print(seen)
"""
    assert _run(body, tmp_path, "[Hello(world='x')]\n") == ""


def test_an_error_at_the_end_of_a_script_keeps_its_exit_code(tmp_path):
    body = """
manager = EventManager(LocalProvider())
manager.subscribe(Hello, seen.append, name="l")
manager.send_event(Hello("x"))
sys.exit(3)
"""
    done = run_program(HEAD + body, tmp_path)
    assert (done.returncode, done.stderr) == (3, "")


def test_an_async_program_that_ends_without_a_stop_ends_promptly(tmp_path):
    body = """
async def on(event):
    seen.append(event)

async def main():
    manager = EventManager(LocalProvider())
    await manager.subscribe(Hello, on)
    await manager.subscribe(Hello, seen.append, name="sync")
    await manager.send_event(Hello("x"))
    while len(seen) < 2:
        await asyncio.sleep(0.001)

begin = time.monotonic()
asyncio.run(main())
print("quick" if time.monotonic() - begin < 5 else "slow")
"""
    assert "Traceback" not in _run(body, tmp_path, "quick\n")


def test_asyncio_run_twice_without_a_stop_says_what_to_do(tmp_path):
    body = """
manager = EventManager(LocalProvider())

async def main():
    await manager.send_event(Hello("x"))

asyncio.run(main())
try:
    asyncio.run(main())
except StateError as error:
    print(error)
"""
    done = run_program(HEAD + body, tmp_path)
    assert "event loop that this manager was started on has ended; call `await environment.stop()`" in done.stdout
    assert "never awaited" not in done.stderr


def test_a_keyboard_interrupt_ends_a_plain_script_in_order(tmp_path):
    body = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may have been told to ignore it

def on(event):
    print("handled", flush=True)

manager = EventManager(LocalProvider())
manager.subscribe(Hello, on)
manager.send_event(Hello("x"))
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    _run(body, tmp_path, "handled\ninterrupted\n")


def test_importing_starts_no_thread_and_reads_no_driver(tmp_path):
    body = """
assert threading.active_count() == 1, threading.enumerate()
assert not {"proton", "stomp", "asyncio.subprocess.x"} & set(sys.modules)
EventManager(LocalProvider())
assert threading.active_count() == 1, threading.enumerate()
print("ok")
"""
    _run(body, tmp_path, "ok\n")
