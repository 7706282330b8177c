"""Frames that a closing receiver sends."""

from __future__ import annotations

import re

import pytest

from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker

#: Descriptors of frames and outcomes (AMQP 1.0 part 2 section 2.7, part 3 section 3.4).
_DESCRIPTORS = {b"\x15": "disposition", b"\x26": "released", b"\x24": "accepted", b"\x16": "detach"}


class Recorder:
    """A transport that remembers what is written."""

    def __init__(self, transport):
        self._transport, self.written = transport, b""

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def write(self, data):
        self.written += data
        self._transport.write(data)

    @property
    def performatives(self):
        codes = re.findall(rb"\x00\x53([\x15\x16\x24\x26])", self.written)
        return [_DESCRIPTORS[code] for code in codes]


@pytest.mark.parametrize("durable", [True, False])
async def test_held_deliveries_are_released_before_the_link_is_detached(connect, outgoing, unique, until, durable):
    """Unsettled at the detach, the driver settles them without an outcome, which ends a session of RabbitMQ."""
    provider, held = await connect(), []
    consumer = await provider.subscribe(Binding(address=unique, queue=f"{unique}.q", durable=durable), held.append)
    for _ in range(3):
        await provider.publish(outgoing(unique))
    await until(lambda: len(held) == 3)
    wire = provider._client._supervisor.wire
    wire._io = recorder = Recorder(wire._io)
    await consumer.close()
    wire._io = recorder._transport
    performatives = recorder.performatives
    assert "released" in performatives[: performatives.index("detach")]
    assert performatives.count("disposition") == performatives.count("released")
