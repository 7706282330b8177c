"""The three ways to get a broker: what is looked at, in which order, and what is said when none of them works."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from aspyx_event.testing import ArtemisBroker, BrokerConfig, BrokerUnavailable
from aspyx_event.testing.broker import free_ports
from aspyx_event.testing.broker_distribution import (
    DockerRuntime,
    JavaRuntime,
    Release,
    cache_directory,
    distribution,
    find_runtime,
)
from aspyx_event.testing.broker_progress import heartbeat, silent

JAVA_17 = "echo 'openjdk version \"17.0.9\" 2023-10-17' >&2"
JAVA_8 = "echo 'java version \"1.8.0_392\"' >&2"


@pytest.fixture
def machine(tmp_path):
    """A machine with nothing but the programs a test puts there; returns its environment and the way to add one."""
    programs = tmp_path / "bin"
    programs.mkdir()
    environ = {"PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def add(name, script):
        path = programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return environ, add


@pytest.fixture
def archive(tmp_path):
    """A small stand-in for the distribution, and the release that describes it."""
    path = tmp_path / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        content = b"jar"
        member = tarfile.TarInfo("apache-artemis-9.9.9/lib/artemis-boot.jar")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path, Release("9.9.9", hashlib.sha512(path.read_bytes()).hexdigest())


def downloader(archive_path, log, before=""):
    """A Maven that copies *archive_path* to where it is told, and counts its calls."""
    return f"""
PATH=/usr/bin:/bin
echo call >> {log}
{before}
for argument in "$@"; do
    case $argument in -DoutputDirectory=*) cp {archive_path} "${{argument#*=}}/apache-artemis-9.9.9-bin.tar.gz";; esac
done"""


def test_with_nothing_there_the_error_lists_the_three_ways_and_what_is_missing(machine):
    environ, _ = machine
    with pytest.raises(BrokerUnavailable) as caught:
        ArtemisBroker.find(environ=environ)
    text = str(caught.value)
    for part in ("ARTEMIS_URL", "Docker", "Maven", "`docker` is not installed", "`java` is not installed"):
        assert part in text


def test_a_missing_maven_is_named(machine):
    environ, add = machine
    add("java", JAVA_17)
    with pytest.raises(BrokerUnavailable, match="`mvn` is not installed"):
        ArtemisBroker.own(environ=environ)


def test_a_java_that_is_too_old_is_named(machine):
    environ, add = machine
    add("java", JAVA_8)
    with pytest.raises(BrokerUnavailable, match=r"is Java 1; Java 17 or newer is needed"):
        ArtemisBroker.own(environ=environ)


def test_docker_comes_first_when_its_engine_runs(machine):
    environ, add = machine
    add("docker", "case $1 in version) echo 28.0.0;; image) exit 0;; *) exit 1;; esac")
    add("java", JAVA_17)
    assert isinstance(find_runtime(environ, silent), DockerRuntime)


def test_an_engine_that_does_not_run_makes_way_for_java(machine):
    environ, add = machine
    # As the client does it: exit code 0 is no proof.
    add("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    add("java", JAVA_17)
    home = cache_directory(environ) / "apache-artemis-2.44.0"
    home.mkdir(parents=True)
    found = find_runtime(environ, silent)
    assert isinstance(found, JavaRuntime)
    assert found.home == home


def test_an_image_that_cannot_be_pulled_is_said(machine):
    environ, add = machine
    add("docker", "case $1 in version) echo 28.0.0;; image) exit 1;; pull) echo no route >&2; exit 1;; esac")
    with pytest.raises(BrokerUnavailable, match=r"cannot pull apache/activemq-artemis:2.44.0 \(no route\)"):
        find_runtime(environ, silent)


def test_a_url_without_host_is_refused():
    with pytest.raises(BrokerUnavailable, match="ARTEMIS_URL has no host"):
        ArtemisBroker.find(environ={"ARTEMIS_URL": "amqp://"})


def test_a_download_is_unpacked_once(machine, archive, tmp_path):
    environ, add = machine
    path, release = archive
    calls = tmp_path / "calls"
    add("mvn", downloader(path, calls))
    home = distribution(environ, silent, release)
    assert (home / "lib" / "artemis-boot.jar").read_bytes() == b"jar"
    assert distribution(environ, silent, release) == home
    assert calls.read_text().count("call") == 1


def test_several_at_once_download_once(machine, archive, tmp_path):
    environ, add = machine
    path, release = archive
    calls = tmp_path / "calls"
    add("mvn", downloader(path, calls, before="sleep 0.3"))
    program = (
        "import os, sys\n"
        "from aspyx_event.testing.broker_distribution import Release, distribution\n"
        f"home = distribution(os.environ, lambda line: None, Release({release.version!r}, {release.sha512!r}))\n"
        "assert (home / 'lib' / 'artemis-boot.jar').is_file()\n"
    )

    def ask(_):
        return subprocess.run([sys.executable, "-c", program], env={**os.environ, **environ}, check=False).returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [0, 0, 0, 0]
    assert calls.read_text().count("call") == 1


def test_a_damaged_download_is_refused_and_tried_again(machine, archive, tmp_path):
    environ, add = machine
    path, release = archive
    damaged = tmp_path / "damaged"
    damaged.write_bytes(path.read_bytes()[:-7])
    add("mvn", downloader(damaged, tmp_path / "calls"))
    with pytest.raises(BrokerUnavailable, match="is damaged"):
        distribution(environ, silent, release)
    add("mvn", downloader(path, tmp_path / "calls"))
    assert distribution(environ, silent, release).is_dir()
    left = sorted(entry.name for entry in cache_directory(environ).iterdir())
    assert left == ["apache-artemis-9.9.9", "apache-artemis-9.9.9.lock"]


def test_a_download_that_fails_shows_mavens_reason(machine, archive):
    environ, add = machine
    add("mvn", "echo '[INFO] x'; echo '[ERROR] could not resolve apache-artemis'; exit 1")
    with pytest.raises(BrokerUnavailable, match=r"\[ERROR\] could not resolve"):
        distribution(environ, silent, archive[1])


def test_free_ports_lie_outside_of_the_range_of_outgoing_connections():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port < 32_768 for port in ports)


def test_an_unknown_permission_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown permissions"):
        BrokerConfig(permissions={"#": {"sned": ("x",)}}).write(tmp_path, {"artemis": 1}, host="127.0.0.1")


def test_a_slow_step_shows_signs_of_life():
    lines = []
    with heartbeat(lines.append, "waiting", first=0.01, every=0.01):
        while len(lines) < 2:
            pass
    assert all(line.startswith("waiting ... ") for line in lines)
