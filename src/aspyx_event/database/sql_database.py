"""A database as the stores use it: its connections, its tables, and its errors as this package's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import DeclarationError, EventStoreError, MissingDriverError, StoreUnavailableError
from .sqlite import connect as connect_sqlite

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from .sql_tables import Tables

T = TypeVar("T")
Work = Callable[["AsyncConnection", "Tables"], Awaitable[T]]

#: What users may write, and the drivers that understand asyncio.
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_EXTRAS = {"sqlite": ("store", "aiosqlite"), "postgresql": ("postgresql", "asyncpg")}
#: Held by whoever stores events or makes tables in a PostgreSQL database; "aspyx" in ASCII.
_WRITERS_LOCK = 0x6173707978


class Database:
    """Runs work in transactions. Makes the tables before the first one. Usable from any loop.

    On the loop of `start` connections are kept in a pool until `stop`; anywhere else, and before, each transaction has
    a connection of its own, so that there is nothing to close.

    Args:
        url: ``sqlite:///file.db`` or ``postgresql://user:password@host/name``, or any URL of SQLAlchemy with a driver
            for asyncio.
        timeout: Seconds to wait for a connection, a lock or an answer.
        prefix: Begins the names of the tables.
        pool_size: Connections kept.

    Raises:
        DeclarationError: one of these is nonsense.
    """

    def __init__(self, url: str, *, timeout: float, prefix: str, pool_size: int) -> None:
        if not isinstance(url, str) or "://" not in url:
            raise DeclarationError(f"{url!r} is no URL of a database; write for example 'sqlite:///events.db'")
        if not timeout > 0 or pool_size < 1 or not (prefix == "" or prefix.isidentifier()):
            raise DeclarationError(
                f"timeout={timeout}, prefix={prefix!r}, pool_size={pool_size}: seconds > 0, letters and a number > 0"
            )
        self._given, self._timeout, self._prefix, self._pool_size = url, timeout, prefix, pool_size
        self._url: URL | None = None
        self._tables: Tables | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._pooled: AsyncEngine | None = None
        self._loose: AsyncEngine | None = None
        self._has_tables = False
        #: Device and number of the SQLite file that is open.
        self._file: tuple[int, int] | None = None

    async def start(self) -> None:
        """Keep connections from now on, and see that the tables are there.

        Raises:
            EventStoreError: no connection, or no right.
        """
        if self._home is not None and self._home.is_closed():
            await self.stop()
        if self._pooled is None:
            self._pooled = self._make_engine(pooled=True)
            self._home = asyncio.get_running_loop()
        try:
            await self.run(_nothing)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connections; again is no error."""
        engine, self._pooled = self._pooled, None
        home, self._home = self._home, None
        if engine is not None:
            await _close(engine, home)

    async def run(self, work: Work[T], *, exclusive: bool = False) -> T:
        """Run *work* in a transaction.

        Args:
            work: Called with a connection and the tables.
            exclusive: Nobody else stores events meanwhile, so that positions become visible in their order.

        Raises:
            EventStoreError: it failed, and was rolled back. If the connection broke in the end it may have succeeded.
        """
        engine = self._engine()
        try:
            await self._check_file()
            # The drivers keep the time of each step. A server that is silent altogether costs several of them, and asyncpg
            # gives its old connection two more seconds to close; to be cut short there would leave it open.
            return await asyncio.wait_for(self._transaction(engine, work, exclusive), 2 * self._timeout + 4)
        except EventStoreError:
            raise
        except Exception as error:
            from .sql_errors import translate

            typed = translate(error, self._where)
            if typed is None:
                raise
            raise typed from error

    @property
    def _where(self) -> str:
        return (
            f"the event store at {self._url.render_as_string(hide_password=True)}" if self._url else "the event store"
        )

    async def _transaction(self, engine: AsyncEngine, work: Work[T], exclusive: bool) -> T:
        assert self._tables is not None  # noqa: S101  made with the engine
        async with engine.connect() as connection:
            if not self._has_tables:
                async with connection.begin():
                    await self._make_tables(connection)
                self._has_tables = True
            async with connection.begin():
                if exclusive:
                    await _lock_writers(connection)
                return await work(connection, self._tables)

    async def _make_tables(self, connection: AsyncConnection) -> None:
        from sqlalchemy import inspect
        from sqlalchemy.schema import CreateIndex, CreateTable

        assert self._tables is not None  # noqa: S101
        await _lock_writers(connection)
        there = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        # A role that may not make tables can use those that are there.
        for table in self._tables.metadata.sorted_tables:
            if table.name not in there:
                await connection.execute(CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda one: str(one.name)):
                    await connection.execute(CreateIndex(index, if_not_exists=True))

    def _engine(self) -> AsyncEngine:
        if self._pooled is not None and self._home is asyncio.get_running_loop():
            return self._pooled
        if self._loose is None:
            self._loose = self._make_engine(pooled=False)
        return self._loose

    def _make_engine(self, *, pooled: bool) -> AsyncEngine:
        try:
            from sqlalchemy import NullPool, event, make_url
            from sqlalchemy.exc import ArgumentError, InvalidRequestError
            from sqlalchemy.ext.asyncio import create_async_engine

            from .sql_tables import Tables
        except ImportError as error:
            raise MissingDriverError(_missing("store", "sqlalchemy")) from error
        try:
            url = make_url(self._given)
            url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
            if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:")):
                # Each connection opens the file by its name, and the program may go to another directory meanwhile.
                url = url.set(database=str(Path(url.database).absolute()))
            options = self._options(url)
            if pooled:
                options |= {"pool_size": self._pool_size, "max_overflow": 0, "pool_timeout": self._timeout}
                options["pool_pre_ping"] = url.get_backend_name() != "sqlite"
            else:
                options["poolclass"] = NullPool
            engine = create_async_engine(url, **options)
        except (ArgumentError, InvalidRequestError, ValueError) as error:
            raise DeclarationError(f"the URL of an event store cannot be used: {error}") from error
        except ImportError as error:
            extra, driver = _EXTRAS.get(url.get_backend_name(), ("store", url.drivername))
            raise MissingDriverError(_missing(extra, driver)) from error
        opened = {"sqlite": self._opened_sqlite, "postgresql": self._opened_postgresql}.get(url.get_backend_name())
        if opened is not None:
            event.listen(engine.sync_engine, "connect", opened)
        self._url, self._tables = url, self._tables or Tables.named(self._prefix)
        return engine

    def _options(self, url: URL) -> dict[str, Any]:
        if url.get_backend_name() == "sqlite":
            if not url.database or ":memory:" in url.database:
                raise DeclarationError(
                    f"{self._given!r}: a SQLite database in memory ends with its connection; use MemoryEventStore, or a file"
                )
            options: dict[str, Any] = {"timeout": self._timeout}
            if url.drivername == "sqlite+aiosqlite":
                options["async_creator_fn"] = connect_sqlite
            return {"connect_args": options}
        if url.drivername == "postgresql+asyncpg":
            named = {"application_name": "aspyx_event"}
            return {
                "connect_args": {"timeout": self._timeout, "command_timeout": self._timeout, "server_settings": named}
            }
        return {}

    def _opened_postgresql(self, connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {int(self._timeout * 1000)}")
        # A plan that was made for a table of ten rows is not to be kept when there are a million.
        cursor.execute("SET plan_cache_mode = force_custom_plan")
        cursor.close()
        # Else the end of the first transaction takes the settings back.
        connection.commit()

    def _opened_sqlite(self, connection: Any, _record: Any) -> None:
        # Readers and the writer do not wait for each other, https://www.sqlite.org/wal.html; a commit is on the disk.
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()
        self._file = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        path = Path(self._url.database or "") if self._url is not None else Path()
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    async def _check_file(self) -> None:
        """Notice a SQLite file that was removed or replaced: SQLite would go on writing into what nobody can open.

        Raises:
            StoreUnavailableError: it was; the next call opens what is there then.
        """
        if self._file is None or self._file == self._identity():
            return
        self._file, self._has_tables = None, False
        if self._pooled is not None:
            await _close(self._pooled, self._home)
        raise StoreUnavailableError(
            f"{self._where} was removed or replaced while it was open; the next use opens it anew"
        )


async def _nothing(_connection: AsyncConnection, _tables: Tables) -> None:
    """The tables are made before."""


async def _close(engine: AsyncEngine, home: asyncio.AbstractEventLoop | None) -> None:
    # Connections of asyncpg are those of a loop, and gone with it. Those of SQLite live in threads, which have to end.
    if home is asyncio.get_running_loop() or engine.dialect.name == "sqlite":
        await engine.dispose()
    else:
        engine.sync_engine.dispose(close=False)


async def _lock_writers(connection: AsyncConnection) -> None:
    # SQLite has one writer at a time anyway.
    if connection.dialect.name == "postgresql":
        from sqlalchemy import func, select

        await connection.execute(select(func.pg_advisory_xact_lock(_WRITERS_LOCK)))


def _missing(extra: str, driver: str) -> str:
    return f"an event store in a SQL database needs {driver}: pip install 'aspyx-event[{extra}]'"
