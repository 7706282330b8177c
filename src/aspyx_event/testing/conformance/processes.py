"""Processes with a listener: real processes that can be killed, and substitutes on the loop of the test."""

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
    """How another process creates the same provider.

    Attributes:
        factory: ``module:name`` of an importable class or function.
        arguments: Its keyword arguments, as values that JSON can express. They are sent through a pipe, not on the
            command line.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Provider:
        module, _, name = self.factory.partition(":")
        provider = getattr(importlib.import_module(module), name)(**self.arguments)
        assert isinstance(provider, Provider), f"{self.factory} returned {provider!r}, which is not a Provider"
        return provider


@dataclass(frozen=True)
class Plan:
    """The listener of a process.

    Attributes:
        event: Name of the event; it has the fields `number` and `text`.
        durable: Option of the event.
        listener: Name of the listener.
        group, per_process, prefetch: Options of the listener.
        hangs_on: The handler never returns for the event with this number.
        answers: Name of an event with the same fields that the handler sends for each received event; "" sends none.
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
        provider: Not started.
        plan: Describes the listener.
        report: Called with ``{"number", "process", "id", "redelivered"}`` when the handler starts with an event.
        name: Name of the process.
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

    async def disconnect(self) -> None:
        """Stop the transport while handlers are running."""
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
    """A process with a listener."""

    @abstractmethod
    async def start(self, timeout: float) -> None:
        """Start, and return once the listener is attached."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop gracefully."""

    @abstractmethod
    async def kill(self) -> None:
        """End immediately, while handlers are running. Idempotent."""


class LoopProcess(Process):
    """Replaces a process for a provider that is not remote."""

    def __init__(self, provider: Provider, plan: Plan, report: Report, name: str) -> None:
        self._worker = Worker(provider, plan, report, name)

    async def start(self, timeout: float) -> None:
        await within(self._worker.start(), timeout)

    async def stop(self) -> None:
        await self._worker.stop()

    async def kill(self) -> None:
        await self._worker.disconnect()


class RemoteProcess(Process):
    """A separate Python process. It reads its configuration from stdin and writes reports to stdout, as lines of JSON."""

    def __init__(self, recipe: Recipe, plan: Plan, report: Report, name: str) -> None:
        self._configuration = json.dumps({"recipe": asdict(recipe), "plan": asdict(plan), "name": name})
        self._report, self._name = report, name
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, timeout: float) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.create_task(self._read(self._process), name=f"reports of process {self._name}")
        await self._write_line(self._configuration)
        await within(self._ready, timeout)

    async def stop(self) -> None:
        await self._write_line("stop")
        if self._process is not None and self._reader is not None:
            code = await self._process.wait()
            await self._reader
            assert code == 0, f"process {self._name} exited with {code}"

    async def kill(self) -> None:
        if self._process is not None and self._reader is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._reader
            if self._ready.done() and not self._ready.cancelled():
                self._ready.exception()

    async def _write_line(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None and (line := await process.stdout.readline()):
            report = json.loads(line)
            if report == "ready":
                self._ready.set_result(None)
            else:
                self._report(report)
        if not self._ready.done():
            self._ready.set_exception(AssertionError(f"process {self._name} ended before its listener was attached"))
