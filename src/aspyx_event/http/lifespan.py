"""Starts and stops managers with a web application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol


class Startable(Protocol):
    """An `EventManager`, or an environment."""

    def start(self) -> Awaitable[None]: ...

    def stop(self) -> Awaitable[None]: ...


def lifespan_of(*parts: Startable) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan for Starlette and FastAPI: *parts* start before the first request and stop after the last.

    ``FastAPI(lifespan=lifespan_of(environment))``. If a part fails to start, the parts before it are stopped.

    Args:
        *parts: Environments or managers, in the order in which they start; they stop in reverse order.
    """

    @asynccontextmanager
    async def lifespan(_application: Any) -> AsyncIterator[None]:
        started: list[Startable] = []
        try:
            for part in parts:
                started.append(part)
                await part.start()
            yield
        finally:
            for part in reversed(started):
                await part.stop()

    return lifespan
