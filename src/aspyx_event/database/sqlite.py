"""Opens a SQLite file through aiosqlite, without a thread that outlives a failure."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Any


async def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection; for `async_creator_fn` of SQLAlchemy.

    If opening fails, aiosqlite lets its thread end later and report to the loop, which may be closed by then; the
    thread's traceback would be printed. Here the thread has ended before the error is raised.

    Args:
        arguments, options: Those of `aiosqlite.connect`.
    """
    import aiosqlite

    connection: Any = aiosqlite.connect(*arguments, **options)
    # Until 0.22 a connection is a thread, later it has a thread. A connection left open must not block the exit.
    thread = connection if isinstance(connection, Thread) else connection._thread
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join)
        raise
