"""What a driver's error means to the caller: try again, or do not."""

from __future__ import annotations

import asyncio
from typing import Any

from ..exceptions import DuplicateStoredEventError, EventStoreError, StoreRefusedError, StoreUnavailableError

# SQLite has names for its results, https://www.sqlite.org/rescode.html, which the driver shows since Python 3.11; the
# texts are the same everywhere.
_SQLITE_PASSING = (
    "locked",
    "busy",
    "unable to open",
    "disk i/o error",
    "disk is full",
    "connection closed",
    "no active",
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, rollback of a transaction, resources,
# operator's intervention, system error; object in use and lock not available.
_POSTGRESQL_PASSING = ("08", "40", "53", "57", "58", "55006", "55P03")
_UNIQUE_VIOLATION = "23505"


def translate(error: BaseException, where: str) -> EventStoreError | None:
    """Return the typed error for what a driver raised; None for an error that is not a database's.

    Args:
        error: As it was caught.
        where: Names the database, without its password.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    reason = f"{type(cause).__name__}: {str(cause) or 'no answer in time'}".partition("\n")[0]
    if state == _UNIQUE_VIOLATION or "UNIQUE constraint failed" in reason:
        return DuplicateStoredEventError(f"{where}: an event of such an id is stored already")
    if state:
        passing = state.startswith(_POSTGRESQL_PASSING)
    elif isinstance(cause, (OSError, TimeoutError, asyncio.TimeoutError, PoolTimeout)):
        passing = True
    elif isinstance(error, DBAPIError):
        passing = error.connection_invalidated or any(text in reason.lower() for text in _SQLITE_PASSING)
        # asyncpg, of a connection that ended meanwhile
        passing = passing or type(cause).__name__ == "InterfaceError"
    elif type(cause).__module__.startswith("asyncpg"):
        passing = True
    elif isinstance(error, SQLAlchemyError):
        passing = False
    else:
        return None
    if passing:
        return StoreUnavailableError(f"{where} cannot be used now: {reason}")
    return StoreRefusedError(f"{where} refused: {reason}")
