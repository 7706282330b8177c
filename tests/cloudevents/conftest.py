"""Fixtures: ASGI applications served by uvicorn in the test's own loop, and a manager in this process."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import uvicorn

from aspyx_event import EventManager, LocalProvider

Serve = Callable[[Any], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve an application on a free port: `client = await serve(application)`; its URLs begin there."""
    running: list[tuple[uvicorn.Server, asyncio.Task[None], socket.socket, httpx.AsyncClient]] = []

    async def start(application: Any) -> httpx.AsyncClient:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", ws="none"))
        task = asyncio.create_task(server.serve([listening]))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = httpx.AsyncClient(base_url=base, timeout=30, trust_env=False)
        running.append((server, task, listening, client))
        end = time.monotonic() + 20
        while not server.started:
            assert not task.done(), "the server did not start"
            assert time.monotonic() < end
            await asyncio.sleep(0.005)
        return client

    yield start
    for server, task, listening, client in running:
        await client.aclose()
        server.should_exit = True
        await asyncio.wait([task], timeout=20)
        listening.close()


@pytest.fixture
async def manager() -> AsyncIterator[EventManager]:
    """A started manager on the local provider."""
    async with EventManager(LocalProvider()) as started:
        yield started
