"""Fixtures of all tests: one shared broker, brokers of one's own to kill, and names that no other test uses."""

from __future__ import annotations

import functools
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support_commands import CommandForks
from support_waiting import eventually

from aspyx_event import EventManager
from aspyx_event.testing import ArtemisBroker, BrokerConfig, Management

# How long an example takes says more about the other processes of the machine than about the code.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

pytest_plugins = ("support_left_out", "support_parallel", "support_faults_summary")


def pytest_configure() -> None:
    # Shells make jobs in the background ignore Ctrl-C, and every program that a test starts would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Write one line past pytest's capture: somebody waits in front of the screen."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\n{line}\n")
            sys.stderr.flush()

    return write


@pytest.fixture(scope="session")
def broker(tell: Callable[[str], None]) -> Iterator[ArtemisBroker]:
    """The broker all tests share; `unique` keeps them apart. Never kill this one, see `own_broker`."""
    with ArtemisBroker.find(progress=tell) as shared:
        yield shared


@pytest.fixture(scope="session")
def commands() -> Iterator[CommandForks]:
    """Runs commands of `aspyx-event` in processes of their own, quickly."""
    forks = CommandForks()
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def management(broker: ArtemisBroker) -> Iterator[Management]:
    """The management interface of `broker`."""
    with Management(broker) as calls:
        yield calls


@pytest.fixture
def own_broker(tell: Callable[[str], None]) -> Iterator[Callable[..., ArtemisBroker]]:
    """Start a broker for this test alone: `own_broker(**options of BrokerConfig)`. It ends with the test."""
    started: list[ArtemisBroker] = []

    def start(**options: Any) -> ArtemisBroker:
        own = ArtemisBroker.own(BrokerConfig(**options), progress=tell)
        started.append(own)
        return own.start()

    yield start
    for own in started:
        own.close()


@pytest.fixture(params=["amqp", "stomp"])
def protocol(request: pytest.FixtureRequest) -> str:
    """For tests of what both networked providers owe: they run once for each."""
    return request.param


@pytest.fixture
def unique() -> str:
    """A short prefix for names of events, listeners and queues that no other test, process or run uses."""
    return f"t{os.getpid() % 10_000}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Wait for a condition: `await until(lambda: len(got) == 3)`; see `eventually`."""
    return eventually


@pytest.fixture(autouse=True)
def _no_loop_is_left_running(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the managers that got a loop of their own: its end would be logged in the middle of another test."""
    created: list[EventManager] = []
    original = EventManager.__init__

    @functools.wraps(original)
    def remember(self: EventManager, *arguments: Any, **keywords: Any) -> None:
        original(self, *arguments, **keywords)
        created.append(self)

    monkeypatch.setattr(EventManager, "__init__", remember)
    yield
    for manager in created:
        if manager.running and manager._runner._loop.owns_loop:
            manager.stop()  # type: ignore[unused-coroutine]
