"""The application whose growth is measured: the usual event class, interceptor and headers, in the numbers asked for."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aspyx_event import AMQPProvider, EventContext, EventManager, LocalProvider, StompProvider, event
from aspyx_event.providers import Provider

from .. import timed
from ..contenders.ours import SessionPipeline
from ..message import TENANT, OrderPlaced
from ..message import order as make
from .jobs import Job

IN_FLIGHT = 500
_PAGE = os.sysconf("SC_PAGE_SIZE")


def provider_of(job: Job) -> Provider:
    """Return the provider that the line of a job names."""
    # Every process is a server of its own.
    server = f"benchmark-{os.getpid()}"
    if job.line.startswith("AMQP"):
        return AMQPProvider(server, job.host, job.port, job.user, job.password)
    if job.line.startswith("STOMP"):
        return StompProvider(job.host, job.port, job.user, job.password, server_name=server)
    return LocalProvider()


def manager_of(job: Job, interceptors: int = 1) -> EventManager:
    """Return a manager with the line's provider and so many interceptors."""
    return EventManager(provider_of(job), pipelines=[SessionPipeline() for _ in range(interceptors)])


def event_classes(job: Job, count: int, **options: Any) -> list[type[OrderPlaced]]:
    """Return so many durable event classes of the same shape, with names of their own."""
    made: list[type[OrderPlaced]] = []
    for number in range(count):
        cls = type(f"Order{number}", (OrderPlaced,), {"__annotations__": {}})
        made.append(event(name=f"{job.prefix}.{number}", durable=True, **options)(dataclass(cls)))
    return made


def instance(cls: type[OrderPlaced], number: int) -> OrderPlaced:
    """Return the event of a number, of class *cls*."""
    return cls(**vars(make(number)))


class Counter:
    """A handler that counts, and tells when as many have come as were expected."""

    def __init__(self) -> None:
        self._left, self._complete = 0, asyncio.Event()

    def expect(self, count: int) -> None:
        self._left = count
        self._complete.clear()

    async def on(self, event: OrderPlaced, context: EventContext) -> None:  # noqa: ARG002
        self.count()

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            self._complete.set()

    async def complete(self, seconds: float) -> None:
        await asyncio.wait_for(self._complete.wait(), seconds)


class Usage:
    """Wall clock and CPU from when it is made."""

    def __init__(self) -> None:
        gc.collect()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def per(self, count: int) -> dict[str, float]:
        """Return microseconds of wall clock and of CPU per event, and events per second."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"wall": wall / count * 1e6, "cpu": cpu / count * 1e6, "rate": count / wall}


async def send_all(manager: EventManager, count: int, make_event: Callable[[int], Any]) -> None:
    """Send *count* events: one after the other in memory, else with the usual number in flight."""
    if isinstance(manager.provider, LocalProvider):
        for number in range(count):
            await manager.send_event(make_event(number), headers=TENANT)
        return
    await timed.send_all(count, IN_FLIGHT, lambda number: manager.send_event(make_event(number), headers=TENANT))


def resident() -> float:
    """Return the memory of this process that is in RAM, in MB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 1e6
