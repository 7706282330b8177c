"""Messages beyond the limits, and JSON deeper than anybody reads, become dead letters over every provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from aspyx_event import EventManager, Limits, LocalProvider, event
from aspyx_event.envelope import CE_ID, CONTENT_TYPE, Envelope
from aspyx_event.providers.base import Outgoing

pytestmark = pytest.mark.broker
DEEP = b"[" * 50_000 + b"]" * 50_000

BAD: dict[str, tuple[bytes, dict[str, str], str]] = {
    "body": (b"x" * 200_001, {}, "LimitExceededError"),
    "headers": (b"{}", {f"h{number}": "" for number in range(40)}, "LimitExceededError"),
    "header-bytes": (b"{}", {"long": "x" * 5000}, "LimitExceededError"),
    "deep": (DEEP, {}, "DecodeError"),
    "deep-field": (b'{"number": 1, "rest": ' + DEEP + b"}", {}, "DecodeError"),
    "no-json": (b"\xff\x00", {}, "DecodeError"),
}


@pytest.fixture(params=["local", "amqp", "stomp"])
def protocol(request):
    return request.param


async def test_what_is_too_large_or_too_deep_is_a_dead_letter_and_the_next_event_is_handled(
    protocol, request, unique, until
):
    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int
        rest: Any = None

    if protocol == "local":
        provider = LocalProvider()
    else:
        provider = request.getfixturevalue("make")(request.getfixturevalue("broker"))
    handled = []
    limits = Limits(body=200_000, headers=30, header_bytes=4000)
    async with EventManager(provider, limits=limits) as manager:
        name = f"{unique}.listener"
        await manager.subscribe(Order, handled.append, name=name, inline=True)
        for what, (body, headers, _) in BAD.items():
            envelope = Envelope(body, {CE_ID: what, CONTENT_TYPE: "application/json", **headers})
            await provider.publish(Outgoing(address=f"{unique}.order", envelope=envelope, dedup_id=what, durable=True))
        await manager.send_event(Order(2))
        await until(lambda: handled)
        letters = {letter.event_id: letter for letter in await manager.dead_letters.list(name)}
        assert {what: letter.cause.type.rpartition(".")[2] for what, letter in letters.items()} == {
            what: error for what, (_, _, error) in BAD.items()
        }
        for what, (body, headers, _) in BAD.items():
            assert letters[what].body == body
            assert headers.items() <= letters[what].headers.items()
            assert letters[what].attempts == 1
    assert handled == [Order(2)]
