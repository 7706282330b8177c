"""A real Artemis broker for tests: from the environment, or started as a temporary instance on free ports."""

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

#: Port for all protocols of Artemis by default.
DEFAULT_PORT = 61616

#: In seconds. A start takes two on an idle machine, and ten times as long on a loaded machine.
START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0

_MAX_LOGS = 40
# In seconds. A running broker is known to be ready from its log, so a log that may be in use is not removed: parallel
# test runs start more brokers than `_MAX_LOGS`.
_LOG_MIN_AGE = 3 * 3600
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
    """An Artemis broker: temporary and started here, or external.

    `find` uses the broker that `ARTEMIS_URL` names, or else a temporary broker. `own` always uses a temporary broker,
    for tests that kill it. The object is a context manager. At the end of the block, and also if the process that
    started it dies for any reason, a temporary broker is stopped and its files are removed. All methods block.

    Attributes:
        host: Host that it listens on.
        port: Port for all protocols.
        user: The administrator.
        ports: All ports, by the name of the acceptor; `artemis` is `port`.
        owned: Whether it is a temporary broker, which may be stopped, killed and frozen.
        log: Log file of a temporary broker; None for an external broker. It is not removed with the broker; old logs are.
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
        """Return the broker that `ARTEMIS_URL` names, or else a temporary broker; see `own`.

        Args:
            config: Of a temporary broker; an external broker is not changed.
            environ: Environment variables; None uses those of this process.
            progress: Receives messages about downloads and slow starts.

        Raises:
            BrokerUnavailable: no broker can be used or started; the message lists the three ways to get one.
        """
        environ = os.environ if environ is None else environ
        url = environ.get("ARTEMIS_URL", "").strip()
        if not url:
            return cls.own(config, environ=environ, progress=progress)
        parts = urlsplit(url if "://" in url else f"amqp://{url}")
        if not parts.hostname:
            raise BrokerUnavailable("ARTEMIS_URL has no host; its form is amqp://user:password@host:61616")
        external = BrokerConfig(user=unquote(parts.username or ""), password=unquote(parts.password or ""))
        return cls(external, None, host=parts.hostname, port=parts.port or DEFAULT_PORT, progress=progress)

    @classmethod
    def own(
        cls,
        config: BrokerConfig | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        progress: Progress = logger.info,
    ) -> ArtemisBroker:
        """Return a temporary broker on free ports. `start` runs it with Docker or Java.

        Raises:
            BrokerUnavailable: neither Docker nor Java can be used.
        """
        environ = os.environ if environ is None else environ
        return cls(config or BrokerConfig(), find_runtime(environ, progress), progress=progress)

    @property
    def url(self) -> str:
        """URL with user and password, in the form of `ARTEMIS_URL`."""
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
        """Process id of a temporary broker; None if it is not running, external, or in a container."""
        return self._runner.pid() if self._runner else None

    @property
    def running(self) -> bool:
        """Whether a temporary broker is running, frozen or not; for an external broker, whether it answers."""
        if not self.owned:
            return answers_amqp(self.host, self.port)
        return self._runner is not None and self._runner.ended() is None

    def start(self, timeout: float = START_TIMEOUT) -> ArtemisBroker:
        """Start, with the data of the previous run, if any, and wait until it answers.

        Raises:
            BrokerUnavailable: it does not answer within *timeout* seconds, or exited; with the end of its log.
            BrokerDataUnreadable: it exited with the data of an earlier run.
        """
        if not self.owned:
            if not answers_amqp(self.host, self.port, 10):
                raise unavailable([f"ARTEMIS_URL: no AMQP 1.0 broker answers at {self.where}"])
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
        """Shut down gracefully; clients are notified. The data is kept for the next `start`."""
        if self.running:
            self._own_runner("stopped").stop(timeout)
        self._disarm()

    def kill(self) -> None:
        """Kill it, like a crash. The data is kept for the next `start`."""
        if self.running:
            self._own_runner("killed").kill()
        self._disarm()

    def restart(self) -> None:
        """Shut down gracefully, and start again on the same ports with the same data."""
        self.stop()
        self.start()

    def remove_data(self, move_to: Path | None = None) -> None:
        """Remove the data of a stopped temporary broker, so that the next `start` is like the first.

        Args:
            move_to: A directory that does not exist, to move the data to; None deletes the data.

        Raises:
            StateError: it is running, external, or in a container, which has its own data.
        """
        runner = self._own_runner("emptied")
        if not isinstance(runner, JavaRunner) or self.running:
            raise StateError(f"the data of the broker at {self.where} is in use or out of reach")
        runner.move_data(move_to)

    def freeze(self) -> None:
        """Stop it from responding without closing connections, like a network partition or a long pause."""
        self._own_runner("frozen").freeze()

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._own_runner("thawed").thaw()

    def close(self) -> None:
        """Stop a temporary broker and remove its data; does nothing for an external broker."""
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
        return f"<ArtemisBroker at {self.where}{'' if self.owned else ', external'}>"

    def _own_runner(self, action: str) -> Runner:
        if not self.owned:
            raise StateError(f"the broker at {self.where} comes from ARTEMIS_URL and must not be {action} by tests")
        if self._runner is None:
            raise StateError(f"the broker at {self.where} was not started and cannot be {action}")
        return self._runner

    def _disarm(self) -> None:
        # From now on the process id may be reused by another process. A container exists until `close`.
        if self._watchdog is not None and not isinstance(self._runtime, DockerRuntime):
            self._watchdog.on_end(None)

    def _prepare(self) -> Runner:
        if self._runner is not None:
            return self._runner
        name = f"aspyx-event-{uuid.uuid4().hex[:12]}"
        # Resolved, because on macOS the temporary directory is a symbolic link, and Artemis compares paths.
        instance = Path(tempfile.mkdtemp(prefix=f"{name}-")).resolve()
        self._watchdog = Watchdog(instance)
        self.log = _log_file(name)
        if isinstance(self._runtime, DockerRuntime):
            self.config.write(instance, self.ports, host="0.0.0.0", container_path=CONTAINER_INSTANCE)  # noqa: S104
            ports = list(self.ports.values())
            self._runner = DockerRunner(
                self._runtime, name, instance, self.log, self.config.heap, ports, self.config.java_options
            )
        elif self._runtime is not None:
            self.config.write(instance, self.ports, host=self.host)
            self._runner = JavaRunner(self._runtime, instance, self.log, self.config.heap, self.config.java_options)
        return self._own_runner("started")

    def _wait_until_ready(self, runner: Runner, before: int, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            exit_reason = runner.ended()
            if exit_reason is not None:
                error = BrokerDataUnreadable if before else BrokerUnavailable
                raise error(f"Artemis ended while it started ({exit_reason}):\n{self._log_tail()}")
            # Both are checked: an answer alone could come from another process on the port, and the log line alone
            # from a broker that cannot be reached.
            if runner.times_active() > before and answers_amqp(self.host, self.port):
                return
            time.sleep(_POLL)
        raise BrokerUnavailable(f"Artemis at {self.where} is not ready after {timeout:g} s:\n{self._log_tail()}")

    def _log_tail(self, lines: int = 15) -> str:
        if self.log is None or not self.log.exists():
            return "(no log)"
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        important = [line for line in text if re.search(r"ERROR|WARN|Exception|AMQ22(4|9)", line)]
        return "\n".join([*(important or text)[-lines:], f"(full log: {self.log})"])


def answers_amqp(host: str, port: int, timeout: float = 2.0) -> bool:
    """Return whether *port* answers the protocol header of AMQP 1.0 with SASL (section 2.2 of the specification)."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"AMQP\x03\x01\x00\x00")
            return connection.recv(8)[:4] == b"AMQP"
    except OSError:
        return False


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """Return ports that are not in use.

    They are below the range of ephemeral ports: a client that reconnects to a port in that range while the broker is
    down may get this port as its own and connect to itself.
    """
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(ports) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        ports.append(port)
    return ports


def _log_file(name: str) -> Path:
    directory = cache_directory(os.environ) / "logs"
    directory.mkdir(parents=True, exist_ok=True)
    old = sorted(directory.glob("*.log"), key=lambda path: path.name)
    for path in old[: max(0, len(old) - _MAX_LOGS)]:
        with contextlib.suppress(FileNotFoundError):  # another test run may remove it
            if time.time() - path.stat().st_mtime > _LOG_MIN_AGE:
                path.unlink()
    return directory / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}.log"
