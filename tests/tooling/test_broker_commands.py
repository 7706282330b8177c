"""The broker from the command line: `run` lends one to a command, `up` and `down` keep one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from aspyx_event.testing.broker import STOP_TIMEOUT, answers_amqp, free_ports
from aspyx_event.testing.broker_distribution import cache_directory

pytestmark = pytest.mark.broker

CLI = [sys.executable, "-m", "aspyx_event.testing.broker_cli"]


def command(*arguments, **environ):
    return subprocess.run(
        [*CLI, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, timeout=180, check=False
    )


@pytest.fixture
def own_cache(broker, tmp_path):
    """A cache of the test's own, with the distribution that is there already."""
    cache = tmp_path / "aspyx_event"
    cache.mkdir()
    for entry in cache_directory(os.environ).glob("apache-artemis-*"):
        (cache / entry.name).symlink_to(entry)
    return {"XDG_CACHE_HOME": str(tmp_path)}


def test_run_lends_a_broker_to_the_command_and_hands_back_its_exit_code(broker, unique):
    program = "import os, sys, socket; socket.create_connection((os.environ['ARTEMIS_HOST'], int(os.environ['ARTEMIS_PORT']))); print(os.environ['ARTEMIS_URL']); sys.exit(7)"
    done = command("run", "--", sys.executable, "-c", program)
    assert done.returncode == 7, done.stderr
    url = done.stdout.strip()
    assert url.startswith("amqp://")
    port = int(url.rpartition(":")[2])
    assert port == broker.port if "ARTEMIS_URL" in os.environ else not answers_amqp("127.0.0.1", port)


def test_run_ends_command_and_broker_when_it_is_terminated():
    program = "import os, time; print(os.environ['ARTEMIS_PORT'], flush=True); time.sleep(600)"
    environ = {key: value for key, value in os.environ.items() if key != "ARTEMIS_URL"}
    with subprocess.Popen(
        [*CLI, "run", "--", sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environ
    ) as runner:
        port = int(runner.stdout.readline())
        assert answers_amqp("127.0.0.1", port)
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(60) == 128 + signal.SIGTERM
    assert not answers_amqp("127.0.0.1", port)


def test_run_ends_the_broker_after_ctrl_c(tmp_path):
    program = "import os, time; print(os.environ['ARTEMIS_PORT'], flush=True); time.sleep(600)"
    environ = {key: value for key, value in os.environ.items() if key != "ARTEMIS_URL"}
    log = tmp_path / "stderr"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*CLI, "run", "--", sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environ,
            start_new_session=True,
        ) as runner,
    ):
        port = runner.stdout.readline()
        assert port, log.read_text()
        # A terminal sends it to every process of the foreground group.
        os.killpg(runner.pid, signal.SIGINT)
        try:
            code = runner.wait(STOP_TIMEOUT + 90)
        except subprocess.TimeoutExpired:
            os.killpg(runner.pid, signal.SIGKILL)
            pytest.fail(f"still running: {log.read_text()}")
    assert code != 0, log.read_text()
    assert not answers_amqp("127.0.0.1", int(port)), log.read_text()


def test_run_without_a_command_is_a_usage_error():
    assert command("run").returncode == 2


def test_a_command_that_does_not_exist_ends_the_broker_too():
    started = time.monotonic()
    done = command("run", "--", "/no/such/program")
    assert done.returncode != 0
    assert "/no/such/program" in done.stderr
    assert time.monotonic() - started < 120


def test_up_keeps_a_broker_and_down_ends_it(own_cache):
    port = str(free_ports(1)[0])
    try:
        assert command("up", "--port", port, **own_cache).returncode == 0
        assert answers_amqp("127.0.0.1", int(port))
        again = command("up", "--port", port, **own_cache)
        assert again.returncode == 0
        assert "already answers" in again.stderr
    finally:
        down = command("down", **own_cache)
    assert "stopped" in down.stderr
    assert not answers_amqp("127.0.0.1", int(port))
    assert "no broker started by" in command("down", **own_cache).stderr


def test_down_leaves_a_stranger_alone_that_has_the_process_id(own_cache, tmp_path):
    instance = tmp_path / "aspyx_event" / "broker"
    instance.mkdir()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (instance / "pid").write_text(str(stranger.pid))
        assert "no broker started by" in command("down", **own_cache).stderr
        assert stranger.poll() is None
        stranger.kill()


def test_up_says_when_it_cannot_have_the_port(own_cache):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("up", "--port", str(taken.getsockname()[1]), **own_cache)
    assert done.returncode == 1
    assert "did not start" in done.stderr
