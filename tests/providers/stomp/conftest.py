"""Fixtures of the STOMP tests: providers that are stopped, inboxes to wait on, and a proxy that spies and misbehaves."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support_waiting import eventually

from aspyx_event.providers.base import Delivery, Outgoing
from aspyx_event.providers.stomp import StompProvider
from aspyx_event.testing import ArtemisBroker
from aspyx_event.testing.conformance.rig import make_outgoing

DEADLINE = 30.0


class Inbox:
    """Takes deliveries; acknowledges them at once unless told to keep them."""

    def __init__(self, ack: bool = True) -> None:
        self.ack = ack
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self.ack:
            delivery.ack()

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.envelope.body for delivery in self.deliveries]

    async def until(self, count: int) -> list[Delivery]:
        await eventually(lambda: len(self.deliveries) >= count, f"{count} deliveries")
        return self.deliveries


class Proxy:
    """A TCP proxy in front of the broker. `sent` has the frames that came from the client."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.host, self.port = "127.0.0.1", 0
        self.sent: list[bytes] = []
        #: Asked for each frame of the broker; true drops it.
        self.drop: Callable[[bytes], bool] = lambda _frame: False
        #: Awaited with each piece of data before it is passed on.
        self.before: Callable[[bytes], Awaitable[None]] | None = None
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self, reset: bool = False) -> None:
        """End all connections, with FIN or with RST."""
        for writer in self._writers:
            if reset:
                writer.transport.abort()
            else:
                writer.close()
        self._writers.clear()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut(reset=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        self._writers += [writer, up_writer]
        for source, sink, keep in ((reader, up_writer, self._spy()), (up_reader, writer, self._filter())):
            task = asyncio.create_task(self._pump(source, sink, keep))
            self._tasks.add(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, keep: Callable[[bytes], bytes]
    ) -> None:
        try:
            while data := await source.read(65536):
                if self.before is not None:
                    await self.before(data)
                sink.write(keep(data))
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    def _spy(self) -> Callable[[bytes], bytes]:
        rest = b""

        def keep(data: bytes) -> bytes:
            nonlocal rest
            *frames, rest = (rest + data).split(b"\0")
            self.sent += [frame.lstrip(b"\r\n") for frame in frames]
            return data

        return keep

    def _filter(self) -> Callable[[bytes], bytes]:
        rest = b""

        def keep(data: bytes) -> bytes:
            nonlocal rest
            *frames, rest = (rest + data).split(b"\0")
            return b"".join(frame + b"\0" for frame in frames if not self.drop(frame.lstrip(b"\r\n")))

        return keep

    def commands(self) -> list[bytes]:
        return [frame.split(b"\n", 1)[0].strip() for frame in self.sent]


@pytest.fixture
def inbox() -> type[Inbox]:
    return Inbox


@pytest.fixture
def outgoing() -> Callable[..., Outgoing]:
    """Make a durable message with an id nobody used: `outgoing(address, body, headers, **fields)`."""
    numbers = itertools.count()

    def make(address: str, body: bytes = b"{}", headers: dict[str, str] | None = None, **fields: Any) -> Outgoing:
        fields.setdefault("durable", True)
        fields.setdefault("dedup_id", f"{address}-{next(numbers)}-{time.monotonic_ns()}")
        return make_outgoing(address, body, headers, **fields)

    return make


@pytest.fixture
async def provider() -> AsyncIterator[Callable[..., Awaitable[StompProvider]]]:
    """Start a provider for a broker or a proxy: `await provider(broker, **options)`. It is stopped with the test."""
    started: list[StompProvider] = []

    async def start(target: Any, **options: Any) -> StompProvider:
        options = {"user": "admin", "password": "admin", **options}
        made = StompProvider(target.host, target.port, **options)
        started.append(made)
        await made.start()
        return made

    yield start
    for made in started:
        await asyncio.wait_for(made.stop(), DEADLINE)


@pytest.fixture
async def proxy() -> AsyncIterator[Callable[[ArtemisBroker], Awaitable[Proxy]]]:
    """Open a proxy in front of a broker: `await proxy(broker)`."""
    opened: list[Proxy] = []

    async def open_proxy(target: ArtemisBroker) -> Proxy:
        made = await Proxy(target.host, target.port).open()
        opened.append(made)
        return made

    yield open_proxy
    for made in opened:
        await made.close()
