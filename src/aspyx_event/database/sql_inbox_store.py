"""`SqlInboxStore`: an inbox store in a SQL database."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..exceptions import DuplicateStoredEventError
from .base import InboxStore
from .sql_database import SqlDatabase
from .sql_event_store import DEFAULT_URL, SqlEventStore

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from .sql_tables import Tables


class SqlInboxStore(InboxStore):
    """Records handled events across restarts, for all processes that use the database. Creates its table at first use.

    Args:
        database: An event store whose connections it shares, or a URL as for `SqlEventStore`. With a URL each call
            opens a connection, unless the store is started; a started store must be stopped.
        timeout: As for `SqlEventStore`; ignored with an event store.
        prefix: Prefix of the table name; ignored with an event store.
        pool_size: Number of pooled connections; ignored with an event store.

    Raises:
        DeclarationError: an argument is invalid.
    """

    def __init__(
        self,
        database: SqlEventStore | str = DEFAULT_URL,
        *,
        timeout: float = 10.0,
        prefix: str = "aspyx_",
        pool_size: int = 5,
    ) -> None:
        self._shares = isinstance(database, SqlEventStore)
        self._database = (
            database.database
            if isinstance(database, SqlEventStore)
            else SqlDatabase(database, timeout=timeout, prefix=prefix, pool_size=pool_size)
        )

    def __repr__(self) -> str:
        return f"<SqlInboxStore in {self._database!r}>"

    async def start(self) -> None:
        """Open the pool. A store that shares the connections of an event store is started with it."""
        if not self._shares:
            await self._database.start()

    async def stop(self) -> None:
        """Close the pool; idempotent."""
        if not self._shares:
            await self._database.stop()

    async def contains(self, subscription: str, event_id: str) -> bool:
        async def work(connection: AsyncConnection, tables: Tables) -> bool:
            from sqlalchemy import literal, select

            columns = tables.inbox.c
            known = select(literal(1)).where(columns.subscription == subscription, columns.event_id == event_id)
            return (await connection.execute(known)).first() is not None

        return await self._database.run(work)

    async def add(self, subscription: str, event_id: str) -> None:
        async def work(connection: AsyncConnection, tables: Tables) -> None:
            row = {"subscription": subscription, "event_id": event_id, "time": datetime.now(timezone.utc)}
            await connection.execute(tables.inbox.insert().values(row))

        try:
            await self._database.run(work)
        except DuplicateStoredEventError:
            return  # another process handled the event at the same time

    async def forget(self, before: datetime) -> int:
        """Delete the entries older than *before*; return their number. Events older than that must not be redelivered."""

        async def work(connection: AsyncConnection, tables: Tables) -> int:
            return (await connection.execute(tables.inbox.delete().where(tables.inbox.c.time < before))).rowcount

        return await self._database.run(work)
