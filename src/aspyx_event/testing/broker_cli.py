"""A broker from the command line: `python -m aspyx_event.testing.broker_cli up | down | run -- COMMAND ...`.

`run` starts a broker on a free port, runs the command with its address in the environment (ARTEMIS_URL, and its parts in
ARTEMIS_HOST, ARTEMIS_PORT, ARTEMIS_USER and ARTEMIS_PASSWORD), and stops it after the command. `up` and `down` start and
stop a permanent broker at the default port; the next `up` has the same data.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .broker import DEFAULT_PORT, START_TIMEOUT, STOP_TIMEOUT, ArtemisBroker, answers_amqp
from .broker_config import BrokerConfig
from .broker_distribution import BrokerUnavailable, DockerRuntime, JavaRuntime, cache_directory, find_runtime
from .broker_process import JavaRunner
from .broker_progress import heartbeat

HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; return the exit code."""
    parser = argparse.ArgumentParser(prog="broker_cli", description="Artemis brokers for development and tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", f"start a permanent broker at {HOST}:{DEFAULT_PORT}"),
        ("down", "stop the broker that `up` started"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--compose", type=Path, help="compose file, used if a Docker engine is running")
        sub.add_argument("--port", type=int, default=DEFAULT_PORT, help="port; with Docker, the compose file sets it")
    run = commands.add_parser("run", help="run a command with a temporary broker")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    options = parser.parse_args(arguments)
    try:
        if options.command == "run":
            argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
            return _run(argv) if argv else parser.error("run needs a command")
        return _up(options.compose, options.port) if options.command == "up" else _down(options.compose)
    except BrokerUnavailable as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _run(argv: list[str]) -> int:
    # As an exception it leaves the block below, which stops the broker.
    signal.signal(signal.SIGTERM, _exit)
    with ArtemisBroker.find(progress=_say) as broker:
        _say(f"broker at {broker.where}")
        environ = {
            **os.environ,
            "ARTEMIS_URL": broker.url,
            "ARTEMIS_HOST": broker.host,
            "ARTEMIS_PORT": str(broker.port),
            "ARTEMIS_USER": broker.user,
            "ARTEMIS_PASSWORD": broker.password,
        }
        with subprocess.Popen(argv, env=environ) as child:
            while True:
                try:
                    return _shell_code(child.wait())
                except KeyboardInterrupt:
                    # The command got the Ctrl-C too. The broker is stopped after the command has ended.
                    _say("stopping ...")
                except SystemExit:
                    child.terminate()
                    child.wait()
                    raise


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _up(compose: Path | None, port: int) -> int:
    if answers_amqp(HOST, port):
        _say(f"a broker already answers at {HOST}:{port}")
        return 0
    runtime = find_runtime(os.environ, _say)
    if isinstance(runtime, DockerRuntime):
        if compose is None:
            raise BrokerUnavailable(
                "a Docker engine is running; give a compose file: --compose docker/docker-compose.yml"
            )
        port = DEFAULT_PORT
        code = _compose(runtime.docker, compose, "up", "--detach", "--wait")
    else:
        code = _up_java(runtime, port)
    if code == 0:
        _say(f"broker at {HOST}:{port} (all protocols), user and password: admin")
    return code


def _up_java(runtime: JavaRuntime, port: int) -> int:
    instance = _instance()
    BrokerConfig().write(instance, {"artemis": port}, host=HOST)
    runner = JavaRunner(runtime, instance, instance / "broker.log", BrokerConfig().heap)
    before = runner.times_active()
    runner.start()
    _pid_file().write_text(str(runner.pid()), encoding="ascii")
    end = time.monotonic() + START_TIMEOUT
    with heartbeat(_say, "starting Artemis"):
        while runner.times_active() == before or not answers_amqp(HOST, port):
            if runner.ended() is not None or time.monotonic() > end:
                runner.kill()
                _pid_file().unlink()
                raise BrokerUnavailable(f"Artemis did not start; see {instance / 'broker.log'}")
            time.sleep(0.1)
    return 0


def _down(compose: Path | None) -> int:
    pid = _running_pid()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_TIMEOUT
        while _running_pid() is not None and time.monotonic() < end:
            time.sleep(0.1)
        if _running_pid() is not None:
            os.kill(pid, signal.SIGKILL)
        _pid_file().unlink()
        _say("broker stopped; its data is kept")
        return 0
    docker = shutil.which("docker")
    if docker is not None and compose is not None and _engine_runs(docker):
        return _compose(docker, compose, "down")
    _say("no broker started by `up` is running")
    return 0


def _engine_runs(docker: str) -> bool:
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _compose(docker: str, file: Path, *arguments: str) -> int:
    return subprocess.run([docker, "compose", "--file", str(file), *arguments], check=False).returncode


def _instance() -> Path:
    return (cache_directory(os.environ) / "broker").absolute()


def _pid_file() -> Path:
    return _instance() / "pid"


def _running_pid() -> int | None:
    """Return the process id of the broker that `up` started; None if it has ended, also if its id was reused."""
    try:
        pid = int(_pid_file().read_text(encoding="ascii"))
        command = _command_of(pid)
    except (OSError, ValueError):
        return None
    return pid if f"-Dartemis.instance={_instance()}" in command else None


def _command_of(pid: int) -> str:
    proc = Path("/proc")
    if (proc / "self").exists():
        return (proc / str(pid) / "cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main())
