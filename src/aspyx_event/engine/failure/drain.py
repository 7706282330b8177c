"""`drain_queue`: reads a queue to its end, although a broker does not report where that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from ...deadlines import within
from ...envelope import FRAMEWORK_PREFIX, Envelope, SendOptions
from ...providers.base import AddressKind, Binding, Delivery, Outgoing, Provider
from ...safe_logger import SafeLogger
from .signature import is_signed, signed

logger = SafeLogger(logging.getLogger("aspyx.event"))
_MARKER = FRAMEWORK_PREFIX + "marker"
#: Seconds without a further message after which the queue counts as drained, should the marker be lost.
_IDLE_TIMEOUT = 3.0
#: Messages that are taken at once when the whole queue is read.
WINDOW = 10_000


@asynccontextmanager
async def drain_queue(
    provider: Provider, address: str, *, label: str, window: int = WINDOW
) -> AsyncIterator[AsyncIterator[Delivery]]:
    """Iterate over the messages that are in a queue now. Those not settled at the end of the block return to it.

    A queue that does not exist has no messages, and is not created.

    Two readers of one queue at the same time each see a part of it.

    Args:
        provider: The transport.
        address: Address of the queue, which has the same name.
        label: Name of the reader in log messages.
        window: Messages taken at once; a longer queue is read to its end only if messages are settled meanwhile.
    """
    if not await provider.queue_exists(address):
        yield _nothing()
        return
    deliveries = _DeliveryBuffer()
    binding = Binding(
        address=address, queue=address, kind=AddressKind.QUEUE, durable=True, prefetch=window, label=label
    )
    consumer = await provider.subscribe(binding, deliveries.put)
    try:
        # The messages that are there now lie before this marker: it shows the end without a wait.
        marker = str(uuid4())
        message = Outgoing(
            address=address,
            envelope=Envelope(b"", {_MARKER: marker}),
            dedup_id=marker,
            kind=AddressKind.QUEUE,
            options=SendOptions(
                ttl=60.0 if provider.capabilities.ttl else None,
                priority=0 if provider.capabilities.priority else None,
            ),
        )
        await provider.publish(signed(provider, message))
        yield _until_marker(marker, deliveries, provider, address, label)
    finally:
        await consumer.close()


async def _nothing() -> AsyncIterator[Delivery]:
    nothing: tuple[Delivery, ...] = ()
    for delivery in nothing:
        yield delivery


class _DeliveryBuffer:
    """Deliveries that wait to be read.

    Deliveries of a lost connection are left out: the broker delivers their messages again over the next connection, and
    settling them would do nothing.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self.put = self._queue.put_nowait

    async def get(self) -> Delivery:
        while True:
            delivery = await self._queue.get()
            if not delivery.stale:
                return delivery


async def _until_marker(
    marker: str, deliveries: _DeliveryBuffer, provider: Provider, address: str, label: str
) -> AsyncIterator[Delivery]:
    while True:
        try:
            delivery = await within(deliveries.get(), _IDLE_TIMEOUT)
        except asyncio.TimeoutError:
            logger.warning("%s: not read to the end; repeat to go on", label)
            return
        stated = delivery.envelope.get(_MARKER)
        if stated == marker:
            delivery.ack()
            return
        # The marker of another reader, or a message of another sender, which must not become invisible by this header.
        if not stated or not is_signed(provider, address, delivery.received):
            yield delivery
