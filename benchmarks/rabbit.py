"""A RabbitMQ node of our own for the peers that speak AMQP 0-9-1: in a temporary directory, on free ports of 127.0.0.1.

Erlang's schedulers do not spin while they wait: on a machine with few cores that would be taken from the clients.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from aspyx_event.testing.broker_process import Watchdog

# Debian's script in /usr/sbin changes the user; what it calls does not.
_PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server")
_NO_SPINNING = "+sbwt none +sbwtdcpu none +sbwtdio none"
SETTINGS = f"started for this, one node, classic durable queues, no plugins, Erlang {_NO_SPINNING}"
_START, _STOP = 90.0, 20.0


class RabbitUnavailable(Exception):
    """There is no RabbitMQ here; the message says how to get one."""


def find_server() -> str:
    """Return the script that runs a node in the foreground.

    Raises:
        RabbitUnavailable: it is not installed, or Erlang is not.
    """
    found = next((place for place in _PLACES if Path(place).exists()), None) or shutil.which("rabbitmq-server")
    if found is None or shutil.which("epmd") is None:
        raise RabbitUnavailable("RabbitMQ is not installed (Debian: apt-get install rabbitmq-server)")
    return found


class Rabbit:
    """One node, for as long as the `with` block lasts. Its user is guest, as RabbitMQ creates it.

    Raises:
        RabbitUnavailable: not installed, or it does not start.
    """

    host, user, password = "127.0.0.1", "guest", "guest"

    def __init__(self) -> None:
        self._server = find_server()
        self.port, self._distribution, self._epmd = _free_ports(3)
        self._home = Path()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Rabbit:
        self._home = Path(tempfile.mkdtemp(prefix="aspyx-benchmark-rabbitmq-"))
        self._watchdog = Watchdog(self._home)
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def version(self) -> str:
        """Return what the node calls itself."""
        with self.channel() as channel:
            return str(channel.connection.server_properties.get("version", "?"))

    def create_queue(self, queue: str, address: str) -> None:  # noqa: ARG002  as the management of Artemis has it
        """Make a durable queue at the default exchange."""
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True, auto_delete=False)

    def messages(self, queue: str) -> int:
        """Return the messages that no consumer holds."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)

    def destroy_queue(self, queue: str) -> None:
        """Remove a queue with what it holds."""
        with self.channel() as channel:
            channel.queue_delete(queue)

    @contextlib.contextmanager
    def channel(self) -> Iterator[Any]:
        """Give a channel of a connection of its own."""
        import amqp  # comes with kombu; without it nobody needs a node

        with amqp.Connection(f"{self.host}:{self.port}", self.user, self.password, connect_timeout=5) as connection:
            yield connection.channel()

    def _start(self) -> None:
        environment = {**os.environ, **self._settings()}
        # Erlang would start the port mapper as a daemon that stays; this one is ours to end.
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd)]
        log = (self._home / "log").open("ab")
        with log:
            for command in (epmd, [self._server]):
                self._processes.append(
                    subprocess.Popen(
                        command,
                        cwd=self._home,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        if self._watchdog is not None:
            groups = " ".join(f"-{process.pid}" for process in self._processes)
            self._watchdog.on_end(["sh", "-c", f"kill -9 -- {groups}"])
        self._wait_until_ready()

    def _settings(self) -> dict[str, str]:
        home = str(self._home)
        (self._home / "plugins").write_text("[].\n")
        (self._home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console.level = warning\n", encoding="ascii"
        )
        return {
            "HOME": home,  # Erlang keeps its cookie there
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"benchmark-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/no-environment",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_MNESIA_BASE": home,
            "RABBITMQ_LOG_BASE": home,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (f"{_NO_SPINNING} -kernel inet_dist_use_interface {{127,0,0,1}}"),
        }

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _START
        while time.monotonic() < end:
            if self._processes[-1].poll() is not None:
                break
            with contextlib.suppress(OSError), self.channel():
                return
            time.sleep(0.2)
        tail = (self._home / "log").read_text(errors="replace")[-1500:]
        raise RabbitUnavailable(f"RabbitMQ did not start:\n{tail}")

    def _end(self) -> None:
        for process in reversed(self._processes):  # the port mapper last
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(_STOP)
        self._processes.clear()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
