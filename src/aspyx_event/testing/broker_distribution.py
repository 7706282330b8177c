"""Finds a runtime for an Artemis broker: a Docker engine, or Java with the distribution downloaded by Maven."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import EventException
from .broker_progress import Progress, heartbeat

VERSION = "2.44.0"
IMAGE = f"apache/activemq-artemis:{VERSION}"
JAVA_MINIMUM = 17

#: In seconds: 46 MB over a slow line, after Maven has downloaded its own plugins.
DOWNLOAD_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class Release:
    """One version of the distribution in the Maven repositories.

    Attributes:
        sha512: Checksum of the archive, in hexadecimal digits.
    """

    version: str
    sha512: str

    @property
    def artifact(self) -> str:
        return f"org.apache.activemq:apache-artemis:{self.version}:tar.gz:bin"

    @property
    def directory(self) -> str:
        return f"apache-artemis-{self.version}"


RELEASE = Release(
    VERSION,
    "d709eafe1ead38234216d324e9876ee0f66265a2deba36b526f64512de4da1e2"
    "5ae6b5430a03dc002071ed91553c72f3ef01211d7414b14752272cbec66883b4",
)


class BrokerUnavailable(EventException):
    """No Artemis broker can be reached or started here; the message lists the ways to get one."""


class BrokerDataUnreadable(BrokerUnavailable):
    """A broker cannot start with the data of an earlier run; `ArtemisBroker.remove_data` removes the data.

    Seen with Artemis 2.44: a record of an unknown kind in its message journal makes every start fail with
    ``AMQ224000 ... IndexOutOfBoundsException``, because the AMQP module mistakes it for its own.
    """


@dataclass(frozen=True, slots=True)
class DockerRuntime:
    """A running Docker engine.

    Attributes:
        docker: Path of the client.
    """

    docker: str


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """Java and the unpacked distribution.

    Attributes:
        java: Path of the `java` launcher.
        home: Directory with `lib/artemis-boot.jar`.
    """

    java: str
    home: Path


Runtime = DockerRuntime | JavaRuntime


def find_runtime(environ: Mapping[str, str], progress: Progress) -> Runtime:
    """Return the first runtime that works: Docker, then Java with Maven.

    Raises:
        BrokerUnavailable: neither works; the message says what is missing for each.
    """
    reasons = []
    finders: tuple[tuple[str, Callable[[Mapping[str, str], Progress], Runtime]], ...] = (
        ("Docker", _find_docker),
        ("Java and Maven", _find_java),
    )
    for name, finder in finders:
        try:
            return finder(environ, progress)
        except BrokerUnavailable as error:
            reasons.append(f"{name}: {error}")
    raise unavailable(reasons)


def unavailable(reasons: list[str]) -> BrokerUnavailable:
    """Return the error that names the three ways to get a broker, and the *reasons* why they failed."""
    lines = [
        f"no Artemis broker. Any of these three is enough (tested with Artemis {VERSION}):",
        "  1. a running broker: ARTEMIS_URL=amqp://user:password@host:61616 (the port for all protocols)",
        "  2. Docker: start the engine; the broker runs in the image of docker/docker-compose.yml",
        f"  3. Java {JAVA_MINIMUM} or newer and Maven: the broker is downloaded once",
        "     (Debian, Ubuntu: apt-get install openjdk-17-jre-headless maven; macOS: brew install openjdk@17 maven)",
        "Tried:",
        *(f"  - {reason}" for reason in reasons),
    ]
    return BrokerUnavailable("\n".join(lines))


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Return the directory for downloads and logs, outside of any checkout. It may not exist yet."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache")
    return Path(base) / "aspyx_event"


def _find_docker(environ: Mapping[str, str], progress: Progress) -> Runtime:
    docker = shutil.which("docker", path=environ.get("PATH"))
    if docker is None:
        raise BrokerUnavailable("`docker` is not installed")
    # `docker info` exits with 0 even if the engine is down; the server version is present only if it is running.
    version = _run([docker, "version", "--format", "{{.Server.Version}}"], environ, 20)
    if version.returncode != 0 or not version.stdout.strip():
        raise BrokerUnavailable(f"the engine is not running ({_last_line(version.stderr or version.stdout)})")
    if _run([docker, "image", "inspect", IMAGE], environ, 20).returncode != 0:
        with heartbeat(progress, f"pulling {IMAGE}", first=1):
            pulled = _run([docker, "pull", "--quiet", IMAGE], environ, DOWNLOAD_TIMEOUT)
        if pulled.returncode != 0:
            raise BrokerUnavailable(f"cannot pull {IMAGE} ({_last_line(pulled.stderr)})")
    return DockerRuntime(docker)


def _find_java(environ: Mapping[str, str], progress: Progress) -> Runtime:
    java_home = environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(java_home, "bin"))) if java_home else None
    java = java or shutil.which("java", path=environ.get("PATH"))
    if java is None:
        raise BrokerUnavailable(f"`java` is not installed; Java {JAVA_MINIMUM} or newer is needed")
    output = _run([java, "-version"], environ, 30)
    version = re.search(r'version "(\d+)', output.stderr + output.stdout)
    if version is None:
        raise BrokerUnavailable(f"`{java} -version` prints no version ({_last_line(output.stderr)})")
    if int(version[1]) < JAVA_MINIMUM:
        raise BrokerUnavailable(f"`{java}` is Java {version[1]}; Java {JAVA_MINIMUM} or newer is needed")
    return JavaRuntime(java, distribution(environ, progress))


def distribution(environ: Mapping[str, str], progress: Progress, release: Release = RELEASE) -> Path:
    """Return the unpacked distribution, after downloading it if it is not in the cache.

    Several processes may call this concurrently: one downloads, the others wait. The cache never contains an incomplete
    distribution, because the directory is renamed only when it is complete.

    Raises:
        BrokerUnavailable: Maven is missing, or the download failed or has another checksum.
    """
    cache = cache_directory(environ)
    home = cache / release.directory
    if home.is_dir():
        return home
    mvn = shutil.which("mvn", path=environ.get("PATH"))
    if mvn is None:
        raise BrokerUnavailable(f"`mvn` is not installed; it downloads the broker to {home}")
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{release.directory}.lock", progress):
        if not home.is_dir():
            _download(mvn, release, home, environ, progress)
    return home


def _download(mvn: str, release: Release, home: Path, environ: Mapping[str, str], progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="download-", dir=home.parent) as name:
        directory = Path(name)
        command = [
            mvn,
            "-q",
            "-B",
            "dependency:copy",
            f"-Dartifact={release.artifact}",
            f"-DoutputDirectory={directory}",
        ]
        progress(f"downloading Artemis {release.version} (46 MB, once) to {home.parent}")
        with heartbeat(progress, "downloading Artemis", first=10):
            copied = _run([*command, "-Dmdep.useBaseVersion=true"], environ, DOWNLOAD_TIMEOUT, cwd=directory)
        archives = list(directory.glob("*.tar.gz"))
        if copied.returncode != 0 or not archives:
            raise BrokerUnavailable(
                f"`{mvn}` could not download {release.artifact}: {_last_line(copied.stdout + copied.stderr)}"
            )
        digest = hashlib.sha512(archives[0].read_bytes()).hexdigest()
        if digest != release.sha512:
            raise BrokerUnavailable(
                f"{archives[0].name} is damaged: SHA-512 {digest[:16]}..., expected {release.sha512[:16]}...; "
                "delete org/apache/activemq/apache-artemis in the local Maven repository and try again"
            )
        unpacked = directory / "unpacked"
        with tarfile.open(archives[0]) as archive:
            # Early releases of 3.10 and 3.11 do not have the `filter` argument. The checksum is verified.
            if hasattr(tarfile, "data_filter"):
                archive.extractall(unpacked, filter="tar")
            else:
                archive.extractall(unpacked)  # noqa: S202
        (unpacked / home.name).rename(home)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    # Not available on Windows, where only `ARTEMIS_URL` works.
    import fcntl

    with path.open("w") as file:
        with heartbeat(progress, "waiting for another process that downloads Artemis", first=2):
            fcntl.flock(file, fcntl.LOCK_EX)
        # Closing the file unlocks it, also if this process dies.
        yield


def _run(
    command: list[str], environ: Mapping[str, str], timeout: float, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=dict(environ),
            cwd=cwd,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, os.EX_TEMPFAIL, "", f"did not end within {timeout:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, os.EX_OSERR, "", str(error))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return (errors or lines or ["no output"])[0 if errors else -1][:300]
