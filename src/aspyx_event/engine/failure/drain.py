"""Reading a queue to its end, although a queue does not tell where that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from ...envelope import FRAMEWORK_PREFIX, Envelope, SendOptions
from ...providers.base import AddressKind, Binding, Delivery, Outgoing, Provider

logger = logging.getLogger("aspyx.event")
_MARKER = FRAMEWORK_PREFIX + "marker"
#: Seconds without a further message after which a queue is taken to be read to its end, should the marker be lost.
_QUIET = 3.0
#: Messages that are taken at once where all are to be read.
WINDOW = 10_000


@asynccontextmanager
async def reading(
    provider: Provider, address: str, *, label: str, window: int = WINDOW
) -> AsyncIterator[AsyncIterator[Delivery]]:
    """Iterate over what lies in a queue now. What is not settled at the end of the block goes back.

    Two readers of one queue at the same time each see a part of it.

    Args:
        provider: The transport.
        address: A queue of its own address.
        label: Names the reading in logs.
        window: Messages held at once; a queue with more of them is read to its end only if they are settled meanwhile.
    """
    arrived = _Arrived(provider)
    binding = Binding(
        address=address, queue=address, kind=AddressKind.QUEUE, durable=True, prefetch=window, label=label
    )
    consumer = await provider.subscribe(binding, arrived.put)
    try:
        # What is there now lies before this message; with it the end is known without a wait.
        marker = str(uuid4())
        end = Outgoing(
            address=address,
            envelope=Envelope(b"", {_MARKER: marker}),
            dedup_id=marker,
            kind=AddressKind.QUEUE,
            options=SendOptions(
                ttl=60.0 if provider.capabilities.ttl else None,
                priority=0 if provider.capabilities.priority else None,
            ),
        )
        await provider.publish(end)
        yield _until(marker, arrived, label)
    finally:
        await consumer.close()


class _Arrived:
    """Deliveries that wait to be read, without those of a connection that is gone: they come again over the next one,
    and whatever is done with the first ones is not settled.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._queue: asyncio.Queue[tuple[int, Delivery]] = asyncio.Queue()

    def put(self, delivery: Delivery) -> None:
        self._queue.put_nowait((self._provider.reconnects, delivery))

    async def get(self) -> Delivery:
        while True:
            connection, delivery = await self._queue.get()
            if connection == self._provider.reconnects:
                return delivery


async def _until(marker: str, arrived: _Arrived, label: str) -> AsyncIterator[Delivery]:
    while True:
        try:
            delivery = await asyncio.wait_for(arrived.get(), _QUIET)
        except asyncio.TimeoutError:
            logger.warning("%s: not read to the end; repeat to go on", label)
            return
        found = delivery.envelope.get(_MARKER)
        if not found:
            yield delivery
        elif found == marker:
            delivery.ack()
            return
