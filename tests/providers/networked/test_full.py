"""A broker without room: back-pressure or a typed error, never a hang, and work goes on when there is room again."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event import ConfirmTimeoutError, ProviderError
from aspyx_event.exceptions import NotAcceptedError
from aspyx_event.providers.base import Binding

pytestmark = pytest.mark.broker

# AMQP is held back by credit, of which the broker gives 1000 at first; STOMP is not held back at all.
EXPECTED = {
    ("page", "amqp"): {type(None)},
    ("page", "stomp"): {type(None)},
    ("block", "amqp"): {type(None), ConfirmTimeoutError},
    ("block", "stomp"): {type(None)},
    ("fail", "amqp"): {type(None), NotAcceptedError},
    # The refusal of one ends the connection; what waits behind it is sent again, and may be over its time by then.
    ("fail", "stomp"): {type(None), NotAcceptedError, ConfirmTimeoutError},
    ("drop", "amqp"): {type(None)},
    ("drop", "stomp"): {type(None)},
}


@pytest.mark.parametrize("policy", ["page", "block", "fail", "drop"])
async def test_a_full_address_ends_every_send_in_time_and_takes_more_when_it_is_emptied(
    strict_broker, strict_management, connect, protocol, policy, outgoing, unique, until
):
    address, queue = f"full.{policy}.{unique}", f"{unique}.q"
    # Short only where it is to be over.
    confirm_timeout = 4.0 if (policy, protocol) in {("block", "amqp"), ("fail", "stomp")} else 20.0
    provider, got = await connect(strict_broker, confirm_timeout=confirm_timeout), []
    binding = Binding(address=address, queue=queue, durable=True)
    consumer = await provider.subscribe(binding, lambda delivery: None)
    await consumer.close()
    count = 1200 if policy == "block" else 60
    futures = [provider.publish(outgoing(address, b"%04d" % number + bytes(2000))) for number in range(count)]
    _, late = await asyncio.wait(futures, timeout=30)
    assert not late
    results = [future.exception() for future in futures]
    assert {type(result) for result in results} <= EXPECTED[policy, protocol]
    if policy == "fail" or (policy, protocol) == ("block", "amqp"):
        assert any(results)
    assert provider.unconfirmed == 0
    # Another address is not full.
    await provider.publish(outgoing(unique))

    def take(delivery):
        got.append(int(delivery.envelope.body[:4]))
        delivery.ack()

    await provider.subscribe(binding, take)
    confirmed = {number for number, result in enumerate(results) if result is None}
    if policy == "drop":
        await until(lambda: strict_management.messages(queue) == 0)
        assert set(got) < confirmed
    else:
        await until(lambda: confirmed <= set(got), lambda: f"{len(confirmed - set(got))} confirmed ones missing")
    for attempt in range(20):
        try:
            await provider.publish(outgoing(address, b"9999"))
            break
        except ProviderError:
            assert attempt < 19
    await until(lambda: 9999 in got)
