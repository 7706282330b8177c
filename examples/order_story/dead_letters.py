"""Takes a dead letter from its queue, whichever provider keeps it."""

from __future__ import annotations

import asyncio

from aspyx_event import AddressKind, Binding, Delivery, Envelope, Provider


async def take_dead_letter(provider: Provider, event_name: str, listener: str, seconds: float = 30.0) -> Envelope:
    """Return the oldest dead letter of one listener and remove it from its queue.

    Raises:
        asyncio.TimeoutError: there is none after *seconds*.
    """
    queue = f"dead-letters.{event_name}.{listener}"
    found: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    def consume(delivery: Delivery) -> None:
        if found.done():
            delivery.release()
        else:
            found.set_result(delivery)

    binding = Binding(address=queue, queue=queue, kind=AddressKind.QUEUE, durable=True, prefetch=1)
    consumer = await provider.subscribe(binding, consume)
    try:
        delivery = await asyncio.wait_for(found, seconds)
        delivery.ack()
        return delivery.envelope
    finally:
        await consumer.close()
