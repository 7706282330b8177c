"""Makes the virtual environment and installs what a task needs: `python tools/environment.py GROUP ...`.

Runs with the interpreter the environment is made from, so nothing but the standard library is imported. Fast when
nothing has changed: one stamp per group holds the hash of pyproject.toml. GROUP is a dependency group of pyproject.toml,
or `package` for the package with its drivers alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("VENV", ROOT / ".venv")).absolute()
VENV_PYTHON = VENV / "bin" / "python"
# Outside of the environment: `venv --clear` empties that.
WORK = ROOT / ".cache"
LOG = WORK / "setup.log"
MINIMUM = (3, 10)
BEAT_SECONDS = 10.0


class SetupError(Exception):
    """Something this machine lacks; the message says what and how to get it."""


def main(groups: list[str]) -> int:
    """Bring the environment up to date for *groups*; return the exit code."""
    try:
        with _lock():
            missing = [group for group in groups if not _is_installed(group)]
            if missing or not _works():
                _install(groups if not _works() else missing)
    except SetupError as error:
        sys.stderr.write(f"\nerror: {error}\n")
        return 1
    return 0


def _lock() -> TextIO:
    # Two makes at once would install into each other. Closing the file, by whatever end, unlocks it.
    WORK.mkdir(exist_ok=True)
    file = (WORK / "setup.lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _stamp(group: str) -> Path:
    return VENV / f".installed-{group}"


def _fingerprint() -> str:
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()


def _is_installed(group: str) -> bool:
    stamp = _stamp(group)
    return stamp.exists() and stamp.read_text(encoding="ascii") == _fingerprint()


def _works() -> bool:
    """Tell whether the environment has an interpreter that starts; a copied or moved one has not."""
    try:
        return subprocess.run([VENV_PYTHON, "-c", ""], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _install(groups: list[str]) -> None:
    if not _works():
        _check_python()
        _step(
            f"making {VENV.name} with Python {sys.version.split()[0]}",
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
        )
    _check_compiler()
    pip = [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    # Dependency groups came with pip 25.1.
    _step("updating pip", [*pip, "--upgrade", "pip>=25.1"])
    more = [group for group in groups if group != "package"]
    title = (
        f"installing aspyx-event, its drivers and what these need: {', '.join(more)}"
        if more
        else ("installing aspyx-event and its drivers")
    )
    _step(title, [*pip, "--editable", f"{ROOT}[all]", *(f"--group={group}" for group in more)])
    for group in {"package", *groups}:
        _stamp(group).write_text(_fingerprint(), encoding="ascii")


def _check_python() -> None:
    if sys.version_info < MINIMUM:
        raise SetupError(f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, this is {sys.version.split()[0]}")
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"{sys.executable} lacks {' and '.join(missing)}, which virtual environments need\n"
            f"  Debian, Ubuntu:  apt-get install python{version}-venv\n"
            "  or choose another interpreter:  make PYTHON=/path/to/python3 ..."
        )


def _check_compiler() -> None:
    """Check what compiling python-qpid-proton needs, because pip's own message hides in a page of output.

    It needs a C compiler and Python's headers. OpenSSL's headers and pkg-config are used if they are there and not
    missed if they are not: TLS is the business of asyncio here.
    """
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('cproton_ffi') is None)"
    if subprocess.run([VENV_PYTHON, "-c", probe], check=False).returncode == 0:
        return
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    missing = []
    if shutil.which(compiler) is None:
        missing.append(f"a C compiler (`{compiler}` is not there)")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        missing.append(f"the headers of Python ({header} is not there)")
    if missing:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"the AMQP driver, python-qpid-proton, is compiled when it is installed. Missing: {' and '.join(missing)}\n"
            f"  Debian, Ubuntu:  apt-get install gcc libc6-dev python{version}-dev   (python3-dev for the default Python)\n"
            f"  Fedora:          dnf install gcc python{version}-devel               (python3-devel for the default Python)\n"
            "  macOS:           xcode-select --install"
        )


def _step(title: str, command: list[str]) -> None:
    sys.stderr.write(f"{title} ...\n")
    sys.stderr.flush()
    started = last = time.monotonic()
    with LOG.open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - last > BEAT_SECONDS:
                last = time.monotonic()
                sys.stderr.write(f"  ... {last - started:.0f} s\n")
                sys.stderr.flush()
    if process.returncode != 0:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-30:])
        raise SetupError(f"{title}: failed, exit code {process.returncode}\n{tail}\n(all of it: {LOG})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["package"]))
