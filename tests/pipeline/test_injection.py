"""Interceptors that the container builds."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from dataclasses import dataclass
from aspyx.di import Environment, create, module
from aspyx_event import *
from aspyx_event import AbstractEnvelopePipeline, EventManager, EventModule, LocalProvider, envelope_pipeline

SEEN = []

@event()
@dataclass
class Hello:
    world: str

@event_listener(Hello)
class Greeter(EventListener[Hello]):
    def on(self, event, context):
        SEEN.append(context.headers["mark"])

@envelope_pipeline()
class Plain(AbstractEnvelopePipeline):
    async def send(self, envelope, event_descriptor):
        envelope.set("mark", "seen")
        await self.proceed_send(envelope, event_descriptor)

@module(imports=[EventModule])
class Module:
    @create()
    def manager(self) -> EventManager:
        return EventManager(LocalProvider())

environment = Environment(Module)
environment.get(EventManager).send_event(Hello("world"))
environment.destroy()
print(SEEN)
"""


def test_a_pipeline_without_a_constructor_of_its_own_is_built_by_the_container(tmp_path):
    program = tmp_path / "pipeline_program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "['seen']\n"), done.stderr
