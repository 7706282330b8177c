"""What is kept in the database of the application: the event store and the inbox. SQLAlchemy is imported on demand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .event_store import SqlEventStore
    from .inbox import SqlInboxStore

__all__ = ["SqlEventStore", "SqlInboxStore"]
_MODULES = {"SqlEventStore": ".event_store", "SqlInboxStore": ".inbox"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
