"""What is kept in the database of the application: the event store and the inbox. SQLAlchemy is imported on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .event_store import SqlEventStore
    from .inbox import SqlInboxStore

__all__ = ["SqlEventStore", "SqlInboxStore"]


def __getattr__(name: str) -> Any:
    if name == "SqlEventStore":
        from .event_store import SqlEventStore

        return SqlEventStore
    if name == "SqlInboxStore":
        from .inbox import SqlInboxStore

        return SqlInboxStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
