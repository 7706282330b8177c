"""`SqlInboxStore`: what subscriptions have handled, in a SQL database."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..exceptions import DuplicateStoredEventError
from .base import InboxStore
from .sql_database import Database
from .sql_event_store import DEFAULT_URL, SqlEventStore

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from .sql_tables import Tables


class SqlInboxStore(InboxStore):
    """Remembers over restarts, and for all processes at one database. Makes its table when it is first used.

    Args:
        database: An event store whose connections it shares, or a URL as for `SqlEventStore`. With a URL each call
            opens a connection of its own, unless it is started; then stop it too.
        timeout: Seconds to wait, as for `SqlEventStore`; one that is given has its own.
        prefix: Begins the name of the table; an event store that is given has its own.
        pool_size: Connections kept once it is started.

    Raises:
        DeclarationError: one of these is nonsense.
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
            else Database(database, timeout=timeout, prefix=prefix, pool_size=pool_size)
        )

    async def start(self) -> None:
        """Keep connections from now on. One that shares those of an event store starts with that."""
        if not self._shares:
            await self._database.start()

    async def stop(self) -> None:
        """Close what `start` opened; again is no error."""
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
            return  # another process had the event at the same time, and was first

    async def forget(self, before: datetime) -> int:
        """Forget what was handled before a time, after which nobody will deliver it again; return how many."""

        async def work(connection: AsyncConnection, tables: Tables) -> int:
            return (await connection.execute(tables.inbox.delete().where(tables.inbox.c.time < before))).rowcount

        return await self._database.run(work)
