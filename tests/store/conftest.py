"""What the store tests share: databases of their own, in SQLite and in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support_store_postgresql import MISSING, URL_VARIABLE, PostgresServer, execute, program


def no_postgresql(tell: Callable[[str], None]) -> None:
    """Fail where the tests have to be complete; elsewhere say aloud what is not tested."""
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING, pytrace=False)
    tell(f"NOT TESTED: {MISSING}")
    pytest.skip(MISSING)


@pytest.fixture(scope="session")
def postgresql_server(tell) -> Iterator[str]:
    """The URL of a server that all tests share."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    if not (program("initdb") and program("postgres")):
        no_postgresql(tell)
    server = PostgresServer()
    try:
        yield server.start().url()
    finally:
        server.close()


@pytest.fixture
def own_postgresql(tell) -> Iterator[PostgresServer]:
    """A started server for this test alone, to kill."""
    if not (program("initdb") and program("postgres")):
        no_postgresql(tell)
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
