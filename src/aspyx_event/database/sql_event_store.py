"""`SqlEventStore`: the memory of events in a SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import UnknownStoredEventError
from .base import EventStore
from .query import EventQuery
from .sql_database import Database
from .stored_event import EventStatus, StoredEvent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from .sql_tables import Tables

DEFAULT_URL = "sqlite+aiosqlite:///events.db"
#: Ids in one statement; drivers have limits of about 32,000.
_CHUNK = 1_000


class SqlEventStore(EventStore):
    """Keeps events in SQLite (extra ``store``) or PostgreSQL (extra ``postgresql``). Makes its tables when it starts.

    On the loop of `start` it keeps connections; used from another loop, or not started, each call has one of its own.

    Args:
        url: ``sqlite:///file.db``, ``postgresql://user:password@host/name``, or a URL of SQLAlchemy that names a
            driver for asyncio.
        timeout: Seconds to wait for a connection, a lock or an answer, before it is a `StoreUnavailableError`.
        prefix: Begins the names of the tables, so that several applications can share a database.
        pool_size: Connections kept.

    Raises:
        DeclarationError: one of these is nonsense.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, timeout: float = 10.0, prefix: str = "aspyx_", pool_size: int = 5
    ) -> None:
        #: Shared with a `SqlInboxStore`.
        self.database = Database(url, timeout=timeout, prefix=prefix, pool_size=pool_size)

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
                # Nobody else stores events meanwhile, so the last ones are these.
                last = select(tables.events.c.id, tables.events.c.position).order_by(tables.events.c.position.desc())
                positions = {row.id: row.position for row in await connection.execute(last.limit(len(events)))}
                rows = [{"tag": tag, "position": positions[event.id]} for event in events for tag in event.tags]
                await connection.execute(tables.tags.insert(), rows)

        await self.database.run(work, exclusive=True)

    async def read(self, event_id: str) -> StoredEvent:
        async def work(connection: AsyncConnection, tables: Tables) -> Any:
            found = await connection.execute(tables.events.select().where(tables.events.c.id == event_id))
            return found.first()

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
            done = await connection.execute(events.update().where(events.c.id == event.id).values(row_of(event)))
            if not done.rowcount:
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
                chosen = events.c.id.in_(event_ids[start : start + _CHUNK])
                count += (await connection.execute(events.update().where(chosen).values(status=status.value))).rowcount
            return count

        return await self.database.run(work) if event_ids else 0

    async def delete(self, event_id: str) -> None:
        async def work(connection: AsyncConnection, tables: Tables) -> None:
            from sqlalchemy import select

            position = tables.events.c.position
            its_position = select(position).where(tables.events.c.id == event_id).scalar_subquery()
            await connection.execute(tables.tags.delete().where(tables.tags.c.position == its_position))
            done = await connection.execute(tables.events.delete().where(tables.events.c.id == event_id))
            if not done.rowcount:
                raise _unknown(event_id)

        await self.database.run(work)

    async def last_position(self) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            from sqlalchemy import func, select

            return await connection.scalar(select(func.max(tables.events.c.position))) or 0

        return await self.database.run(work)

    async def page(self, query: EventQuery, upto: int, limit: int) -> Sequence[StoredEvent]:
        async def work(connection: AsyncConnection, tables: Tables) -> Any:
            events = tables.events
            chosen = events.select().where(*tables.conditions(query), events.c.position <= upto)
            return (await connection.execute(chosen.order_by(events.c.position).limit(limit))).all()

        rows = await self.database.run(work)
        from .sql_tables import event_of

        return [event_of(row) for row in rows]

    async def count_of(self, query: EventQuery) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            from sqlalchemy import func, select

            chosen = select(func.count()).select_from(tables.events).where(*tables.conditions(query))
            return await connection.scalar(chosen) or 0

        return await self.database.run(work)

    async def purge(self, query: EventQuery) -> int:
        async def work(connection: AsyncConnection, tables: Tables) -> int:
            from sqlalchemy import select

            position = tables.events.c.position
            chosen = select(position).where(*tables.conditions(query)).order_by(position).limit(_CHUNK)
            found = (await connection.scalars(chosen)).all()
            await connection.execute(tables.tags.delete().where(tables.tags.c.position.in_(found)))
            return (await connection.execute(tables.events.delete().where(position.in_(found)))).rowcount

        # In pieces, because senders wait for a transaction that deletes a million.
        count = 0
        while done := await self.database.run(work):
            count += done
        return count


def _unknown(event_id: str) -> UnknownStoredEventError:
    return UnknownStoredEventError(f"no event {event_id!r} is stored")
