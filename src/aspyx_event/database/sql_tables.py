"""The tables of the SQL stores, and their rows. Imports SQLAlchemy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    TypeDecorator,
    select,
)

from .query import EventQuery
from .stored_event import EventStatus, StoredEvent


class UtcTime(TypeDecorator[datetime]):
    """A point in time. SQLite has no time zones and stores UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(timezone.utc)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


# SQLite assigns row numbers only in a column of exactly this type.
_Position = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables with a common prefix.

    Attributes:
        events: A row per event.
        tags: A row per event and tag, to find events by tag; the events table has the tags too.
        inbox: A row per subscription and event that it has handled.
    """

    metadata: MetaData
    events: Table
    tags: Table
    inbox: Table

    @staticmethod
    def named(prefix: str) -> Tables:
        """Return the tables whose names begin with *prefix*."""
        metadata = MetaData()
        events = Table(
            f"{prefix}events",
            metadata,
            Column("position", _Position, primary_key=True, autoincrement=True),
            Column("id", Text, nullable=False),
            Column("type", Text, nullable=False),
            Column("time", UtcTime, nullable=False),
            Column("source", Text, nullable=False),
            Column("status", Text, nullable=False),
            Column("owner", Text),
            Column("tags", Text, nullable=False),
            Column("correlation_id", Text),
            Column("causation_id", Text),
            Column("headers", Text, nullable=False),
            Column("body", LargeBinary, nullable=False),
            Column("address", Text),
            Column("options", Text, nullable=False),
            # A position is never reused, not even after the last event is deleted.
            sqlite_autoincrement=True,
        )
        Index(f"{prefix}events_id", events.c.id, unique=True)
        Index(f"{prefix}events_type", events.c.type, events.c.position)
        Index(f"{prefix}events_time", events.c.time)
        Index(f"{prefix}events_owner", events.c.owner, events.c.position)
        Index(f"{prefix}events_correlation", events.c.correlation_id, events.c.position)
        Index(f"{prefix}events_causation", events.c.causation_id, events.c.position)
        Index(f"{prefix}events_status", events.c.status, events.c.position)
        tags = Table(
            f"{prefix}event_tags",
            metadata,
            Column("tag", Text, primary_key=True),
            Column("position", BigInteger, primary_key=True, autoincrement=False),
        )
        Index(f"{prefix}event_tags_position", tags.c.position)
        inbox = Table(
            f"{prefix}inbox",
            metadata,
            Column("subscription", Text, primary_key=True),
            Column("event_id", Text, primary_key=True),
            Column("time", UtcTime, nullable=False),
        )
        Index(f"{prefix}inbox_time", inbox.c.time)
        return Tables(metadata, events, tags, inbox)

    def conditions(self, query: EventQuery) -> list[ColumnElement[bool]]:
        """Return the conditions of *query* for a WHERE clause."""
        columns = self.events.c
        conditions = [columns.position > query.after]
        if query.types:
            conditions.append(columns.type.in_(query.types) if len(query.types) > 1 else columns.type == query.types[0])
        if query.since is not None:
            conditions.append(columns.time >= query.since)
        if query.until is not None:
            conditions.append(columns.time < query.until)
        for column, value in (
            (columns.owner, query.owner),
            (columns.correlation_id, query.correlation_id),
            (columns.causation_id, query.causation_id),
        ):
            if value is not None:
                # "" is stored as NULL, so that the many events without a value are not in the index.
                conditions.append(column == value if value else column.is_(None))
        if query.status is not None:
            conditions.append(columns.status == query.status.value)
        if query.tag is not None:
            tagged = select(self.tags.c.position).where(self.tags.c.tag == query.tag)
            conditions.append(columns.position.in_(tagged))
        return conditions


def row_of(event: StoredEvent) -> dict[str, Any]:
    """Return the columns of *event*, except its position."""
    return {
        "id": event.id,
        "type": event.type,
        "time": event.time,
        "source": event.source,
        "status": event.status.value,
        "owner": event.owner or None,
        "tags": json.dumps(sorted(event.tags)),
        "correlation_id": event.correlation_id or None,
        "causation_id": event.causation_id or None,
        "headers": json.dumps(dict(event.headers)),
        "body": event.body,
        "address": event.address or None,
        "options": json.dumps(dict(event.options)),
    }


def event_of(row: Row[Any]) -> StoredEvent:
    """Return the event of a row."""
    return StoredEvent(
        id=row.id,
        type=row.type,
        time=row.time,
        source=row.source,
        status=EventStatus(row.status),
        owner=row.owner or "",
        tags=frozenset(json.loads(row.tags)),
        correlation_id=row.correlation_id or "",
        causation_id=row.causation_id or "",
        headers=json.loads(row.headers),
        body=row.body,
        address=row.address or "",
        options=json.loads(row.options),
        position=row.position,
    )
