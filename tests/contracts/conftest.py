"""Providers to send over, classes made on the spot, and the bookshop, an application to be documented."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aspyx.di import Environment

from aspyx_event import AMQPProvider, EventManager, LocalProvider, StompProvider, event
from aspyx_event.providers.base import Provider

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def bookshop() -> ModuleType:
    """The application of bookshop.py."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    import bookshop

    return bookshop


@pytest.fixture
def bookshop_manager(bookshop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], EventManager]:
    """Return the bookshop's manager over a kind of provider, never started."""

    def make(kind: str = "local") -> EventManager:
        monkeypatch.setenv("PROVIDER", kind)
        return Environment(bookshop.BookshopModule).get(EventManager)

    return make


@pytest.fixture(
    params=["local", pytest.param("amqp", marks=pytest.mark.broker), pytest.param("stomp", marks=pytest.mark.broker)]
)
def new_provider(request: pytest.FixtureRequest, unique: str) -> Iterator[Callable[[], Provider]]:
    """Make providers that reach each other: in this process, or over the shared broker."""
    if request.param == "local":
        shared = LocalProvider()
        yield lambda: LocalProvider(broker=shared.broker)
        return
    broker = request.getfixturevalue("broker")
    where = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
    kinds: dict[str, Callable[[], Provider]] = {
        "amqp": lambda: AMQPProvider(unique, **where),
        "stomp": lambda: StompProvider(server_name=unique, **where),
    }
    management = request.getfixturevalue("management")
    yield kinds[request.param]
    management.destroy_queues(unique)


@pytest.fixture
def declare(unique: str) -> Callable[..., type]:
    """Declare an event on the spot: ``declare("name", version=2, fields={"n": int})``."""

    def make(name: str = "event", *, fields: dict[str, Any] | None = None, **keywords: Any) -> type:
        cls = make_dataclass(name.title().replace("-", ""), list((fields or {"n": int}).items()))
        cls.__module__ = __name__
        return event(name=f"{unique}.{name}", **keywords)(cls)

    return make
