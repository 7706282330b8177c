"""The SEND frame of a message, written in the shorter way where there is one."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stomp.utils import parse_frame

from aspyx_event.envelope import CONTENT_TYPE, Envelope, SendOptions, header_name
from aspyx_event.exceptions import HeaderError
from aspyx_event.providers.base import AddressKind, Binding, Outgoing
from aspyx_event.providers.stomp import sends
from aspyx_event.providers.stomp.frames import encode
from aspyx_event.providers.stomp.sends import send_frame, send_headers
from aspyx_event.testing.conformance.rig import make_outgoing

TEXT = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.text("ab\\:\n\r%", max_size=8))
NAMES = st.sampled_from(["tenant", "receipt", "a:b", "100%s", "content-length", "cloudEvents_id", CONTENT_TYPE, "é"])
MESSAGES = st.builds(
    Outgoing,
    address=TEXT.filter(bool),
    envelope=st.builds(Envelope, st.binary(max_size=50), st.dictionaries(NAMES, TEXT)),
    dedup_id=TEXT.filter(bool),
    kind=st.sampled_from(AddressKind),
    durable=st.booleans(),
    options=st.builds(
        SendOptions,
        key=st.sampled_from([None, None, None, "k"]),
        priority=st.sampled_from([None, None, None, 0, 9]),
        delay=st.sampled_from([0.0, 0.0, 1.5]),
    ),
)


def message(headers: dict[str, str] | None = None, **changes: Any) -> Outgoing:
    fields: dict[str, Any] = {"address": "shop", "body": b"{}", "headers": headers, "dedup_id": "1", **changes}
    return make_outgoing(**fields)


@pytest.fixture(autouse=True)
def _clear() -> Iterator[None]:
    yield
    sends._templates.clear()


@given(MESSAGES, st.lists(TEXT, min_size=8, max_size=8), st.booleans())
def test_a_frame_says_what_the_headers_say(message: Outgoing, values: list[str], again: bool) -> None:
    if again:  # another one that looks like it went before
        headers = dict(zip(message.envelope.headers, values, strict=False))
        send_frame(replace(message, envelope=Envelope(b"before", headers), dedup_id="x"), "0")
    frame = send_frame(message, "17")
    found = parse_frame(frame[:-1])
    expected = {**send_headers(message), "receipt": "17", "content-length": str(len(message.envelope.body))}
    assert (found.cmd, found.headers, found.body) == ("SEND", expected, message.envelope.body)
    user = {header_name(name): value for name, value in found.headers.items() if header_name(name) is not None}
    assert {name: value for name, value in user.items() if name in message.envelope.headers} == message.envelope.headers
    assert sorted(frame.partition(b"\n\n")[0].split(b"\n")) == sorted(
        encode("SEND", {**send_headers(message), "receipt": "17"}, message.envelope.body)
        .partition(b"\n\n")[0]
        .split(b"\n")
    )


def test_messages_that_look_alike_keep_their_own_address_queue_and_durability() -> None:
    binding = Binding(address="shop", queue="shop::billing", durable=True)
    kinds = [
        message({"a": "1"}),
        message({"a": "1"}, address="store"),
        message({"a": "1"}, durable=True),
        message({"a": "1"}, kind=AddressKind.QUEUE),
        message({"a": "1"}, only=binding),
        message({"a": "1"}, key="k"),
        message({"a": "1"}, priority=0),
        message({"a": "1"}, delay=0.5),
        message({"a": "1"}, ttl=60.0),
        message({"b": "1"}),
        message({"a": "1", "b": "2"}),
    ]
    once = [send_frame(one, "1").replace(b"expires", b"") for one in kinds]
    twice = [send_frame(one, "1").replace(b"expires", b"") for one in kinds]
    assert len(set(once)) == len(kinds)
    assert [one[:100] for one in once] == [one[:100] for one in twice]


def test_headers_larger_than_brokers_take_are_refused() -> None:
    send_frame(message({"a": "x" * 60_000}), "1")
    with pytest.raises(HeaderError, match="65536 are the limit"):
        send_frame(message({"a": "é" * 40_000}), "1")


def test_addresses_and_names_that_are_made_up_do_not_fill_the_memory() -> None:
    def send(numbers: range) -> int:
        for number in numbers:
            send_frame(message({f"name-{number}": "x"}, address=f"shop-{number}"), "1")
            send_frame(message({"x" * 5_000: "long"}, address=f"shop-{number}"), "1")
        return tracemalloc.get_traced_memory()[0]

    # Equal steps leave equally full caches; without a bound the second step would double the memory.
    step = 3 * sends._CACHE_LIMIT
    tracemalloc.start()
    try:
        first = send(range(step))
        second = send(range(step, 2 * step))
    finally:
        tracemalloc.stop()
    assert second < 1.5 * first
