"""How a SQLite file is opened through aiosqlite: without a thread that outlives a failure."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Any


async def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection; for `async_creator_fn` of SQLAlchemy.

    Where opening fails, aiosqlite leaves its thread to end by itself and to report that to the loop, which may be closed
    by then: the thread's own traceback would be printed. Here it has ended before the failure is raised.

    Args:
        arguments: Of `aiosqlite.connect`, as are *options*.
    """
    import aiosqlite

    connection: Any = aiosqlite.connect(*arguments, **options)
    # Until 0.22 a connection is a thread, later it has one. A connection that nobody closes does not keep the program.
    thread = connection if isinstance(connection, Thread) else connection._thread
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join)
        raise
