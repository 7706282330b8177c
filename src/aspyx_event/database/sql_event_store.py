"""`SqlEventStore`: an event store in a SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import UnknownStoredEventError
from .base import EventStore
from .query import EventQuery
from .sql_database import SqlDatabase
from .stored_event import EventStatus, StoredEvent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from .sql_tables import Tables

DEFAULT_URL = "sqlite+aiosqlite:///events.db"
#: Ids per statement; drivers have limits of about 32,000.
_CHUNK = 1_000


class SqlEventStore(EventStore):
    """Keeps events in SQLite (extra ``store``) or PostgreSQL (extra ``postgresql``). Creates its tables at start.

    On the loop of `start`, connections are pooled. On other loops, and before `start`, each call opens a connection.

    Args:
        url: ``sqlite:///file.db``, ``postgresql://user:password@host/name``, or a URL of SQLAlchemy that names a
            driver for asyncio.
        timeout: Seconds to wait for a connection, a lock or an answer before `StoreUnavailableError` is raised.
        prefix: Prefix of the table names, so that several applications can share a database.
        pool_size: Number of pooled connections.

    Raises:
        DeclarationError: an argument is invalid.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, timeout: float = 10.0, prefix: str = "aspyx_", pool_size: int = 5
    ) -> None:
        #: May be shared with a `SqlInboxStore`.
        self.database = SqlDatabase(url, timeout=timeout, prefix=prefix, pool_size=pool_size)

    def __repr__(self) -> str:
        return f"<SqlEventStore in {self.database!r}>"

    async def start(self) -> None:
        await self.database.start()

    async def stop(self) -> None:
        await self.database.stop()

    async def create_all(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return

        async def work(connection: AsyncConnection, tables: Tables) -> None:
            from sqlalchemy import select

            from .sql_tables import row_of

            await connection.execute(tables.events.insert(), [row_of(event) for event in events])
            if any(event.tags for event in events):
                # The transaction is exclusive, so these are the latest positions.
                latest = select(tables.events.c.id, tables.events.c.position).order_by(tables.events.c.position.desc())
                positions = {row.id: row.position for row in await connection.execute(latest.limit(len(events)))}
                rows = [{"tag": tag, "position": positions[event.id]} for event in events for tag in event.tags]
                await connection.execute(tables.tags.insert(), rows)

        await self.database.run(work, exclusive=True)

    async def read(self, event_id: str) -> StoredEvent:
        async def work(connection: AsyncConnection, tables: Tables) -> Any:
            result = await connection.execute(tables.events.select().where(tables.events.c.id == event_id))
            return result.first()

        row = await self.database.run(work)
        if row is None:
            raise _unknown(event_id)
        from .sql_tables import event_of

        return event_of(row)

    async def update(self, event: StoredEvent) -> None:
        async def work(connection: AsyncConnection, tables: Tables) -> None:
            from sqlalchemy import select

            from .sql_tables import row_of

            events, tags = tables.events, tables.tags
            result = await connection.execute(events.update().where(events.c.id == event.id).values(row_of(event)))
            if not result.rowcount:
                raise _unknown(event.id)
            position = await connection.scalar(select(events.c.position).where(events.c.id == event.id))
            await connection.execute(tags.delete().where(tags.c.position == position))
            if event.tags:
                await connection.execute(tags.insert(), [{"tag": tag, "position": position} for tag in event.tags])

        await self.database.run(work)

    async def set_status(self, event_ids: Sequence[str], status: EventStatus) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            count, events = 0, tables.events
            for start in range(0, len(event_ids), _CHUNK):
                selected = events.c.id.in_(event_ids[start : start + _CHUNK])
                count += (
                    await connection.execute(events.update().where(selected).values(status=status.value))
                ).rowcount
            return count

        return await self.database.run(work) if event_ids else 0

    async def delete(self, event_id: str) -> None:
        async def work(connection: AsyncConnection, tables: Tables) -> None:
            from sqlalchemy import select

            position = tables.events.c.position
            event_position = select(position).where(tables.events.c.id == event_id).scalar_subquery()
            await connection.execute(tables.tags.delete().where(tables.tags.c.position == event_position))
            result = await connection.execute(tables.events.delete().where(tables.events.c.id == event_id))
            if not result.rowcount:
                raise _unknown(event_id)

        await self.database.run(work)

    async def last_position(self) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            from sqlalchemy import func, select

            return await connection.scalar(select(func.max(tables.events.c.position))) or 0

        return await self.database.run(work)

    async def page(self, query: EventQuery, last: int, limit: int) -> Sequence[StoredEvent]:
        async def work(connection: AsyncConnection, tables: Tables) -> Any:
            events = tables.events
            selected = events.select().where(*tables.conditions(query), events.c.position <= last)
            return (await connection.execute(selected.order_by(events.c.position).limit(limit))).all()

        rows = await self.database.run(work)
        from .sql_tables import event_of

        return [event_of(row) for row in rows]

    async def count_of(self, query: EventQuery) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            from sqlalchemy import func, select

            selected = select(func.count()).select_from(tables.events).where(*tables.conditions(query))
            return await connection.scalar(selected) or 0

        return await self.database.run(work)

    async def purge(self, query: EventQuery) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            from sqlalchemy import select

            position = tables.events.c.position
            selected = select(position).where(*tables.conditions(query)).order_by(position).limit(_CHUNK)
            positions = (await connection.scalars(selected)).all()
            await connection.execute(tables.tags.delete().where(tables.tags.c.position.in_(positions)))
            return (await connection.execute(tables.events.delete().where(position.in_(positions)))).rowcount

        # In chunks, because senders wait for the transaction.
        count = 0
        while deleted := await self.database.run(work):
            count += deleted
        return count


def _unknown(event_id: str) -> UnknownStoredEventError:
    return UnknownStoredEventError(f"no event {event_id!r} is stored")
