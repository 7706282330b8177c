"""Maps the errors of database drivers to those of this package: try again, or do not."""

from __future__ import annotations

import asyncio
from typing import Any

from ..exceptions import DuplicateStoredEventError, EventStoreError, StoreRefusedError, StoreUnavailableError

# Result codes of SQLite, https://www.sqlite.org/rescode.html. The driver exposes their names since Python 3.11 only; the
# texts are the same in all versions.
_SQLITE_TEMPORARY = (
    "locked",
    "busy",
    "unable to open",
    "disk i/o error",
    "disk is full",
    "connection closed",
    "no active",
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exception, transaction rollback, insufficient
# resources, operator intervention, system error; object in use and lock not available.
_POSTGRESQL_TEMPORARY = ("08", "40", "53", "57", "58", "55006", "55P03")
_UNIQUE_VIOLATION = "23505"


def translate(error: BaseException, where: str) -> EventStoreError | None:
    """Return the typed error for a driver's error; None for an error that does not come from a database.

    Args:
        error: The caught error.
        where: Describes the database, without its password.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    reason = f"{type(cause).__name__}: {str(cause) or 'no answer in time'}".partition("\n")[0]
    if state == _UNIQUE_VIOLATION or "UNIQUE constraint failed" in reason:
        return DuplicateStoredEventError(f"{where}: an event with this id is stored already")
    if state:
        temporary = state.startswith(_POSTGRESQL_TEMPORARY)
    elif isinstance(cause, (OSError, TimeoutError, asyncio.TimeoutError, PoolTimeout)):
        temporary = True
    elif isinstance(error, DBAPIError):
        temporary = error.connection_invalidated or any(text in reason.lower() for text in _SQLITE_TEMPORARY)
        # asyncpg, for a connection that ended meanwhile
        temporary = temporary or type(cause).__name__ == "InterfaceError"
    elif type(cause).__module__.startswith("asyncpg"):
        temporary = True
    elif isinstance(error, SQLAlchemyError):
        temporary = False
    else:
        return None
    if temporary:
        return StoreUnavailableError(f"{where} is unavailable: {reason}")
    return StoreRefusedError(f"{where} refused: {reason}")
