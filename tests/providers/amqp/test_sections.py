"""The codec of message sections, compared with proton.Message in both directions."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proton import Data, Message, byte, char, float32, int32, short, symbol, timestamp, ubyte, uint, ulong, ushort

from aspyx_event.envelope import CE_ID, CE_PREFIX, CE_PREFIX_COLON, CONTENT_TYPE, header_name
from aspyx_event.exceptions import HeaderError
from aspyx_event.providers.amqp.sections import decode, encode
from aspyx_event.testing.conformance.rig import make_outgoing

# Both length encodings of strings matter: up to 255 bytes and more.
texts = st.one_of(st.text(max_size=20), st.text(min_size=250, max_size=300))
# Names that `send_event` refuses are left out: attributes of the event itself, in either spelling.
names = st.text(min_size=1, max_size=20).filter(
    lambda name: name.lower() != CONTENT_TYPE and not name.startswith((CE_PREFIX, CE_PREFIX_COLON))
)
headers = st.dictionaries(names, texts, max_size=20)
bodies = st.one_of(st.binary(max_size=40), st.binary(min_size=254, max_size=258))


def message(body=b"", head=None, **options):
    options.setdefault("dedup_id", "d-1")
    return make_outgoing("a", body, head, **options)


def by_driver(data: bytes) -> Message:
    read = Message()
    read.decode(data)
    return read


@given(bodies, headers, texts, st.sampled_from(["", "application/json", "x" * 300]))
@settings(max_examples=200, deadline=None)
def test_what_is_sent_is_what_the_driver_reads(body, head, dedup, content_type):
    head = {**head, CONTENT_TYPE: content_type}
    read = by_driver(encode(message(body, head, dedup_id=dedup)))
    assert bytes(read.body) == body
    assert str(read.content_type) == (content_type or "None")  # proton 0.40: None reads as symbol('None')
    assert read.properties["_AMQ_DUPL_ID"] == dedup
    back = {header_name(name): value for name, value in read.properties.items() if header_name(name) is not None}
    assert back == {name: value for name, value in head.items() if name != CONTENT_TYPE}


@given(
    durable=st.booleans(),
    priority=st.none() | st.integers(0, 9),
    ttl=st.none() | st.floats(0.001, 4_000_000),
    delay=st.just(0.0) | st.floats(0.001, 10_000_000),
    key=st.none() | texts.filter(lambda text: text and "\0" not in text),  # the driver ends a group id there
    event_id=st.just("") | texts,
)
@settings(max_examples=200, deadline=None)
def test_the_options_of_a_message_are_what_the_driver_reads(durable, priority, ttl, delay, key, event_id):
    head = {CE_ID: event_id} if event_id else {}
    data = encode(message(b"b", head, durable=durable, priority=priority, ttl=ttl, delay=delay, key=key))
    read = by_driver(data)
    assert read.durable is durable
    assert read.priority == (4 if priority is None else priority)
    assert read.ttl == pytest.approx(0 if ttl is None else ttl, abs=0.001)
    assert (read.annotations or {}).get("x-opt-delivery-delay", 0) == max(round(delay * 1000), 1 if delay else 0)
    assert read.group_id == key
    assert read.id == (event_id or None)


def test_a_time_to_live_beyond_the_header_s_range_becomes_a_moment():
    import time

    read = by_driver(encode(message(ttl=90 * 86_400.0)))
    assert read.ttl == 0
    assert read.expiry_time == pytest.approx(time.time() + 90 * 86_400, abs=60)


def test_a_header_that_is_no_unicode_text_is_refused():
    with pytest.raises(HeaderError, match="'a'"):
        encode(message(b"", {"name": "\ud800"}))


@given(bodies, headers, st.none() | st.sampled_from(["application/json", "text/plain; charset=utf-8"]))
@settings(max_examples=200, deadline=None)
def test_a_message_of_the_driver_with_bytes_and_texts_is_read_unchanged(body, head, content_type):
    sent = Message(body=body, properties=dict(head), inferred=True)
    if content_type:
        sent.content_type = content_type
    received = decode(bytes(sent.encode()))
    expected = {header_name(name): value for name, value in head.items() if header_name(name) is not None}
    if content_type:
        expected[CONTENT_TYPE] = content_type
    assert received.body == body
    if "_AMQ_CONTENT_TYPE" not in head and "JMS_AMQP_ContentType" not in head:
        assert received.headers == expected
    assert received.delivery_count == 0


simple = st.one_of(
    st.none(),
    st.booleans(),
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**31).map(uint),
    st.integers(0, 2**62).map(ulong),
    st.integers(-(2**31), 2**31 - 1).map(int32),
    st.integers(-128, 127).map(byte),
    st.integers(0, 255).map(ubyte),
    st.integers(-(2**15), 2**15 - 1).map(short),
    st.integers(0, 2**16 - 1).map(ushort),
    st.integers(-(2**40), 2**50).map(timestamp),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(float32),
    st.characters(exclude_categories=["Cs"]).map(char),
    st.uuids(),
    st.binary(max_size=300),
    st.text("abc", max_size=10).map(symbol),
)
values = st.recursive(
    simple,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(values, st.dictionaries(names, simple, max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_a_foreign_sender_writes_arrives_as_bytes_and_texts(body, properties, inferred):
    sent = Message(body=body, properties=properties, inferred=inferred)
    received = decode(bytes(sent.encode()))
    assert isinstance(received.body, bytes)
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in received.headers.items())
    if isinstance(body, str):
        assert received.body == body.encode()
    elif isinstance(body, bytes):
        assert received.body == body
    elif body is None:
        assert received.body == b""
    else:
        json.loads(received.body)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (None, ""),
        (0, "0"),
        (-7, "-7"),
        (2**40, str(2**40)),
        (ulong(0), "0"),
        (ubyte(200), "200"),
        (byte(-3), "-3"),
        (int32(-70_000), "-70000"),
        (timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z"),
        (timestamp(2**60), str(2**60)),
        (1.5, "1.5"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", "AP8="),
        (symbol("s"), "s"),
    ],
)
def test_a_typed_property_arrives_as_text(value, text):
    sent = Message(body=b"", properties={"p": value, "q": "plain"}, inferred=True)
    assert decode(bytes(sent.encode())).headers == {"p": text, "q": "plain"}


def test_a_list_as_body_arrives_as_json():
    sent = Message(body=[1, "two", {"three": None}, True])
    assert json.loads(decode(bytes(sent.encode())).body) == [1, "two", {"three": None}, True]


def test_a_body_in_several_data_sections_arrives_joined():
    start = encode(message(b"one"))
    assert decode(start + b"\x00\x53\x75\xa0\x03two").body == b"onetwo"


def test_a_large_body_is_read_and_written():
    body = bytes(range(256)) * 4096
    assert bytes(by_driver(encode(message(body))).body) == body
    assert decode(encode(message(body))).body == body


def test_a_message_with_nothing_in_it_arrives_empty():
    assert decode(bytes(Message().encode())) == (b"", {}, 0, "")


def test_the_colon_spelling_of_event_attributes_is_read_as_the_other_one():
    sent = Message(body=b"", properties={"cloudEvents:id": "7"}, inferred=True)
    assert decode(bytes(sent.encode())).headers == {CE_ID: "7"}


def test_what_artemis_adds_to_a_message_from_stomp_is_left_out_and_the_content_type_kept():
    junk = {
        "destination": "a",
        "content-length": "2",
        "JMSXDeliveryCount": None,
        "_AMQ_CONTENT_TYPE": "application/json",
        "subscription": "1",
        "tenant": "t",
    }
    received = decode(bytes(Message(body=b"{}", properties=junk, inferred=True).encode()))
    assert received.headers == {"tenant": "t", CONTENT_TYPE: "application/json"}


def test_a_delivery_count_is_read():
    sent = Message(body=b"x", inferred=True)
    sent.delivery_count = 3
    assert decode(bytes(sent.encode())).delivery_count == 3


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_bytes_that_are_no_message_never_raise(data):
    assert isinstance(decode(data).body, bytes)


@given(bodies.filter(len), headers, st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_message_never_raises(body, head, data):
    whole = bytearray(encode(message(body, head, key="k", ttl=1)))
    at = data.draw(st.integers(0, min(len(whole), 400) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    received = decode(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    assert all(isinstance(value, str) for value in received.headers.values())


def test_described_and_array_values_do_not_stop_a_message():
    from proton import UNDESCRIBED, Array, Described

    for odd in (Described(symbol("x"), "y"), Array(UNDESCRIBED, Data.INT, 1, 2)):
        received = decode(bytes(Message(body=odd, properties={"a": "b"}).encode()))
        assert received.headers == {"a": "b"}
        json.loads(received.body)


@pytest.mark.parametrize(
    "damaged",
    [
        b"\x00\x53\x74\x52\x07",  # application properties that are no map
        b"\x00\x53\x70\xc0\x08\x05\x40\x40\x40\x40\xa1\x01x",  # a delivery count that is no number
    ],
)
def test_a_section_of_another_type_than_it_has_never_raises(damaged):
    received = decode(damaged + b"\x00\x53\x75\xa0\x01x")
    assert received.body
    assert received.headers == {}
