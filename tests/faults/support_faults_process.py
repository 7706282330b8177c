"""Producers and consumers as processes that can be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path

import support_faults_program
from support_faults_plan import Plan

#: Seconds. Long, because they only end what hangs: the machine may be slow.
DEADLINE = 90.0
# Forks from a process that has imported what programs need: a new interpreter for each would take most of the time.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["pytest", "proton.utils", "stomp", support_faults_program.__name__])


class Program:
    """A producer or consumer process.

    Args:
        plan: What it is told.
        main: Called in the process with the plan as JSON.
    """

    def __init__(self, plan: Plan, main=support_faults_program.main) -> None:
        self.plan = plan
        self._process = _PROCESSES.Process(target=main, args=(plan.to_json(),), name=plan.name, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def rss(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join(30)

    async def ended(self, limit: float = DEADLINE) -> int:
        """Wait for its end; return the exit code."""
        await asyncio.to_thread(self._process.join, limit)
        assert self._process.exitcode is not None, f"{self.plan.name} has not ended within {limit:g} s"
        return self._process.exitcode

    async def stop(self, limit: float = DEADLINE) -> int:
        """SIGTERM, and wait."""
        self._process.terminate()
        return await self.ended(limit)


async def in_thread(function, *arguments):
    """Call what blocks, such as the broker's start."""
    return await asyncio.to_thread(function, *arguments)
