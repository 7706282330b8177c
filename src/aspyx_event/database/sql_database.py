"""`SqlDatabase`: connections, tables and transactions of the SQL stores. SQLAlchemy is imported at first use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..deadlines import within
from ..exceptions import DeclarationError, EventStoreError, MissingDriverError, StoreUnavailableError
from ..masking import masked_url, without_secret
from .sqlite import connect as connect_sqlite

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from .sql_tables import Tables

T = TypeVar("T")
Work = Callable[["AsyncConnection", "Tables"], Awaitable[T]]

#: Schemes of URLs without a driver, and their asyncio drivers.
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_EXTRAS = {"sqlite": ("store", "aiosqlite"), "postgresql": ("postgresql", "asyncpg")}
#: Advisory lock of a transaction that stores events or creates tables in PostgreSQL; "aspyx" in ASCII.
_WRITERS_LOCK = 0x6173707978


class SqlDatabase:
    """Runs functions in transactions, and creates the tables before the first transaction. Usable from any loop.

    On the loop of `start`, connections are pooled until `stop`. On other loops, and before `start`, each transaction
    opens a connection of its own, so that there is nothing to close.

    Args:
        url: ``sqlite:///file.db`` or ``postgresql://user:password@host/name``, or any URL of SQLAlchemy with a driver
            for asyncio.
        timeout: Seconds to wait for a connection, a lock or an answer.
        prefix: Prefix of the table names.
        pool_size: Number of pooled connections.

    Raises:
        DeclarationError: an argument is invalid.
    """

    def __init__(self, url: str, *, timeout: float, prefix: str, pool_size: int) -> None:
        if not isinstance(url, str) or "://" not in url:
            raise DeclarationError(
                f"{masked_url(url)!r} is not the URL of a database; write for example 'sqlite:///events.db'"
            )
        if not timeout > 0 or pool_size < 1 or not (prefix == "" or prefix.isidentifier()):
            raise DeclarationError(
                f"timeout={timeout}, prefix={prefix!r}, pool_size={pool_size}: must be seconds > 0, an identifier or '', and a "
                "number > 0"
            )
        self._url_text, self._timeout, self._prefix, self._pool_size = url, timeout, prefix, pool_size
        self._url: URL | None = None
        self._tables: Tables | None = None
        self._pool_loop: asyncio.AbstractEventLoop | None = None
        self._pooled_engine: AsyncEngine | None = None
        self._unpooled_engine: AsyncEngine | None = None
        self._tables_exist = False
        #: Device and inode of the open SQLite file.
        self._file_id: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<SqlDatabase {masked_url(self._url_text, path=False)!r}>"

    async def start(self) -> None:
        """Open the pool, and create missing tables.

        Raises:
            EventStoreError: no connection, or no permission.
        """
        if self._pool_loop is not None and self._pool_loop.is_closed():
            await self.stop()
        if self._pooled_engine is None:
            self._pooled_engine = self._create_engine(pooled=True)
            self._pool_loop = asyncio.get_running_loop()
        try:
            await self.run(_nothing)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the pool; idempotent."""
        engine, self._pooled_engine = self._pooled_engine, None
        loop, self._pool_loop = self._pool_loop, None
        if engine is not None:
            await _close(engine, loop)

    async def run(self, work: Work[T], *, exclusive: bool = False) -> T:
        """Run *work* in a transaction.

        Args:
            work: Called with a connection and the tables.
            exclusive: No other transaction stores events meanwhile, so that positions become visible in order.

        Raises:
            EventStoreError: it failed and was rolled back. If the connection broke during the commit, it may have
                succeeded.
        """
        engine = self._engine()
        try:
            await self._check_file()
            # The drivers limit the time of each step. A server that does not answer costs several steps, and asyncpg
            # needs two more seconds to close its old connection; cancelling it there would leave the connection open.
            return await within(self._transaction(engine, work, exclusive), 2 * self._timeout + 4)
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
        # The driver's URL, whose SQLite file is absolute.
        url = self._url.render_as_string(hide_password=False) if self._url is not None else ""
        return f"the event store at {masked_url(url, path=False)}" if url else "the event store"

    async def _transaction(self, engine: AsyncEngine, work: Work[T], exclusive: bool) -> T:
        assert self._tables is not None  # noqa: S101  set with the engine
        async with engine.connect() as connection:
            if not self._tables_exist:
                async with connection.begin():
                    await self._create_tables(connection)
                self._tables_exist = True
            async with connection.begin():
                if exclusive:
                    await _lock_writers(connection)
                return await work(connection, self._tables)

    async def _create_tables(self, connection: AsyncConnection) -> None:
        from sqlalchemy import inspect
        from sqlalchemy.schema import CreateIndex, CreateTable

        assert self._tables is not None  # noqa: S101
        await _lock_writers(connection)
        existing = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        # A role without the right to create tables can use existing ones.
        for table in self._tables.metadata.sorted_tables:
            if table.name not in existing:
                await connection.execute(CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda index: str(index.name)):
                    await connection.execute(CreateIndex(index, if_not_exists=True))

    def _engine(self) -> AsyncEngine:
        if self._pooled_engine is not None and self._pool_loop is asyncio.get_running_loop():
            return self._pooled_engine
        if self._unpooled_engine is None:
            self._unpooled_engine = self._create_engine(pooled=False)
        return self._unpooled_engine

    def _create_engine(self, *, pooled: bool) -> AsyncEngine:
        try:
            from sqlalchemy import NullPool, event, make_url
            from sqlalchemy.exc import ArgumentError, InvalidRequestError
            from sqlalchemy.ext.asyncio import create_async_engine

            from .sql_tables import Tables
        except ImportError as error:
            raise MissingDriverError(_missing("store", "sqlalchemy")) from error
        try:
            url = make_url(self._url_text)
            url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
            if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:")):
                # Each connection opens the file by name, and the process may change its directory meanwhile.
                url = url.set(database=str(Path(url.database).absolute()))
            options = self._options(url)
            if pooled:
                options |= {"pool_size": self._pool_size, "max_overflow": 0, "pool_timeout": self._timeout}
                options["pool_pre_ping"] = url.get_backend_name() != "sqlite"
            else:
                options["poolclass"] = NullPool
            # Errors of the driver would show the bodies of events.
            engine = create_async_engine(url, hide_parameters=True, **options)
        except (ArgumentError, InvalidRequestError) as error:
            reason = without_secret(str(error), self._url_text)
            # Without the cause: a traceback would show what the library says.
            raise DeclarationError(f"the URL of an event store cannot be used: {reason}") from None
        except ValueError:  # quotes a part of the URL, which may be a part of the password
            raise DeclarationError("the URL of an event store cannot be used: its port is not a number") from None
        except ImportError as error:
            extra, driver = _EXTRAS.get(url.get_backend_name(), ("store", url.drivername))
            raise MissingDriverError(_missing(extra, driver)) from error
        configure = {"sqlite": self._configure_sqlite, "postgresql": self._configure_postgresql}
        if url.get_backend_name() in configure:
            event.listen(engine.sync_engine, "connect", configure[url.get_backend_name()])
        self._url, self._tables = url, self._tables or Tables.named(self._prefix)
        return engine

    def _options(self, url: URL) -> dict[str, Any]:
        if url.get_backend_name() == "sqlite":
            if not url.database or ":memory:" in url.database:
                raise DeclarationError(
                    f"{masked_url(self._url_text, path=False)!r}: a SQLite database in memory ends with its connection; use MemoryEventStore or a file"
                )
            options: dict[str, Any] = {"timeout": self._timeout}
            if url.drivername == "sqlite+aiosqlite":
                options["async_creator_fn"] = connect_sqlite
            return {"connect_args": options}
        if url.drivername == "postgresql+asyncpg":
            settings = {"application_name": "aspyx_event"}
            return {
                "connect_args": {
                    "timeout": self._timeout,
                    "command_timeout": self._timeout,
                    "server_settings": settings,
                }
            }
        return {}

    def _configure_postgresql(self, connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {int(self._timeout * 1000)}")
        # A plan made for ten rows must not be reused for a million.
        cursor.execute("SET plan_cache_mode = force_custom_plan")
        cursor.close()
        # Without a commit, the end of the first transaction would reset these settings.
        connection.commit()

    def _configure_sqlite(self, connection: Any, _record: Any) -> None:
        # WAL: readers and the writer do not block each other, https://www.sqlite.org/wal.html. FULL: a commit is on disk.
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()
        self._file_id = self._read_file_id()

    def _read_file_id(self) -> tuple[int, int] | None:
        path = Path(self._url.database or "") if self._url is not None else Path()
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    async def _check_file(self) -> None:
        """Detect a SQLite file that was removed or replaced: SQLite would go on writing to a file nobody can open.

        Raises:
            StoreUnavailableError: it was; the next call opens the file of this name again.
        """
        if self._file_id is None or self._file_id == self._read_file_id():
            return
        self._file_id, self._tables_exist = None, False
        if self._pooled_engine is not None:
            await _close(self._pooled_engine, self._pool_loop)
        raise StoreUnavailableError(
            f"{self._where} was removed or replaced while it was open; the next use opens it again"
        )


async def _nothing(_connection: AsyncConnection, _tables: Tables) -> None:
    """Only opens a connection and creates the tables."""


async def _close(engine: AsyncEngine, loop: asyncio.AbstractEventLoop | None) -> None:
    # Connections of asyncpg belong to a loop and end with it. Those of SQLite have threads, which must end.
    if loop is asyncio.get_running_loop() or engine.dialect.name == "sqlite":
        await engine.dispose()
    else:
        engine.sync_engine.dispose(close=False)


async def _lock_writers(connection: AsyncConnection) -> None:
    # SQLite permits only a single writer anyway.
    if connection.dialect.name == "postgresql":
        from sqlalchemy import func, select

        await connection.execute(select(func.pg_advisory_xact_lock(_WRITERS_LOCK)))


def _missing(extra: str, driver: str) -> str:
    return f"an event store in a SQL database needs {driver}: pip install 'aspyx-event[{extra}]'"
