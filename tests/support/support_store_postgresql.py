"""A PostgreSQL server for the tests: a cluster of their own in a directory that goes with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from aspyx_event.testing.broker import free_ports

URL_VARIABLE = "ASPYX_EVENT_POSTGRESQL_URL"
DEADLINE = 30.0
MISSING = (
    "no PostgreSQL: the programs initdb and postgres are neither on the path nor in /usr/lib/postgresql. "
    f"Debian, Ubuntu: apt-get install postgresql; or name a running server, {URL_VARIABLE}=postgresql://user:password@host/database"
)


def program(name: str) -> str | None:
    """Return where a program of PostgreSQL is, the newest version first."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next(
        (found for found in (shutil.which(name), *(shutil.which(name, path=str(path)) for path in versions)) if found),
        None,
    )


class PostgresServer:
    """One server on a port of its own. Runs as another user where the tests run as root, which it refuses."""

    def __init__(self) -> None:
        self._initdb, self._postgres = program("initdb"), program("postgres")
        if not self._initdb or not self._postgres:
            raise FileNotFoundError(MISSING)
        self._account: dict[str, Any] = _unprivileged() if os.geteuid() == 0 else {}
        self._home = Path(tempfile.mkdtemp(prefix="aspyx-pg-"))
        if self._account:
            os.chown(self._home, self._account["user"], self._account["group"])
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        try:
            self._run(self._initdb, "-D", "data", "-U", "aspyx", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://aspyx@127.0.0.1:{self.port}/{database}"

    def start(self) -> PostgresServer:
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", "", "-c", "max_connections=60"]
        with (self._home / "log").open("ab") as log:
            # Without fsync a power failure loses data. The death of a process does not.
            self._process = subprocess.Popen(
                [self._postgres, "-D", "data", "-F", *options],
                cwd=self._home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._account,
            )  # fmt: skip
        # Whatever ends the tests closes this pipe, and ends the server.
        watch = ["sh", "-c", 'read _; kill -9 "$0"', str(self._process.pid)]
        self._watch = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)
        end = time.monotonic() + DEADLINE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._home / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """End all its processes at once, as a power failure would."""
        self._watch.kill()
        self._watch.wait()
        self._watch.stdin.close()
        self._signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: int) -> None:
        # Each backend leads a session of its own, so they are named one by one.
        for pid in _family(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _answers(self) -> bool:
        try:
            asyncio.run(execute(self.url(), "SELECT 1"))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self._home, capture_output=True, text=True, timeout=60, **self._account)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr}")


async def execute(url: str, *statements: str) -> None:
    """Run statements, each for itself."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _family(leader: int) -> list[int]:
    """Return the server's processes, the leader first: it would start anew what it finds dead."""
    found = [leader]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # After the name in parentheses: state, parent.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == leader:
                    found.append(int(entry.name))
    return found


def _unprivileged() -> dict[str, int]:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return {"user": account.pw_uid, "group": account.pw_gid}
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody'")
