"""One point of one curve: a job for a process of its own, as JSON on stdin; its figures come as JSON on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ..brokers import BenchmarkError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Job:
    """What one process is to do.

    Attributes:
        case: Name of the case.
        line: The curve, in most cases the name of a provider.
        point: How many of what the case is about.
        messages: Events to send or to handle.
        prefix: Begins the names of all events and queues.
        host, port, user, password: Of the broker; unused by Local.
        deadline: Seconds it may take.
    """

    case: str
    line: str
    point: int
    messages: int
    prefix: str = "aspyx-benchmark"
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    deadline: float = 120.0


def work(job: Job) -> dict[str, float]:
    """Let a process of its own do a job.

    Raises:
        BenchmarkError: it failed, or did not end.
    """
    process = start(job)
    try:
        output, errors = process.communicate(timeout=job.deadline)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise BenchmarkError(f"{job.case} {job.line} {job.point} did not end within {job.deadline:g} s") from error
    if process.returncode != 0:
        raise BenchmarkError(f"{job.case} {job.line} {job.point} ended with {process.returncode}:\n{errors[-3000:]}")
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def start(job: Job) -> subprocess.Popen[str]:
    """Start the process of a job and hand it the job; its stdin stays open."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.growth.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    tell(process, json.dumps(asdict(job)))
    return process


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Write a line to the stdin of a process."""
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()
