"""A hundred thousand events: written in sensible time, read without holding them."""

from __future__ import annotations

import resource
import tracemalloc
from pathlib import Path

import pytest

from aspyx_event.database import MemoryEventStore, SqlEventStore
from aspyx_event.exceptions import DuplicateStoredEventError
from aspyx_event.testing.conformance.stores import ids_of, stored

COUNT = 100_000
BODY = 400


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
async def filled(url):
    store = SqlEventStore(url)
    await store.start()
    for start in range(0, COUNT, 1_000):
        await store.create_all([stored(str(number), body=b"x" * BODY) for number in range(start, start + 1_000)])
    yield store
    await store.stop()


async def test_a_hundred_thousand_events_are_read_a_page_at_a_time(filled):
    assert await filled.count() == COUNT
    count = size = base = most = 0
    async for one in filled:
        assert one.id == str(count)
        count, size = count + 1, size + len(one.body)
        if count % 5_000 == 0:
            base, most = base or resident(), max(most, resident())
    assert (count, size) == (COUNT, COUNT * BODY)
    assert most - base < size / 2, f"{most - base} bytes more in memory, for {size} bytes of bodies"


async def test_large_bodies_make_small_pages(sqlite_url):
    store = SqlEventStore(sqlite_url)
    await store.start()
    for number in range(150):
        await store.create(stored(str(number), body=bytes(1_000_000 if number >= 100 else 10)))
    tracemalloc.start()
    try:
        count = 0
        async for _ in store:
            count += 1
        # After the first page, which nobody could know, there are a few in memory.
        async for _ in store.find(after=120):
            count += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 180
    assert peak < 130_000_000
    await store.stop()


async def test_a_bounded_store_forgets_the_oldest():
    store = MemoryEventStore(capacity=3)
    for number in range(5):
        await store.create(stored(str(number)))
    assert await ids_of(store) == ["2", "3", "4"]
    assert len(store) == 3
    await store.create(stored("0"))
    with pytest.raises(DuplicateStoredEventError):
        await store.create(stored("4"))
    assert await ids_of(store) == ["3", "4", "0"]
    for number in range(10_000):
        await store.create(stored(f"more {number}"))
    assert await ids_of(store) == ["more 9997", "more 9998", "more 9999"]
