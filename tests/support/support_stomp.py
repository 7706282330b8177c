"""What tests of the STOMP provider share: durable queues, and many messages at once."""

from __future__ import annotations

import asyncio

from aspyx_event.providers.base import Binding


def durable(address, queue="q", **fields):
    return Binding(address=address, queue=f"{address}.{queue}", durable=True, label=f"listener {queue}", **fields)


async def publish_all(connected, outgoing, address, bodies, **fields):
    await asyncio.gather(*[connected.publish(outgoing(address, body, **fields)) for body in bodies])


def numbered(count):
    return [b"%03d" % number for number in range(count)]
