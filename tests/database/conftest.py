"""What the store tests share: databases of their own, in SQLite and in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support_store_postgresql import MISSING, URL_VARIABLE, PostgresServer, execute, program


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server that all tests share."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    if not (program("initdb") and program("postgres")):
        pytest.skip(MISSING)
    server = PostgresServer()
    try:
        yield server.start().url()
    finally:
        server.close()


@pytest.fixture
def own_postgresql() -> Iterator[PostgresServer]:
    """A started server for this test alone, to kill."""
    if not (program("initdb") and program("postgres")):
        pytest.skip(MISSING)
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(postgresql_server, f"CREATE DATABASE {name}"))
    yield f"{postgresql_server.rpartition('/')[0]}/{name}"
    asyncio.run(execute(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'events.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind."""
    return request.getfixturevalue(f"{request.param}_url")
