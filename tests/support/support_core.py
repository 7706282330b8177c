"""What tests of the core share: waiting on conditions, handlers that remember or wait, a provider that refuses, running programs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support_waiting import eventually, soon

from aspyx_event import EventContext, LocalProvider
from aspyx_event.exceptions import NoRouteError
from aspyx_event.providers import Outgoing

__all__ = ["Gate", "Recorder", "RefusingLetters", "eventually", "run_program", "settle", "soon"]


async def settle(rounds: int = 50) -> None:
    """Let everything that is ready on the loop run: for showing that something does not happen."""
    for _ in range(rounds):
        await asyncio.sleep(0)


@dataclass
class Recorder:
    """An async handler that remembers what it was given and fails as often as it is told."""

    __name__ = "recorder"  # queues of durable events need a name

    failures: list[Exception] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    contexts: list[EventContext] = field(default_factory=list)
    handled: list[Any] = field(default_factory=list)

    async def __call__(self, event: Any, context: EventContext) -> None:
        self.events.append(event)
        self.contexts.append(context)
        if self.failures:
            raise self.failures.pop(0)
        self.handled.append(event)


@dataclass
class Gate:
    """An async handler that holds every event until it is opened."""

    entered: list[Any] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    cancelled: list[Any] = field(default_factory=list)
    running: int = 0
    most: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, event: Any) -> None:
        self.entered.append(event)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.append(event)
            raise
        finally:
            self.running -= 1
        self.left.append(event)


class RefusingLetters(LocalProvider):
    """Refuses to store the first dead letters, as many as it is told."""

    def __init__(self, refusals: int = 1) -> None:
        super().__init__()
        self.refusals = refusals

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        if message.address.startswith("dead-letters.") and self.refusals:
            self.refusals -= 1
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(NoRouteError("the disk is full"))
            return refused
        return super().publish(message)


def run_program(source: str, folder: Path, name: str = "program_under_test.py") -> subprocess.CompletedProcess[str]:
    """Run *source* as a script in a process of its own."""
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60)
