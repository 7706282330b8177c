"""The run of the tests itself: its workers, and its report of what was left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import support_parallel
from support_parallel import names_one_file

SUPPORT = Path(support_parallel.__file__).parent
TESTS = """
import pytest

def test_passes():
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_needs_a_program(number):
    pytest.skip("no such program")

@pytest.mark.skipif(True, reason="another system")
def test_needs_a_system():
    pass

@pytest.mark.xfail(strict=True)
def test_expected_failure():
    assert False

def test_of_the_long_set():
    pass
"""
CONFTEST = """
import pytest
from support_left_out import deselect

pytest_plugins = ("support_left_out", "support_parallel")

@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    yield
    deselect(config, items, [item for item in items if "long" in item.name], "tests of the long set")
"""
SUMMARY = "tests that did not run, and why"


@pytest.fixture
def run(tmp_path):
    """Run pytest in a directory of its own and return its exit code and its output."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)

    def run_pytest(*arguments: str, ci: str = "") -> tuple[int, str]:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COVERAGE_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env={**environ, "CI": ci, "PYTHONPATH": str(SUPPORT)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return done.returncode, done.stdout

    return run_pytest


@pytest.mark.parametrize("workers", ["0", "auto"])
def test_skipped_tests_are_listed_by_reason(run, workers):
    code, output = run("-n", workers)
    summary = output[output.index(SUMMARY) :].splitlines()
    assert code == 0
    assert [line.split(maxsplit=1) for line in summary[1:4]] == [
        ["2", "no such program"],
        ["1", "another system"],
        ["1", "tests of the long set"],
    ]
    assert "1 passed, 3 skipped" in summary[-1]
    assert ("bringing up nodes" in output) is (workers == "auto")


def test_a_skipped_test_fails_in_ci(run, tmp_path):
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    code, output = run("--continue-on-collection-errors", ci="true")
    assert code == 1
    for reason in ("no such program", "another system", "could not import 'no_such_module'"):
        assert f"skipped, but with CI=true every test has to run: {reason}" in output
    assert "2 failed, 1 passed, 1 deselected, 1 xfailed" in output
    assert "2 errors" in output


def test_a_complete_run_has_no_list(run):
    code, output = run("test_some.py", "-k", "passes")
    assert code == 0
    assert SUMMARY not in output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tests/declarations/test_events.py"], True),
        (["tests/a.py::test_1", "tests/a.py::test_2[x]"], True),
        (["tests/a.py", "tests/b.py"], False),
        (["tests/core"], False),
        (["tests"], False),
    ],
)
def test_a_single_file_needs_no_workers(arguments, expected):
    assert names_one_file(arguments) is expected
