"""What a connection holds of a broker that sends faster than anybody handles."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from aspyx_event.envelope import Envelope
from aspyx_event.providers.base import Outgoing
from aspyx_event.providers.stomp import StompProvider
from aspyx_event.providers.stomp.frames import encode

BURST = 2_000
USUAL = {"subscription": "none of ours", "message-id": "1", "destination": "shop", "tenant": "north"}


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a broker that sends a burst of messages before it confirms something."""
    message = encode("MESSAGE", USUAL, b"x" * 900)
    await reader.readuntil(b"\0")
    writer.write(b"CONNECTED\nversion:1.2\n\n\0")
    with contextlib.suppress(asyncio.IncompleteReadError):
        while frame := await reader.readuntil(b"\0"):
            for _ in range(BURST if frame.startswith(b"SEND") else 0):
                writer.write(message)
                await writer.drain()
            receipt = frame.partition(b"receipt:")[2].partition(b"\n")[0]
            writer.write(b"RECEIPT\nreceipt-id:%b\n\n\0" % receipt)
    writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_burst_of_the_broker_is_read_in_small_pieces(port: int) -> None:
    provider = StompProvider("127.0.0.1", port, confirm_timeout=30)
    await provider.start()
    gc.collect()
    tracemalloc.start()
    try:
        await provider.publish(Outgoing(address="shop", envelope=Envelope(b"{}", {}), dedup_id="1"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await provider.stop()
    # Of the two megabytes: the buffer, two copies of it and its frames; and what the sender holds.
    assert peak < 400_000
