"""The record of an event: canonical JSON, and a hash of what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.database import EventStatus, MemoryEventStore, SqlEventStore, StoredEvent
from aspyx_event.testing.conformance.stores import NOON, ids_of, stored

EVENT = stored("1", owner="sales", tags=frozenset({"b", "a"}), headers={"tenant": "a"}, body=b'{"b": 1, "a": [true]}')


def test_the_json_is_canonical_and_holds_the_payload_as_an_object():
    assert EVENT.json() == (
        '{"causation_id":"","correlation_id":"","data":{"a":[true],"b":1},"headers":{"tenant":"a"},"id":"1","owner":"sales",'
        '"source":"shop","status":"unpublished","tags":["a","b"],"time":"2025-03-30T12:00:00.123456Z",'
        '"type":"shop.order-placed"}'
    )
    assert EVENT.json() == replace(EVENT, position=5).json()


def test_the_hash_is_the_same_for_what_says_the_same():
    same = replace(
        EVENT,
        id="2",
        time=NOON + timedelta(days=1),
        status=EventStatus.PUBLISHED,
        tags=frozenset({"a", "b"}),
        headers={},
        body=b'{"a":[true],"b":1}',
        correlation_id="x",
    )
    assert same.content_hash == EVENT.content_hash
    assert len(EVENT.content_hash) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"type": "other"},
        {"owner": "other"},
        {"tags": frozenset({"a"})},
        {"body": b'{"b": 2, "a": [true]}'},
        {"body": b"x"},
    ],
)
def test_the_hash_differs_for_what_says_something_else(change):
    assert replace(EVENT, **change).content_hash != EVENT.content_hash


@pytest.mark.parametrize("body", [b"", b"\xff", b"no json", b"NaN", b'{"a": Infinity}', b"[" * 100_000])
def test_a_body_that_is_no_json_is_shown_in_base64(body):
    shown = json.loads(replace(EVENT, body=body).json())
    assert "data" not in shown
    assert isinstance(shown["data_base64"], str)


@given(body=st.binary(max_size=50), text=st.text(max_size=20), tags=st.frozensets(st.text(max_size=5), max_size=3))
def test_every_record_has_json_and_a_hash(body, text, tags):
    event = StoredEvent(id="1", type=text, time=NOON, owner=text, tags=tags, headers={text: text}, body=body)
    shown = json.loads(event.json())
    assert (shown["type"], shown["tags"], shown["headers"]) == (text, sorted(tags), {text: text})
    assert event.content_hash == replace(event, id="2").content_hash


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request):
    kind = request.param
    return MemoryEventStore() if kind == "memory" else SqlEventStore(request.getfixturevalue(f"{kind}_url"))


async def test_events_are_created_read_updated_deleted_and_cleared(store):
    await store.start()
    await store.create(EVENT)
    await store.create(stored("2"))
    assert await store.read("1") == EVENT
    await store.update(replace(EVENT, status=EventStatus.PUBLISHED))
    assert (await store.read("1")).status is EventStatus.PUBLISHED
    assert await ids_of(store) == ["1", "2"]
    await store.delete("1")
    assert await store.count() == 1
    assert await store.find().purge() == 1
    assert await ids_of(store) == []
    await store.stop()
