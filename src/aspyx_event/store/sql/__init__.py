"""Stores in a SQL database: SQLite in a file, or PostgreSQL by its URL."""

from .events import SqlEventStore
from .inbox import SqlInboxStore

__all__ = ["SqlEventStore", "SqlInboxStore"]
