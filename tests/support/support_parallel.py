"""The number of processes that run the tests side by side with `-n auto` (pytest-xdist)."""

from __future__ import annotations

import os

import pytest

#: Each worker starts a broker of up to 512 MB, and further ones for the tests that kill a broker.
MOST_WORKERS = 4


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker per processor; 0, which means no worker but this process, for a single test file."""
    return 0 if names_one_file(config.args) else min(processors(), MOST_WORKERS)


def names_one_file(arguments: list[str]) -> bool:
    """Tell whether pytest's *arguments* name one file, or tests in it, and nothing else."""
    paths = {argument.partition("::")[0] for argument in arguments}
    return len(paths) == 1 and paths.pop().endswith(".py")


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
