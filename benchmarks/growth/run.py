"""Runs the cases of growth, interleaved, and reports them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from aspyx_event import StateError
from aspyx_event.testing import ArtemisBroker, Management

from .. import machine
from ..brokers import BenchmarkError
from . import graphs, text
from .cases import CASES, LOCAL, Case, verdicts
from .jobs import Job, start, tell, work

Say = Callable[[str], None]
_DRAIN_POLL = 0.02
#: Consumers that start in front of one backlog, one after the other: where a process finds its memory is chance.
_CONSUMERS = 5


def main(names: Sequence[str] | None, scale: float, target: Path, publish: tuple[Path, Path] | None, say: Say) -> int:
    """Run the named cases, or all; return the exit code.

    Args:
        names: Keys of cases.
        scale: Factor on the numbers of events.
        target: Where the JSON goes, and the plot beside it.
        publish: Page and directory of images of the documentation to write to as well.
        say: Gets the lines of progress.
    """
    unknown = set(names or ()) - {case.key for case in CASES}
    if unknown:
        raise BenchmarkError(
            f"no case of growth is called {', '.join(sorted(unknown))}: {', '.join(case.key for case in CASES)}"
        )
    chosen = [case for case in CASES if not names or case.key in names]
    started, results, failed = time.monotonic(), {}, []
    with ExitStack() as stack:
        broker = management = None
        if any(line != LOCAL for case in chosen for line in case.lines):
            say("looking for a broker ...")
            broker = stack.enter_context(machine.find_broker())
            management = stack.enter_context(Management(broker))
        found = machine.describe(broker)
        for case in chosen:
            say(f"{case.title}: {case.axis} {', '.join(f'{point:,}' for point in case.points)}")
            try:
                results[case.key] = _Run(case, scale, broker, management, say).points()
            except BenchmarkError as error:  # the other cases are worth their time all the same
                failed.append(f"{case.key}: {error}")
                say(f"    FAILED: {error}")
                continue
            for line in verdicts(case, results[case.key]):
                say(f"    {line}")
    chosen = [case for case in chosen if case.key in results]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"machine": found, "scale": scale, "cases": results}, indent=1) + "\n")
    say(f"\n{text.table(chosen, results)}\n\n{time.monotonic() - started:.0f} s; all figures: {target.name}")
    if chosen:
        graphs.write(chosen, results, target, publish, say)
    for line in failed:
        say(f"benchmark failed: {line}")
    return 1 if failed else 0


def again(earlier: dict[str, Any], source: Path, publish: tuple[Path, Path] | None, say: Say) -> None:
    """Report what an earlier run wrote to *source*."""
    chosen = [case for case in CASES if case.key in earlier["cases"]]
    results = {
        key: {line: {int(point): figures for point, figures in points.items()} for line, points in lines.items()}
        for key, lines in earlier["cases"].items()
    }
    say(text.table(chosen, results))
    graphs.write(chosen, results, source, publish, say)


class _Run:
    """One case: its jobs, each with names of its own at the broker."""

    def __init__(
        self, case: Case, scale: float, broker: ArtemisBroker | None, management: Management | None, say: Say
    ) -> None:
        self._case, self._scale, self._broker, self._management, self._say = case, scale, broker, management, say

    def points(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Return the medians of the figures, by line and point."""
        case = self._case
        found: dict[str, dict[int, list[dict[str, Any]]]] = {
            line: {point: [] for point in case.points} for line in case.lines
        }
        for _ in range(case.rounds):
            if case.key == "backlog":
                for line in case.lines:
                    for point, figures in self._backlog(line).items():
                        found[line][point].append(figures)
                continue
            for point in case.points:
                for line in case.lines:
                    figures = self._one(line, point)
                    found[line][point].append(figures)
                    self._say(f"  {line:<16}{point:>9,}  {figures[case.figure]:>12,.1f} {case.unit}")
        return {line: {point: _medians(each) for point, each in points.items()} for line, points in found.items()}

    def _one(self, line: str, point: int) -> dict[str, Any]:
        job = self._job(line, point)
        try:
            return self._processes(job) if self._case.key == "processes" else work(job)
        finally:
            self._clean(job)

    def _job(self, line: str, point: int, **options: Any) -> Job:
        case = self._case
        messages = case.count(point, self._scale)
        job = Job(case.key, line, point, messages, f"aspyx-benchmark-{uuid.uuid4().hex[:8]}", **options)
        # Slow machines and large cases: what is meant is that a run ends, not that it is quick.
        job = replace(job, deadline=max(180.0, messages / 1_000))
        broker = self._broker
        if line == LOCAL or broker is None:
            return job
        return replace(job, host=broker.host, port=broker.port, user=broker.user, password=broker.password)

    def _queue(self, job: Job) -> str:
        """Make the queue of the job's first event; return its name."""
        assert self._management is not None
        queue = f"{job.prefix}-listener"
        self._management.create_queue(queue, f"{job.prefix}.0")
        return queue

    def _processes(self, job: Job) -> dict[str, Any]:
        """Fill a queue, let the processes start together, and take the time until it is empty."""
        assert self._management is not None
        # Handlers that wait need fewer events for the same time.
        job = job if "no-op" in job.line else replace(job, messages=max(20, job.messages // 20))
        queue = self._queue(job)
        work(replace(job, case="fill"))
        processes = [start(job) for _ in range(job.point)]
        try:
            for process in processes:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    raise BenchmarkError(f"a consumer process did not start: {process.communicate()[1][-2000:]}")
            began = time.perf_counter()
            for process in processes:
                tell(process, "go")
            while self._management.messages(queue):
                if time.perf_counter() - began > job.deadline:
                    raise BenchmarkError(f"{job.point} processes did not empty a queue in {job.deadline:g} s")
                time.sleep(_DRAIN_POLL)
            seconds = time.perf_counter() - began
            done = [json.loads(process.communicate("\n", 30)[0].splitlines()[-1]) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        handled = sum(one["handled"] for one in done)
        if handled < job.messages:
            raise BenchmarkError(f"{job.messages - handled} of {job.messages} events were not handled")
        return {"rate": job.messages / seconds, "handled": handled, "fewest": min(one["handled"] for one in done)}

    def _backlog(self, line: str) -> dict[int, dict[str, Any]]:
        """Fill one queue further and further, and start a consumer each time."""
        assert self._management is not None
        first = self._job(line, self._case.points[0])
        queue, found = self._queue(first), {}
        try:
            for point in self._case.points:
                waiting = max(100, round(point * self._scale))
                each = []
                for _ in range(_CONSUMERS):
                    missing = max(0, waiting - self._management.messages(queue))
                    deadline = max(120.0, missing / 1_000)
                    if missing:
                        work(replace(first, case="fill", line="AMQP", messages=missing, deadline=deadline))
                    each.append(work(replace(first, point=point)))
                found[point] = {**_medians(each), "waiting": waiting}
                self._say(f"  {line:<16}{waiting:>9,}  {found[point]['peak']:>12,.1f} {self._case.unit}")
        finally:
            self._clean(first)
        return found

    def _clean(self, job: Job) -> None:
        if self._management is None or job.line == LOCAL:
            return
        if self._broker is not None and self._broker.owned and self._case.key == "backlog":
            # A second million beside the first is more than its heap allows; a broker that was found is left as it was.
            self._management.close()
            self._broker.kill()
            with suppress(StateError):  # in a container they are gone with it
                self._broker.remove_data()
            self._broker.start()
            return
        for queue in self._management.queues():
            if queue.startswith(job.prefix):
                with suppress(Exception):
                    self._management.destroy_queue(queue)


def _medians(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Return each figure's median; a curve is that of the last sample."""
    return {
        name: median([one[name] for one in samples]) if isinstance(value, (int, float)) else value
        for name, value in samples[-1].items()
    }
