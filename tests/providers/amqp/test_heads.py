"""TemplateCache that are written and read at once give what the general code gives, and what the driver reads."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proton import Message, symbol

from aspyx_event.envelope import CE_ID, CE_SOURCE, CE_TYPE, CONTENT_TYPE, header_name
from aspyx_event.exceptions import HeaderError
from aspyx_event.providers.amqp.head_templates import TemplateCache, write_head
from aspyx_event.providers.amqp.sections import decode, encode
from aspyx_event.testing.conformance.rig import make_outgoing

JSON = "application/json"
lengths = st.sampled_from([0, 1, 5, 127, 128, 255, 256, 300])
characters = st.sampled_from(["a", "%", "\0", "\x7f", "é", "ÿ", "Ā", "€", "😀"])
values = st.builds(lambda size, fill: (fill * size)[:size], lengths, characters) | st.text(max_size=8)
names = st.sampled_from([CE_TYPE, CE_SOURCE, "tenant", "session", "header-x", "_AMQ_DUPL_ID", "näme", "n" * 256])


def message(head, body=b"{}", **options):
    options.setdefault("dedup_id", head.get(CE_ID, "") or "d")
    return make_outgoing("a", body, head, **options)


def event(number=0, **headers):
    return {CE_ID: f"id-{number:06}", CE_TYPE: "shop.placed", CONTENT_TYPE: JSON, **headers}


@given(
    st.permutations([CE_ID, CONTENT_TYPE, "tenant", "session"]),
    st.dictionaries(names, values, max_size=5),
    st.lists(st.tuples(values, values, values, st.none() | st.text("abc", min_size=1)), min_size=1, max_size=4),
    st.sampled_from([JSON, "", "x" * 300]),
    st.binary(max_size=300),
)
@settings(max_examples=300, deadline=None)
def test_messages_of_the_same_headers_are_what_the_driver_reads(order, more, drawn, content_type, body):
    for event_id, tenant, dedup, group in drawn:
        known = {CE_ID: event_id, CONTENT_TYPE: content_type, "tenant": tenant, "session": dedup}
        head = {**{name: known[name] for name in order}, **more}
        read = Message()
        read.decode(encode(message(head, body, dedup_id=dedup or "d", key=group, durable=True)))
        assert bytes(read.body) == body
        assert read.durable
        assert (read.id or "") == event_id
        assert str(read.content_type) == (content_type or "None")  # what proton 0.40 makes of a missing one
        assert read.group_id == group
        assert read.properties["_AMQ_DUPL_ID"] == (dedup or "d")
        back = {header_name(name): value for name, value in read.properties.items() if header_name(name) is not None}
        assert back == {name: value for name, value in head.items() if name != CONTENT_TYPE}


def test_the_usual_event_is_written_at_once():
    assert write_head(event(tenant="north"), "d", None) is not None
    assert write_head(event(tenant="north"), "d", "key") is not None
    assert write_head(event(tenant="süd", köder="😀"), "d", "schlüssel") is not None


def test_a_header_that_is_no_unicode_text_is_not_sent():
    with pytest.raises(HeaderError, match="'a'"):
        encode(message(event(tenant="\ud800")))
    with pytest.raises(HeaderError, match="'a'"):
        encode(message(event() | {CONTENT_TYPE: "text/ü"}))


def test_events_that_are_never_alike_end_the_learning_and_the_usual_one_is_learned_again_in_the_end():
    def is_learned(number):
        return write_head(event(**{f"made-up-{number}": "x"}), "d", None) is not None

    learned = [is_learned(number) for number in range(5_000)]
    assert True in learned
    assert sum(learned) < 2_500
    usual = event(tenant="north", region="east")
    for _ in range(200_000):
        if write_head(usual, "d", None) is not None:
            break
    assert write_head(usual, "d", None) is not None


def test_kinds_of_events_whose_heads_are_of_one_length_are_read_at_once():
    templates = TemplateCache()
    for number in range(100):
        data = encode(message(event(number) | {CE_TYPE: f"shop.placed-{number:03}"}))
        assert templates.read(data) == (None if number < 2 else decode(data))
        decode(data, templates)


@pytest.mark.parametrize(
    "head",
    [
        event(tenant="x" * 256),
        event(tenant="ü" * 128),
        event(**{"n" * 256: "x"}),
        {CONTENT_TYPE: JSON},
        {CE_ID: "7"},
        {CE_ID: "", CONTENT_TYPE: JSON},
    ],
)
def test_an_unusual_event_is_left_to_the_general_code(head):
    assert write_head(head, "d", None) is None
    assert decode(encode(message(head))).headers == head


@given(
    st.lists(
        st.tuples(
            st.dictionaries(names, values, max_size=5),
            st.binary(max_size=300),
            st.none() | st.just("key"),
            st.none() | st.integers(1, 100_000),
        ),
        min_size=2,
        max_size=6,
    )
)
@settings(max_examples=300, deadline=None)
def test_a_receiver_that_has_seen_like_messages_reads_what_a_new_one_reads(drawn):
    templates = TemplateCache()
    for number, (more, body, key, ttl) in enumerate(drawn * 2):
        data = encode(message({**event(number), **more}, body, key=key, ttl=ttl, durable=True))
        assert decode(data, templates) == decode(data)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(names, values | st.integers(0, 300) | st.booleans() | st.none(), max_size=5),
            st.binary(max_size=300) | st.text(max_size=20) | st.none(),
            st.none() | st.just(JSON) | st.just("text/plain"),
            st.integers(0, 2),
            st.none() | st.dictionaries(st.just(symbol("x-opt-time")), st.integers(0, 2**60), max_size=1),
        ),
        min_size=2,
        max_size=6,
    ),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_messages_of_the_driver_read_the_same_to_whoever_has_seen_like_ones(drawn, inferred):
    templates = TemplateCache()
    for number, (properties, body, content_type, count, notes) in enumerate(drawn * 2):
        sent = Message(body=body, properties=properties, inferred=inferred, annotations=notes)
        sent.id, sent.subject, sent.creation_time = f"{number:03}", "s", number
        sent.delivery_count = count
        if content_type:
            sent.content_type = content_type
        data = bytes(sent.encode())
        assert decode(data, templates) == decode(data)


@given(st.data(), st.sampled_from([2, 255, 256, 300]))
@settings(max_examples=500, deadline=None)
def test_a_damaged_message_reads_the_same_to_whoever_has_seen_a_sound_one(data, size):
    templates = TemplateCache()
    decode(encode(message(event(1, tenant="north"), b"b" * size, key="k", delay=1.0, priority=3)), templates)
    whole = bytearray(encode(message(event(2, tenant="south"), b"c" * size, key="l", delay=2.0, priority=3)))
    assert templates.read(bytes(whole)) == decode(bytes(whole))
    whole[data.draw(st.integers(0, min(len(whole), 250) - 1))] = data.draw(st.integers(0, 0x7F))
    damaged = bytes(whole[: data.draw(st.just(len(whole)) | st.integers(1, len(whole)))])
    assert decode(damaged, templates) == decode(damaged)


def test_a_further_section_behind_the_body_is_read():
    templates = TemplateCache()
    data = encode(message(event(1)))
    assert decode(data, templates).body == b"{}"
    assert decode(data + b"\x00\x53\x75\xa0\x03two", templates).body == b"{}two"


def test_a_second_message_of_a_kind_is_read_at_once():
    templates = TemplateCache()
    for number in range(2):
        found = templates.read(encode(message(event(number, tenant="north"))))
        assert (found is not None) is bool(number)
        decode(encode(message(event(number, tenant="north"))), templates)


def test_what_is_remembered_of_messages_is_bounded_and_the_latest_kind_is_learned_in_the_end():
    templates = TemplateCache()
    for number in range(1_000):
        data = encode(message(event(number, tenant="x" * (number % 200))))
        assert decode(data, templates) == decode(data)
    latest = event(1, region="west", tenant="x" * 210)
    for _ in range(2_000):
        decode(encode(message(latest)), templates)
    assert templates.read(encode(message(latest))) is not None


def test_the_body_of_a_large_message_is_not_searched_for_its_head():
    templates = TemplateCache()
    decode(encode(message(event(tenant="north"))), templates)
    known, large = (encode(message(event(tenant=tenant), b"x" * 3_000_000)) for tenant in ("north", ""))
    assert templates.read(known) is not None
    started = time.perf_counter()
    for _ in range(20):
        assert templates.read(large) is None
    unknown = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(20):
        large.find(b"\x00\x53\x75", 1_000)
    assert unknown < (time.perf_counter() - started) / 10
