"""Runs a broker instance as a Java process or in a container, and makes sure that it does not outlive its owner."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Protocol

from .broker_distribution import IMAGE, DockerRuntime, JavaRuntime

#: Path of the instance in the container image. Files in `etc-override` replace those of `etc` at the start.
CONTAINER_INSTANCE = "/var/lib/artemis-instance"

# Artemis logs this code once the last acceptor is open.
_ACTIVE = "AMQ221007"
#: Seconds for all threads of a broker to stop after `freeze`.
_FREEZE_TIMEOUT = 5.0

# Reads commands from standard input and runs the last command when the input ends. The input ends when the owner closes it or
# dies for any reason, including SIGKILL, because the kernel closes the pipe. A parent-death signal is not an option: Linux
# sends it when the *thread* that started the child ends.
_WATCHDOG = 'last=:; while IFS= read -r line; do last=$line; done; eval "$last"; rm -rf -- "$1"'


class Watchdog:
    """Ends the broker and removes its instance directory when its owner closes the watchdog or dies."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "artemis-watchdog", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C goes to the whole foreground process group, and the watchdog must survive it.
            start_new_session=True,
            text=True,
        )

    def on_end(self, command: list[str] | None) -> None:
        """Set the command that ends the broker; None if no broker is running."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{shlex.join(command)} >/dev/null 2>&1\n" if command else ":\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Let the watchdog do its work now, and wait for it, at most a minute."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(60)


class Runner(Protocol):
    """A broker instance that can be started and stopped any number of times. All methods block."""

    def start(self) -> list[str]:
        """Start without waiting until it is ready; return the command that kills it."""

    def stop(self, timeout: float) -> None:
        """Stop gracefully, or kill after *timeout* seconds."""

    def kill(self) -> None:
        """Kill it, like a crash."""

    def freeze(self) -> None:
        """Stop all threads; connections stay open."""

    def thaw(self) -> None:
        """Continue after `freeze`."""

    def ended(self) -> str | None:
        """Return how it ended; None while it is running."""

    def times_active(self) -> int:
        """Return how often it has logged that all ports are open."""

    def pid(self) -> int | None:
        """Return the process id on this machine; None if it is not running or runs in a container."""


def java_command(runtime: JavaRuntime, instance: Path, heap: str, java_options: tuple[str, ...] = ()) -> list[str]:
    """Return the command that runs *instance* in the foreground, like the script of the instance."""
    return [
        runtime.java,
        *java_arguments(heap, java_options),
        f"-Dlog4j2.configurationFile=file:{instance}/etc/log4j2.properties",
        f"-Djava.security.auth.login.config={instance}/etc/login.config",
        f"-Djava.library.path={runtime.home}/bin/lib/linux-{platform.machine()}",
        f"-Djava.io.tmpdir={instance / 'tmp'}",
        f"-Dartemis.home={runtime.home}",
        f"-Dartemis.instance={instance}",
        f"-Dartemis.instance.etc={instance}/etc",
        f"-Ddata.dir={instance}/data",
        "-classpath",
        f"{runtime.home}/lib/artemis-boot.jar",
        "org.apache.activemq.artemis.boot.Artemis",
        "run",
    ]


def java_arguments(heap: str, java_options: tuple[str, ...] = ()) -> list[str]:
    """Return JVM arguments for a quick start and little memory instead of the best throughput.

    Args:
        heap: As for `-Xmx`.
        java_options: Appended, so that they override the others.
    """
    return [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xms64M",
        f"-Xmx{heap}",
        "-Dlog4j2.disableJmx=true",
        "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
        *java_options,
    ]


def clean_environment() -> dict[str, str]:
    """Return the environment of this process without variables that change the JVM arguments."""
    return {key: value for key, value in os.environ.items() if key not in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")}


def _state(stat: Path) -> str:
    """Return the state of a thread as in proc(5); "T" for a thread that has ended meanwhile."""
    try:
        return stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "T"


class JavaRunner:
    """Runs the broker as a child process."""

    def __init__(
        self, runtime: JavaRuntime, instance: Path, log: Path, heap: str, java_options: tuple[str, ...] = ()
    ) -> None:
        self._command = java_command(runtime, instance, heap, java_options)
        self._instance, self._log = instance, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> list[str]:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._instance,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return ["kill", "-9", str(self._process.pid)]

    def stop(self, timeout: float) -> None:
        if self._process is None:
            return
        self.thaw()
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def move_data(self, target: Path | None) -> None:
        """Move the data of the stopped broker to *target*; None deletes it."""
        data = self._instance / "data"
        if target is None:
            shutil.rmtree(data)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(data, target)
        data.mkdir()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)
        # The signal stops the threads one by one; until the last has stopped, the broker may still answer.
        tasks = Path(f"/proc/{self.pid()}/task")
        end = time.monotonic() + _FREEZE_TIMEOUT
        while any(_state(task) not in "Tt" for task in tasks.glob("*/stat")) and time.monotonic() < end:
            time.sleep(0.005)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def ended(self) -> str | None:
        if self._process is None:
            return "not started"
        code = self._process.poll()
        return None if code is None else f"exit code {code}"

    def times_active(self) -> int:
        return self._log.read_bytes().count(_ACTIVE.encode()) if self._log.exists() else 0

    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.ended() is None else None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class DockerRunner:
    """Runs the broker as a container of the official image."""

    def __init__(
        self,
        runtime: DockerRuntime,
        name: str,
        instance: Path,
        log: Path,
        heap: str,
        ports: list[int],
        java_options: tuple[str, ...] = (),
    ) -> None:
        self._docker, self._name, self._instance, self._log = runtime.docker, name, instance, log
        self._java_arguments = java_arguments(heap, java_options)
        self._ports = ports
        self._created = False

    def start(self) -> list[str]:
        if self._created:
            self._do("start", self._name)
        else:
            etc = self._instance / "etc"
            # The image runs as a different user.
            for path in (self._instance, etc, *etc.iterdir()):
                path.chmod(0o755)
            published = (argument for port in self._ports for argument in ("--publish", f"127.0.0.1:{port}:{port}"))
            self._created = True
            self._do(
                *("run", "--detach", "--name", self._name, *published),
                *("--volume", f"{etc}:{CONTAINER_INSTANCE}/etc-override:ro"),
                *("--env", f"JAVA_ARGS={' '.join(self._java_arguments)}", IMAGE),
            )
        return [self._docker, "rm", "--force", "--volumes", self._name]

    def stop(self, timeout: float) -> None:
        with contextlib.suppress(RuntimeError):
            self.thaw()
        self._do("stop", "--time", str(int(timeout)), self._name)

    def kill(self) -> None:
        self._do("kill", self._name)

    def freeze(self) -> None:
        self._do("pause", self._name)

    def thaw(self) -> None:
        self._do("unpause", self._name)

    def ended(self) -> str | None:
        state = self._do("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", self._name).strip()
        return None if state.split()[0] in ("created", "running", "paused", "restarting") else state

    def times_active(self) -> int:
        text = self._do("logs", self._name)
        self._log.write_text(text, encoding="utf-8")
        return text.count(_ACTIVE)

    def pid(self) -> int | None:
        return None

    def _do(self, *arguments: str) -> str:
        command = [self._docker, *arguments]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker {arguments[0]} failed: {done.stderr.strip()[:300]}")
        return done.stdout + done.stderr
