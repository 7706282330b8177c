"""Listening processes for the tests: real ones that can be killed, and stand-ins on the loop of the test."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, make_dataclass
from typing import Any

from ...context import EventContext
from ...deadlines import within
from ...events import event
from ...manager import EventManager
from ...providers.base import Provider

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Recipe:
    """How another process makes the same provider.

    Attributes:
        factory: ``module:name`` of a class or function that can be imported there.
        arguments: Its keyword arguments; what JSON can carry. They travel over a pipe, not on the command line.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Provider:
        module, _, name = self.factory.partition(":")
        provider = getattr(importlib.import_module(module), name)(**self.arguments)
        assert isinstance(provider, Provider), f"{self.factory} made {provider!r}, which is no Provider"
        return provider


@dataclass(frozen=True)
class Plan:
    """What a process listens to and what its listener does.

    Attributes:
        event: Name of the event; it has the fields `number` and `text`.
        durable: Of the event.
        listener: Name of the listener.
        group, per_process, prefetch: Of the listener.
        hangs_on: At the event of this number the handler never returns.
        answers: Name of an event of the same fields that the handler sends for each that it gets; "" for none.
    """

    event: str
    durable: bool
    listener: str = "listener"
    group: str = ""
    per_process: bool = False
    prefetch: int | None = None
    hangs_on: int | None = None
    answers: str = ""


class Worker:
    """A manager with the listener of a plan.

    Args:
        provider: Not started yet.
        plan: What to listen to.
        report: Told ``{"number", "process", "id", "redelivered"}`` when the handler begins with an event.
        name: Of the process.
    """

    def __init__(self, provider: Provider, plan: Plan, report: Report, name: str) -> None:
        self._provider, self._plan, self._report, self._name = provider, plan, report, name
        self._manager = EventManager(provider, stop_timeout=5.0)
        self._answer = numbered_event(plan.answers, durable=plan.durable) if plan.answers else None

    async def start(self) -> None:
        plan = self._plan
        await self._manager.start()
        await self._manager.subscribe(
            numbered_event(plan.event, durable=plan.durable),
            self._handle,
            name=plan.listener,
            group=plan.group,
            per_process=plan.per_process,
            prefetch=plan.prefetch,
        )

    async def stop(self) -> None:
        await self._manager.stop()

    async def break_off(self) -> None:
        """Let the transport vanish under the handlers."""
        await self._provider.stop()
        for subscription in self._manager.list_subscriptions():
            await subscription.consumer.detach(0.0)
        await self._manager.stop()

    async def _handle(self, event: Any, context: EventContext) -> None:
        self._report(
            {
                "number": event.number,
                "process": self._name,
                "id": context.event_id,
                "redelivered": context.redelivered,
            }
        )
        if event.number == self._plan.hangs_on:
            await asyncio.Event().wait()
        if self._answer is not None:
            await self._manager.send_event(self._answer(event.number, f"from {self._name}"))


def numbered_event(name: str, *, durable: bool) -> type:
    """Return an event class with the fields `number` and `text`."""
    return event(name=name, durable=durable)(make_dataclass("Numbered", [("number", int), ("text", str, "")]))


class Process(ABC):
    """A process that listens."""

    @abstractmethod
    async def start(self, patience: float) -> None:
        """Return when its listener is attached."""

    @abstractmethod
    async def stop(self) -> None:
        """End it in an orderly way."""

    @abstractmethod
    async def kill(self) -> None:
        """End it at once, in the middle of what it does; again is no error."""


class LoopProcess(Process):
    """Stands in for a process where the provider reaches no other."""

    def __init__(self, provider: Provider, plan: Plan, report: Report, name: str) -> None:
        self._worker = Worker(provider, plan, report, name)

    async def start(self, patience: float) -> None:
        await within(self._worker.start(), patience)

    async def stop(self) -> None:
        await self._worker.stop()

    async def kill(self) -> None:
        await self._worker.break_off()


class RemoteProcess(Process):
    """A Python process of its own. It gets its orders on stdin and reports on stdout, a line of JSON each."""

    def __init__(self, recipe: Recipe, plan: Plan, report: Report, name: str) -> None:
        self._orders = json.dumps({"recipe": asdict(recipe), "plan": asdict(plan), "name": name})
        self._report, self._name = report, name
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, patience: float) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.create_task(self._read(self._process), name=f"reports of process {self._name}")
        await self._tell(self._orders)
        await within(self._ready, patience)

    async def stop(self) -> None:
        await self._tell("stop")
        if self._process is not None and self._reader is not None:
            code = await self._process.wait()
            await self._reader
            assert code == 0, f"process {self._name} ended with {code}"

    async def kill(self) -> None:
        if self._process is not None and self._reader is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._reader
            if self._ready.done() and not self._ready.cancelled():
                self._ready.exception()

    async def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None and (line := await process.stdout.readline()):
            said = json.loads(line)
            if said == "ready":
                self._ready.set_result(None)
            else:
                self._report(said)
        if not self._ready.done():
            self._ready.set_exception(AssertionError(f"process {self._name} ended before it listened"))
