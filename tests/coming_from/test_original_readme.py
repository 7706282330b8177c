"""AX: the example of the original documentation, verbatim, in a plain script and in an async program."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SEED = """
from dataclasses import dataclass
from aspyx.di import Environment, create, module
from aspyx.exception import ExceptionManager, catch
from aspyx_event import *
from aspyx_event import EventListener, EventManager, EventModule, LocalProvider, event, event_listener

SEEN = []

@dataclass
@event()
class HelloEvent:
    world: str

@event_listener(HelloEvent)
class HelloEventListener(EventListener[HelloEvent]):
    # constructor

    def __init__(self):
        ...

    # implement

    def on(self, event: HelloEvent):
        SEEN.append(event)

@module(imports=[EventModule])
class Module:
    def __init__(self): ...
    # handlers

    @catch()
    def handle(self, exception: Exception):
        ... # log at least...

    # internal

    def create_exception_manager(self):
        exception_manager = ExceptionManager()

        exception_manager.collect_handlers(self)

        return exception_manager

    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(LocalProvider(), exception_manager=self.create_exception_manager())
"""
PLAIN = """
environment = Environment(Module)
event_manager = environment.get(EventManager)
event_manager.send_event(HelloEvent("world"))
assert SEEN == [HelloEvent("world")], SEEN
environment.destroy()
print("ok")
"""
ASYNC = """
import asyncio

async def main():
    environment = Environment(Module)
    await environment.start()
    event_manager = environment.get(EventManager)
    await event_manager.send_event(HelloEvent("world"))
    while not SEEN:
        await asyncio.sleep(0.001)
    assert SEEN == [HelloEvent("world")], SEEN
    await environment.stop()

asyncio.run(main())
print("ok")
"""


def run(program: str, tmp_path) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "seed_program.py"
    path.write_text(textwrap.dedent(program))
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60)


def test_the_documented_example_runs_in_a_plain_script(tmp_path):
    done = run(SEED + PLAIN, tmp_path)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert "Error" not in done.stderr


def test_the_documented_example_runs_in_an_async_program(tmp_path):
    done = run(SEED + ASYNC, tmp_path)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert "Error" not in done.stderr
