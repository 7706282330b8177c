"""Sends to more addresses than a session has handles for links."""

from __future__ import annotations

import asyncio

import pytest

from aspyx_event.providers.amqp import client as amqp_client
from aspyx_event.providers.base import AddressKind, Binding

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("in_parallel", [True, False])
async def test_idle_senders_are_closed_and_an_address_in_use_keeps_its_order(
    connect, outgoing, unique, until, monkeypatch, in_parallel
):
    """Of many addresses, a bounded number of links stays; the address that is used again and again keeps its link."""
    monkeypatch.setattr(amqp_client, "_MAX_SENDERS", 10)
    provider, got, futures = await connect(), [], []

    def take(delivery):
        got.append(int(delivery.envelope.body))
        delivery.ack()

    for address in (unique, f"{unique}.rare"):
        await provider.subscribe(Binding(address=address, queue=f"{address}.q", durable=True), take)
    client = provider._client
    used = client._sender(unique, AddressKind.TOPIC)
    for number in range(200):
        futures.append(provider.publish(outgoing(unique, b"%d" % (2 * number))))
        futures.append(provider.publish(outgoing(f"{unique}.made-up.{number}")))
        if not number % 50:
            futures.append(provider.publish(outgoing(f"{unique}.rare", b"%d" % (2 * number + 1))))
        if not in_parallel:
            await asyncio.gather(*futures)
            assert len(client._senders) <= 10
            assert client._senders[unique] is used
    await asyncio.gather(*futures)
    await provider.publish(outgoing(f"{unique}.last"))
    expected = [2 * number for number in range(200)]
    await until(lambda: len(got) == 204)
    assert [number for number in got if not number % 2] == expected
    assert [number for number in got if number % 2] == [1, 101, 201, 301]
    if not in_parallel:
        await until(lambda: len(client._supervisor.wire._links) <= 13)
        assert len(client._links) <= 13
