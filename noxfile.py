"""Checks on every Python this machine has: `nox -s fast-3.12`, `nox -s tests`, `nox -l` for the list."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "docs"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
SOURCES = [name for name in ("src", "tests", "examples", "benchmarks", "tools", "noxfile.py") if Path(name).exists()]

# pyenv puts a launcher for each version on the path, but one that only works for the versions of its `global` setting:
# the real interpreters go first.
_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
_interpreters = [str(path) for version in PYTHONS for path in sorted(_pyenv.glob(f"{version}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([*_interpreters, os.environ["PATH"]])


def install(session: nox.Session, *groups: str) -> None:
    """Install the package as a user would, not editable, and what a session needs."""
    session.install("--quiet", "pip>=25.1")
    session.install("--quiet", ".[all]", *(f"--group={group}" for group in groups))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests, or those the arguments choose."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session(python=PYTHONS)
def fast(session: nox.Session) -> None:
    """Run the tests that need no broker."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-n", "auto", "-m", "not broker", *session.posargs)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Check format, style, spelling and types."""
    install(session, "test", "lint")
    session.run("ruff", "format", "--check", *SOURCES)
    session.run("ruff", "check", *SOURCES)
    session.run("codespell")
    session.run("mypy")
    session.run("mypy", "--config-file", "tests/mypy.ini")
    session.run("python", "-m", "pytest", "tests/docs/test_typed_samples.py")


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link is an error."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
