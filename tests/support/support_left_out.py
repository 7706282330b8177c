"""Reports what a run leaves out: its last lines name each reason, and with CI=true a skipped test fails."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

#: Whether every test has to run, as in CI: a skipped one counts as failed.
COMPLETE = os.environ.get("CI", "").lower() in ("1", "true")

Report = pytest.TestReport | pytest.CollectReport

_DESELECTED = pytest.StashKey[dict[str, int]]()
_FIELD = "left_out"


def deselect(config: pytest.Config, items: list[pytest.Item], unwanted: list[pytest.Item], reason: str) -> None:
    """Remove the *unwanted* tests from *items*; the summary says why."""
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]
        config.stash[_DESELECTED][reason] = len(unwanted)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_DESELECTED] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    # A worker of pytest-xdist: it has no terminal, so the controller gets the counts.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_FIELD] = session.config.stash[_DESELECTED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    # Every worker collects all tests, so the counts are the same; a worker that crashed has none.
    node.config.stash[_DESELECTED].update(getattr(node, "workeroutput", {}).get(_FIELD, {}))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    return refuse(report) if COMPLETE else report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    return refuse(report) if COMPLETE else report


def refuse(report: Report) -> Report:
    """Make a failure of a skipped test or module; an expected failure stays one."""
    if report.skipped and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped, but with CI=true every test has to run: {reason_of(report)}"
        report.outcome = "failed"
    return report


def reason_of(report: Report) -> str:
    """Return why a test was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def lines(skipped: Iterable[Report], deselected: dict[str, int]) -> list[str]:
    """Return one line for each reason, the most frequent one first."""
    reasons = Counter(reason_of(report) for report in skipped) + Counter(deselected)
    return [f"{count:5} {reason}" for reason, count in reasons.most_common()]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = lines(terminalreporter.stats.get("skipped", []), config.stash[_DESELECTED])
    if left_out:
        terminalreporter.section("tests that did not run, and why")
        for line in left_out:
            terminalreporter.write_line(line)
