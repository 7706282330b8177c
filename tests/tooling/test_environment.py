"""Setting up a machine: what is missing is said in words a newcomer can act on, and `make` explains itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "tools" / "setup"


def set_up(tmp_path, group="package", **environ):
    base = {key: value for key, value in os.environ.items() if key not in ("PYTHON", "CC", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(SETUP), group],
        env={**base, "VENV": str(tmp_path / "venv"), "PYTHON": sys.executable, **environ},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    return done.returncode, done.stderr


def make(*arguments):
    done = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_a_missing_compiler_is_named_with_the_packages_that_have_one(tmp_path):
    code, said = set_up(tmp_path, CC="/no/such/compiler")
    assert code == 1
    for part in (
        "C compiler",
        "/no/such/compiler",
        "python-qpid-proton",
        "apt-get install",
        "dnf install",
        "xcode-select",
    ):
        assert part in said


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_a_python_that_does_not_start_is_named(tmp_path, python):
    code, said = set_up(tmp_path, PYTHON=python)
    assert code == 1
    assert python in said
    assert "make PYTHON=" in said


def test_a_python_without_ensurepip_is_told_its_package(tmp_path):
    # Debian splits ensurepip off its Python.
    wrapper = tmp_path / "python-without-ensurepip"
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'ensurepip' else find(name, *more)\n"
    )
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={blocked} exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    code, said = set_up(tmp_path, PYTHON=str(wrapper))
    assert code == 1
    assert "lacks ensurepip" in said
    assert re.search(r"apt-get install python3\.\d+-venv", said)


def test_nothing_is_done_when_nothing_has_changed(tmp_path):
    import hashlib

    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    (tmp_path / "venv" / ".installed-test").write_text(digest)
    assert set_up(tmp_path, "test", CC="/no/such/compiler") == (0, "")
    (tmp_path / "venv" / ".installed-test").write_text("of an older pyproject.toml")
    code, _ = set_up(tmp_path, "test", CC="/no/such/compiler", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert code == 1


def test_help_is_what_plain_make_shows_and_lists_every_target():
    text = make()
    assert text == make("help")
    targets = re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "test-fast", "lint", "format", "docs", "broker-up", "broker-down", "bench"} <= set(targets)
    for target in targets:
        assert re.search(rf"^  {target} +\S", text, re.MULTILINE), target


def test_the_demo_gets_a_broker_only_when_it_needs_one():
    assert "broker_cli" not in make("-n", "demo")
    assert "broker_cli run -- " in make("-n", "demo", "PROVIDER=amqp")
    assert "PROVIDER=stomp" in make("-n", "demo", "PROVIDER=stomp")


def test_the_full_test_run_leaves_nothing_out():
    assert "not broker" not in make("-n", "test")
    assert '-m "not broker"' in make("-n", "test-fast")
