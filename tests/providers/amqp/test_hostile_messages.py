"""Messages of a hostile sender over a real broker that redelivers for ever (max-delivery-attempts -1)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import pytest
from support_amqp_sections import nested, section, string_map

from aspyx_event import EventManager, event
from aspyx_event.providers.base import AddressKind

pytestmark = pytest.mark.broker

DEEP = nested(1000)
BODY = section(0x75, b"\xa0\x0d" + b'{"number": 1}')
#: What Artemis takes from a sender.
HOSTILE = {
    "content-type": section(0x73, b"\xc0\x0b\x07\x40\x40\x40\x40\x40\x40\xa3\x02\xff\x80") + BODY,
    "deep body": section(0x77, DEEP),
    "deep annotation": section(0x72, string_map((b"\xa3\x01a", DEEP))) + section(0x77, DEEP),
    "sequence": section(0x76, DEEP),
    "no section": b"\x40",
    "empty": b"",
}


@pytest.fixture
def endless(management, unique):
    """The address of the test: the broker redelivers its messages for ever."""
    management.op("broker", "addAddressSettings", f"{unique}.#", json.dumps({"maxDeliveryAttempts": -1}))
    yield f"{unique}.order"
    management.op("broker", "removeAddressSettings", f"{unique}.#")


async def test_a_message_that_cannot_be_decoded_is_a_single_dead_letter(connect, endless, unique, until, management):
    """One attempt, one dead letter, and the next event is handled; nothing stays in the queue."""

    @event(endless, durable=True)
    @dataclass
    class Order:
        number: int

    provider, sender, handled = await connect(), await connect(), []
    async with EventManager(provider) as manager:
        name = f"{unique}.listener"
        await manager.subscribe(Order, handled.append, name=name)
        refused = 0
        for data in HOSTILE.values():
            sending = sender._client.publish(endless, AddressKind.TOPIC, data)
            refused += (await asyncio.gather(sending, return_exceptions=True))[0] is not None
        assert refused < len(HOSTILE) - 2
        await manager.send_event(Order(2))
        await until(lambda: handled)
        await until(lambda: management.messages(f"{endless}::{name}" if "::" in name else name) == 0)
        letters = await manager.dead_letters.list(name)
        assert len(letters) == len(HOSTILE) - refused
        assert {letter.attempts for letter in letters} == {1}
    assert handled == [Order(2)]
