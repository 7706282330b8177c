"""A real Artemis broker for tests: found in the environment, or started as a throw-away instance on free ports."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

from ..exceptions import StateError
from .broker_config import BrokerConfig
from .broker_distribution import (
    BrokerDataUnreadable,
    BrokerUnavailable,
    DockerRuntime,
    Runtime,
    cache_directory,
    find_runtime,
    unavailable,
)
from .broker_process import CONTAINER_INSTANCE, DockerRunner, JavaRunner, Runner, Watchdog
from .broker_progress import Progress, heartbeat

logger = logging.getLogger("aspyx.event.testing")

LOOPBACK = "127.0.0.1"

#: The port for all protocols of an unconfigured Artemis.
DEFAULT_PORT = 61616

#: Seconds. A start takes two on an idle machine; ten times that is normal on a loaded one.
START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0

_KEPT_LOGS = 40
# Seconds. The log of a running broker tells when it is ready, so nothing removes one that may be in use: test runs in
# parallel start more brokers than are kept.
_LOG_LIFE = 3 * 3600
_PORTS = range(18_000, 32_000)
_POLL = 0.05

__all__ = [
    "DEFAULT_PORT",
    "ArtemisBroker",
    "BrokerConfig",
    "BrokerDataUnreadable",
    "BrokerUnavailable",
    "answers_amqp",
]


class ArtemisBroker:
    """One Artemis broker, ours or somebody else's.

    `find` takes the broker that `ARTEMIS_URL` names, and starts one if there is none. `own` always starts one, for
    tests that kill it. Both are context managers; an own broker ends, and its files go, at the end of the block, and
    also when the process that started it dies of whatever cause. All methods block.

    Attributes:
        host: Where it listens.
        port: The port for all protocols.
        user: A user who may do everything.
        ports: All ports by the name of the acceptor; `artemis` is `port`.
        owned: Whether it is ours to stop, kill and freeze.
        log: Its log file; None for a broker that is not ours. It is kept; old ones are removed.
    """

    def __init__(
        self,
        config: BrokerConfig,
        runtime: Runtime | None,
        *,
        host: str = LOOPBACK,
        port: int | None = None,
        progress: Progress = logger.info,
    ) -> None:
        self.config, self.host = config, host
        self.user, self.password = config.user, config.password
        self.owned = runtime is not None
        self.ports: Mapping[str, int] = {"artemis": port or config.port or DEFAULT_PORT}
        if runtime is not None:
            free = iter(free_ports(1 + len(config.acceptors), host))
            self.ports = {"artemis": config.port or next(free), **{name: next(free) for name in config.acceptors}}
        self.log: Path | None = None
        self._runtime, self._progress = runtime, progress
        self._runner: Runner | None = None
        self._watchdog: Watchdog | None = None

    @classmethod
    def find(
        cls,
        config: BrokerConfig | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        progress: Progress = logger.info,
    ) -> ArtemisBroker:
        """Return the broker `ARTEMIS_URL` names, or else one that `start` will start; see `own`.

        Args:
            config: For a broker of our own; a broker that exists stays as it is.
            environ: Environment variables to look at; None takes this process'.
            progress: Told about downloads and slow starts.

        Raises:
            BrokerUnavailable: there is no way to get a broker; the message lists the three there are.
        """
        environ = os.environ if environ is None else environ
        url = environ.get("ARTEMIS_URL", "").strip()
        if not url:
            return cls.own(config, environ=environ, progress=progress)
        parts = urlsplit(url if "://" in url else f"amqp://{url}")
        if not parts.hostname:
            raise BrokerUnavailable("ARTEMIS_URL has no host; it looks like amqp://user:password@host:61616")
        given = BrokerConfig(user=unquote(parts.username or ""), password=unquote(parts.password or ""))
        return cls(given, None, host=parts.hostname, port=parts.port or DEFAULT_PORT, progress=progress)

    @classmethod
    def own(
        cls,
        config: BrokerConfig | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        progress: Progress = logger.info,
    ) -> ArtemisBroker:
        """Return a broker of our own, on free ports, that `start` will start with Docker or with Java.

        Raises:
            BrokerUnavailable: neither can be used here.
        """
        environ = os.environ if environ is None else environ
        return cls(config or BrokerConfig(), find_runtime(environ, progress), progress=progress)

    @property
    def url(self) -> str:
        """With user and password, in the form `ARTEMIS_URL` has."""
        return f"amqp://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{self.where}"

    @property
    def where(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"

    @property
    def port(self) -> int:
        return self.ports["artemis"]

    @property
    def pid(self) -> int | None:
        """Process id of the broker; None if it does not run, is not ours, or runs in a container."""
        return self._runner.pid() if self._runner else None

    @property
    def running(self) -> bool:
        """Whether our broker runs, frozen or not; for somebody else's, whether it answers."""
        if not self.owned:
            return answers_amqp(self.host, self.port)
        return self._runner is not None and self._runner.ended() is None

    def start(self, timeout: float = START_TIMEOUT) -> ArtemisBroker:
        """Start it, or start it again with the data it had, and wait until it answers.

        Raises:
            BrokerUnavailable: it does not answer within *timeout* seconds, or ended at once; with the end of its log.
            BrokerDataUnreadable: it ended at once with the data of an earlier run.
        """
        if not self.owned:
            if not answers_amqp(self.host, self.port, 10):
                raise unavailable([f"ARTEMIS_URL: nothing at {self.where} answers as an AMQP 1.0 broker does"])
            return self
        if self.running:
            return self
        with heartbeat(self._progress, f"starting Artemis at {self.where}", first=5):
            runner = self._prepare()
            before = runner.times_active()
            command = runner.start()
            if self._watchdog is not None:
                self._watchdog.on_end(command)
            self._wait_until_ready(runner, before, timeout)
        return self

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Shut it down in an orderly way; it tells its clients. Its data stays for the next `start`."""
        if self.running:
            self._ours("stopped").stop(timeout)
        self._disarm()

    def kill(self) -> None:
        """End it as a crash would. Its data stays for the next `start`."""
        if self.running:
            self._ours("killed").kill()
        self._disarm()

    def restart(self) -> None:
        """Stop it in an orderly way and start it again on the same ports, with the same data."""
        self.stop()
        self.start()

    def forget(self, keep: Path | None = None) -> None:
        """Remove the data of a broker that does not run, so that the next `start` is the first one again.

        Args:
            keep: A directory that does not exist, to move the data to.

        Raises:
            StateError: it runs, is not ours, or lives in a container, whose data go with it.
        """
        runner = self._ours("emptied")
        if not isinstance(runner, JavaRunner) or self.running:
            raise StateError(f"the data of the broker at {self.where} are in use or out of reach")
        runner.move_data(keep)

    def freeze(self) -> None:
        """Make it silent without closing a connection, as a network partition or a long pause would."""
        self._ours("frozen").freeze()

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._ours("thawed").thaw()

    def close(self) -> None:
        """End our broker and remove its data; leave somebody else's alone."""
        if not self.owned or self._watchdog is None:
            return
        try:
            self.stop()
        finally:
            watchdog, self._watchdog, self._runner = self._watchdog, None, None
            watchdog.close()

    def __enter__(self) -> ArtemisBroker:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ArtemisBroker at {self.where}{'' if self.owned else ', not ours'}>"

    def _ours(self, done: str) -> Runner:
        if not self.owned:
            raise StateError(f"the broker at {self.where} comes from ARTEMIS_URL and is not to be {done} by tests")
        if self._runner is None:
            raise StateError(f"the broker at {self.where} was not started and cannot be {done}")
        return self._runner

    def _disarm(self) -> None:
        # After this the process id may belong to somebody else. A container stays until `close`.
        if self._watchdog is not None and not isinstance(self._runtime, DockerRuntime):
            self._watchdog.on_end(None)

    def _prepare(self) -> Runner:
        if self._runner is not None:
            return self._runner
        name = f"aspyx-event-{uuid.uuid4().hex[:12]}"
        # Resolved: on macOS the temporary directory is a link, and Artemis compares paths.
        instance = Path(tempfile.mkdtemp(prefix=f"{name}-")).resolve()
        self._watchdog = Watchdog(instance)
        self.log = _log_file(name)
        if isinstance(self._runtime, DockerRuntime):
            self.config.write(instance, self.ports, host="0.0.0.0", seen_as=CONTAINER_INSTANCE)  # noqa: S104
            ports = list(self.ports.values())
            self._runner = DockerRunner(
                self._runtime, name, instance, self.log, self.config.heap, ports, self.config.java_options
            )
        elif self._runtime is not None:
            self.config.write(instance, self.ports, host=self.host)
            self._runner = JavaRunner(self._runtime, instance, self.log, self.config.heap, self.config.java_options)
        return self._ours("started")

    def _wait_until_ready(self, runner: Runner, before: int, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            how = runner.ended()
            if how is not None:
                kind = BrokerDataUnreadable if before else BrokerUnavailable
                raise kind(f"Artemis ended while it started ({how}):\n{self._log_tail()}")
            # Both: an answer alone could come from another process on the port, the log line alone from a broker
            # that nobody can reach.
            if runner.times_active() > before and answers_amqp(self.host, self.port):
                return
            time.sleep(_POLL)
        raise BrokerUnavailable(f"Artemis at {self.where} is not ready after {timeout:g} s:\n{self._log_tail()}")

    def _log_tail(self, lines: int = 15) -> str:
        if self.log is None or not self.log.exists():
            return "(no log)"
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        important = [line for line in text if re.search(r"ERROR|WARN|Exception|AMQ22(4|9)", line)]
        return "\n".join([*(important or text)[-lines:], f"(all of it: {self.log})"])


def answers_amqp(host: str, port: int, timeout: float = 2.0) -> bool:
    """Tell whether *port* answers the protocol header of AMQP 1.0 with SASL (section 2.2 of the specification)."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"AMQP\x03\x01\x00\x00")
            return connection.recv(8)[:4] == b"AMQP"
    except OSError:
        return False


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """Return ports nobody listens on.

    They lie below the range the kernel takes the ports of outgoing connections from: a client that tries to reconnect
    to a port of that range while the broker is down may be given this very port and connect to itself.
    """
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        found.append(port)
    return found


def _log_file(name: str) -> Path:
    directory = cache_directory(os.environ) / "logs"
    directory.mkdir(parents=True, exist_ok=True)
    old = sorted(directory.glob("*.log"), key=lambda path: path.name)
    for path in old[: max(0, len(old) - _KEPT_LOGS)]:
        with contextlib.suppress(FileNotFoundError):  # another test run does the same
            if time.time() - path.stat().st_mtime > _LOG_LIFE:
                path.unlink()
    return directory / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}.log"
