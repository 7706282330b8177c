"""A broker of our own: it starts on free ports, can be hurt in every way, keeps its data, and never outlives its owner."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support_waiting import soon

from aspyx_event.exceptions import StateError
from aspyx_event.testing import ArtemisBroker, BrokerConfig, BrokerUnavailable, Management, ManagementError
from aspyx_event.testing.broker import answers_amqp
from aspyx_event.testing.broker_distribution import cache_directory

pytestmark = pytest.mark.broker

OWNER = """
import time
from aspyx_event.testing import ArtemisBroker
broker = ArtemisBroker.own().start()
directory = next(part for part in open(f"/proc/{broker.pid}/cmdline").read().split("\\0") if "artemis.instance=" in part)
print(broker.pid, directory.partition("=")[2], flush=True)
time.sleep(600)
"""


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_data_survives_a_kill_and_a_restart(own_broker):
    broker = own_broker()
    with Management(broker) as management:
        management.create_queue("kept", "kept-address")
        broker.kill()
        assert not broker.running
        assert not answers_amqp(broker.host, broker.port)
        broker.start()
        assert "kept" in management.queues()
        broker.restart()
        assert management.queues_of("kept-address") == ["kept"]


def test_a_frozen_broker_is_silent_until_it_is_thawed(own_broker):
    broker = own_broker()
    broker.freeze()
    assert not answers_amqp(broker.host, broker.port, timeout=0.5)
    assert broker.running
    broker.thaw()
    soon(lambda: answers_amqp(broker.host, broker.port), "an answer after the thaw")


def test_a_frozen_broker_can_be_stopped_and_started(own_broker):
    broker = own_broker()
    broker.freeze()
    broker.stop()
    assert not broker.running
    assert answers_amqp(broker.host, broker.start().port)


def test_the_broker_goes_with_an_owner_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        pid, directory = owner.stdout.readline().split()
        assert is_alive(int(pid))
        assert Path(directory).is_dir()
        owner.send_signal(signal.SIGKILL)
    soon(lambda: not is_alive(int(pid)), "the end of the Java process")
    soon(lambda: not Path(directory).exists(), "the end of its files")


def test_a_frozen_broker_goes_with_its_owner_too():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        pid = int(owner.stdout.readline().split()[0])
        os.kill(pid, signal.SIGSTOP)
        owner.send_signal(signal.SIGKILL)
    soon(lambda: not is_alive(pid), "the end of the Java process")


def test_closing_removes_the_files_and_keeps_the_log():
    with ArtemisBroker.own() as broker:
        pid, log = broker.pid, broker.log
        assert is_alive(pid)
    assert not is_alive(pid)
    assert "Server is now active" in log.read_text()
    assert broker.pid is None


def test_the_log_of_a_running_broker_stays_when_many_others_start(own_broker, tmp_path, monkeypatch):
    for found in cache_directory(os.environ).iterdir():
        if found.name != "logs":
            (tmp_path / "aspyx_event").mkdir(exist_ok=True)
            (tmp_path / "aspyx_event" / found.name).symlink_to(found)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    log = own_broker().log
    for number in range(60):
        log.with_name(f"99999999-{number:03}.log").touch()
    own_broker()
    assert "Server is now active" in log.read_text()


def test_two_brokers_at_once_do_not_meet(own_broker):
    first, second = own_broker(), own_broker()
    assert first.port != second.port
    with Management(first) as one, Management(second) as two:
        one.create_queue("only-here")
        assert "only-here" in one.queues()
        assert "only-here" not in two.queues()


def test_further_acceptors_users_permissions_and_settings_take_effect(own_broker):
    seen = []
    broker = own_broker(
        password="p w=1:\\#!",
        users={"clerk": ("secret", "clerks")},
        permissions={"open.#": {"send": ("clerks",), "createAddress": ("clerks",)}},
        address_settings={"short.#": {"max-delivery-attempts": "2"}},
        acceptors={"second": {"protocols": "AMQP"}},
        files={"note.txt": b"hello"},
        edit=lambda text: seen.append(text) or text.replace("<name>aspyx-event</name>", "<name>edited</name>"),
    )
    assert set(broker.ports) == {"artemis", "second"}
    assert answers_amqp(broker.host, broker.ports["second"])
    with Management(broker) as management:
        assert management.attr("broker", "name") == "edited"
        assert '"maxDeliveryAttempts":2' in management.op("broker", "getAddressSettingsAsJSON", "short.a")
        roles = management.op("broker", "getRolesAsJSON", "open.a")
        assert '"name":"clerks"' in roles
        assert '"name":"clerks"' not in management.op("broker", "getRolesAsJSON", "closed.a")
    assert len(seen) == 1
    clerk = ArtemisBroker(BrokerConfig(user="clerk", password="secret"), None, port=broker.port)
    with Management(clerk) as management, pytest.raises(ManagementError, match="User: clerk does not have permission"):
        management.queues()


def test_a_port_that_is_taken_is_an_error_and_not_somebody_elses_broker(broker, own_broker):
    with pytest.raises(BrokerUnavailable, match=r"ended while it started(.|\n)*bind"):
        own_broker(port=broker.port)


def test_a_configuration_artemis_refuses_is_shown(own_broker):
    with pytest.raises(BrokerUnavailable, match="ended while it started"):
        own_broker(edit=lambda text: text.replace("</core>", ""))


def test_somebody_elses_broker_is_used_and_left_alone(broker):
    found = ArtemisBroker.find(environ={"ARTEMIS_URL": broker.url})
    assert (found.host, found.port, found.user, found.password) == (
        broker.host,
        broker.port,
        broker.user,
        broker.password,
    )
    with found as given:
        assert not given.owned
        with pytest.raises(StateError, match="ARTEMIS_URL"):
            given.kill()
        with Management(given) as management:
            assert "DLQ" in management.queues()
    assert broker.running


def test_a_broker_that_is_named_and_does_not_answer_is_an_error():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        found = ArtemisBroker.find(environ={"ARTEMIS_URL": f"amqp://u:hidden@127.0.0.1:{silent.getsockname()[1]}"})
        with pytest.raises(BrokerUnavailable) as caught:
            found.start()
    assert "ARTEMIS_URL" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_password_is_not_shown():
    broker = ArtemisBroker.find(environ={"ARTEMIS_URL": "amqp://me:s3cr%40t@example.org"})
    assert broker.password == "s3cr@t"
    assert broker.port == 61616
    assert "s3cr" not in repr(broker) + repr(broker.config) + broker.where
    assert broker.url == "amqp://me:s3cr%40t@example.org:61616"
