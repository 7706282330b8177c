"""Collects the figures of the fault tests from all processes of a run and prints them at its end.

`FAULTS=long` runs the long set instead of the short one, `FAULTS_SEED` repeats a run.
"""

from __future__ import annotations

import os
import random
from dataclasses import asdict

import pytest
from support_faults_figures import Figures, table, write_json
from support_faults_report import markdown

LONG = os.environ.get("FAULTS", "") == "long"
SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
# For the workers of pytest-xdist, which are started by this process.
os.environ["FAULTS_SEED"] = str(SEED)

#: The figures of a test, one set per attempt.
FIGURES = pytest.StashKey[list[Figures]]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summary(config), "faults-summary")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Send the figures of a test along with its last report, which gets from a worker to the process that prints."""
    report = yield
    if report.when == "teardown" and FIGURES in item.stash:
        report.fault_figures = [asdict(figures) for figures in item.stash[FIGURES]]
    return report


class Summary:
    """The table of all fault tests. It is written after each test too, because a run may be interrupted."""

    def __init__(self, config: pytest.Config) -> None:
        self.rows: list[Figures] = []
        self.path = config.rootpath / ".cache" / "faults" / "figures.json"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        figures = getattr(report, "fault_figures", [])
        if figures:
            self.rows += [Figures(**fields) for fields in figures]
            write_json(self.rows, self.path)
            report_page = markdown(self.rows, "make faults" if LONG else "make test")
            self.path.with_suffix(".md").write_text(report_page, encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.rows:
            terminalreporter.section(f"faults ({'long' if LONG else 'short'} set, seed {SEED})")
            for line in table(self.rows):
                terminalreporter.write_line(line)
            page = self.path.with_suffix(".md").name
            terminalreporter.write_line(f"as JSON: {self.path}; for docs/guarantees.md: {page} beside it")
