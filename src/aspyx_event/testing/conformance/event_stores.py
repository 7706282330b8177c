"""The contract of an event store, as tests that can be run against any event store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ...database.base import EventStore
from ...database.stored_event import EventStatus, StoredEvent
from ...exceptions import DeclarationError, DuplicateStoredEventError, UnknownStoredEventError
from .stores import NOON, ids_of, store_contract, stored


class EventStoreConformance:
    """Base class of a test class; implement `make_store`.

    Attributes:
        persistent: Stored events are there for the next store in the same place.
        test_timeout: Seconds for a test.
    """

    persistent: bool = True
    test_timeout: float = 60.0

    def make_store(self) -> EventStore:
        """Return a new store that is not started. All stores of a test share a place that is empty before the test."""
        raise NotImplementedError

    async def filled(self, *events: StoredEvent) -> EventStore:
        """Return a started store that contains *events*."""
        store = self.make_store()
        await store.start()
        for event in events:
            await store.create(event)
        return store

    @store_contract
    async def test_read(self) -> None:
        """A stored event is read back with all its fields."""
        event = stored(
            "1",
            type="shop.größe",
            time=NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
            source="/shop/1?a=b",
            status=EventStatus.REFUSED,
            owner="sales",
            tags=frozenset({"money", "a b", "größe"}),
            correlation_id="c",
            causation_id="0",
            headers={"tenant": "a", "größe": "\u2603 \x00 \ud800", "": "", "x" * 300: "y" * 3000},
            body=bytes(range(256)),
            address="shop.topic",
            options={"durable": True, "priority": 9, "delay": 0.5},
        )
        store = await self.filled(event)
        event_read = await store.read("1")
        assert event_read == event
        assert (event_read.headers, event_read.body, event_read.options) == (event.headers, event.body, event.options)
        assert event_read.time == NOON
        assert event_read.time.utcoffset() == timedelta(0)
        assert event_read.position > 0
        assert (event_read.json(), event_read.content_hash) == (event.json(), event.content_hash)
        await store.stop()

    @store_contract
    async def test_read_minimal_event(self) -> None:
        """An event with only its required fields is read back unchanged."""
        event = StoredEvent(id="1", type="t", time=NOON)
        store = await self.filled(event)
        assert await store.read("1") == event
        assert await ids_of(store.find(owner="", correlation_id="", causation_id="")) == ["1"]
        await store.stop()

    @store_contract
    async def test_large_body(self) -> None:
        """A body of 3 MB is stored."""
        event = stored("1", body=b"\x00\xff" * 1_500_000)
        store = await self.filled(event, stored("2"))
        assert (await store.read("1")).body == event.body
        assert await ids_of(store) == ["1", "2"]
        await store.stop()

    @store_contract
    async def test_duplicate_id(self) -> None:
        """A second event with the same id is refused."""
        store = await self.filled(stored("1", owner="first"))
        with pytest.raises(DuplicateStoredEventError):
            await store.create(stored("1", owner="second"))
        assert (await store.read("1")).owner == "first"
        assert await store.count() == 1
        await store.stop()

    @store_contract
    async def test_batch_is_atomic(self) -> None:
        """A batch is stored completely or not at all."""
        store = await self.filled(stored("2"))
        with pytest.raises(DuplicateStoredEventError):
            await store.create_all([stored("1", tags=frozenset({"x"})), stored("2"), stored("3")])
        with pytest.raises(DuplicateStoredEventError):
            await store.create_all([stored("4"), stored("4")])
        assert await ids_of(store) == ["2"]
        assert await ids_of(store.find(tag="x")) == []
        await store.create_all([])
        await store.create_all([stored("3"), stored("1")])
        assert await ids_of(store) == ["2", "3", "1"]
        await store.stop()

    @store_contract
    async def test_unknown_id(self) -> None:
        """Reading, updating and deleting an unknown id raises UnknownStoredEventError."""
        store = await self.filled(stored("1"))
        for work in (store.read("2"), store.update(stored("2")), store.delete("2")):
            with pytest.raises(UnknownStoredEventError, match="'2'"):
                await work
        assert await store.set_status(["2", "1"], EventStatus.PUBLISHED) == 1
        await store.stop()

    @store_contract
    async def test_update(self) -> None:
        """An update replaces all fields and keeps the position."""
        store = await self.filled(stored("1", tags=frozenset({"a", "b"})), stored("2"))
        changed = stored("1", type="other", tags=frozenset({"b", "c"}), body=b"new", headers={"a": "b"})
        await store.update(changed)
        assert await store.read("1") == changed
        assert await ids_of(store) == ["1", "2"]
        assert [await ids_of(store.find(tag=tag)) for tag in "abc"] == [[], ["1"], ["1"]]
        await store.stop()

    @store_contract
    async def test_delete_and_create(self) -> None:
        """A deleted event can be stored again and gets a new, highest position."""
        store = await self.filled(*(stored(str(number), tags=frozenset({"x"})) for number in range(4)))
        before = (await store.read("3")).position
        await store.delete("3")
        await store.delete("1")
        assert await ids_of(store.find(tag="x")) == ["0", "2"]
        again = await store.create(stored("1", tags=frozenset({"x"})))
        # Also if the last event was deleted: a reader at its position would never see the new event.
        assert again.position > before
        assert await ids_of(store) == await ids_of(store.find(tag="x")) == ["0", "2", "1"]
        await store.stop()

    @store_contract
    async def test_headers_are_copied(self) -> None:
        """Changes to headers by a caller do not change the store."""
        headers = {"a": "b"}
        store = await self.filled(stored("1", headers=headers))
        headers["a"] = "changed"
        (await store.read("1")).headers["a"] = "changed"  # type: ignore[index]
        async for event in store:
            event.headers["a"] = "changed"  # type: ignore[index]
        assert (await store.read("1")).headers == {"a": "b"}
        await store.stop()

    @store_contract
    async def test_criteria(self) -> None:
        """Each criterion of `find` selects events, alone and combined."""
        hour = timedelta(hours=1)
        store = await self.filled(
            stored("1", type="a", time=NOON - hour, owner="x", tags=frozenset({"t", "u"}), correlation_id="c"),
            stored("2", type="b", owner="x", tags=frozenset({"u"}), causation_id="1", correlation_id="c"),
            stored("3", type="a", time=NOON + hour, status=EventStatus.PUBLISHED, causation_id="1"),
        )
        for criteria, expected in (
            ({}, ["1", "2", "3"]),
            ({"type": "a"}, ["1", "3"]),
            ({"type": ("a", "b")}, ["1", "2", "3"]),
            ({"type": "A"}, []),
            ({"since": NOON}, ["2", "3"]),
            ({"until": NOON}, ["1"]),
            ({"since": NOON, "until": NOON + timedelta(microseconds=1)}, ["2"]),
            ({"since": NOON.astimezone(timezone(-3 * hour))}, ["2", "3"]),
            ({"owner": "x"}, ["1", "2"]),
            ({"tag": "t"}, ["1"]),
            ({"tag": "u"}, ["1", "2"]),
            ({"tag": "%"}, []),
            ({"correlation_id": "c"}, ["1", "2"]),
            ({"causation_id": "1"}, ["2", "3"]),
            ({"status": EventStatus.PUBLISHED}, ["3"]),
            ({"status": "unpublished"}, ["1", "2"]),
            ({"owner": "x", "tag": "u", "type": "b"}, ["2"]),
            ({"limit": 2}, ["1", "2"]),
            ({"limit": 0}, []),
        ):
            query = store.find(**criteria)
            assert await ids_of(query) == expected, criteria
            assert await query.count() == len(expected) or "limit" in criteria, criteria
        second = (await store.read("2")).position
        assert await ids_of(store.find(after=second)) == ["3"]
        await store.stop()

    @store_contract
    async def test_invalid_criteria(self) -> None:
        """Invalid criteria raise a DeclarationError."""
        store = await self.filled()
        for criteria in (
            {"since": datetime(2025, 3, 30)},  # noqa: DTZ001  the error to test
            {"status": "lost"},
            {"limit": -1},
            {"type": ()},
            {"type": 5},
            {"type": int},
        ):
            with pytest.raises(DeclarationError):
                store.find(**criteria)
        with pytest.raises(DeclarationError):
            await store.create("not an event")  # type: ignore[arg-type]
        await store.stop()

    @store_contract
    async def test_order_across_pages(self) -> None:
        """Many events are read in order of their positions, across pages."""
        store = await self.filled()
        await store.create_all(
            [stored(f"{number}", tags=frozenset({"even"} if number % 2 == 0 else ())) for number in range(2_345)]
        )
        assert await ids_of(store) == [str(number) for number in range(2_345)]
        assert await ids_of(store.find(tag="even", limit=1_111)) == [str(number) for number in range(0, 2_222, 2)]
        positions = [event.position async for event in store]
        assert positions == sorted(set(positions))
        await store.stop()

    @store_contract
    async def test_iteration_ends(self) -> None:
        """An iteration ends even if an event is stored for each event read."""
        store = await self.filled(*(stored(str(number)) for number in range(3)))
        query, seen = store.find(), []
        async for event in query:
            seen.append(event.id)
            await store.create(stored(f"after {event.id}"))
        assert seen == ["0", "1", "2"]
        assert len(await ids_of(query)) == 6
        await store.stop()

    @store_contract
    async def test_iteration_can_be_left(self) -> None:
        """An iteration may be left early."""
        store = await self.filled(*(stored(str(number)) for number in range(3)))
        async for event in store:
            assert event.id == "0"
            break
        await store.delete("0")
        assert await ids_of(store) == ["1", "2"]
        await store.stop()

    @store_contract
    async def test_purge(self) -> None:
        """A purge deletes the events that were selected."""
        store = await self.filled()
        await store.create_all(
            [stored(f"{number}", type=f"t{number % 2}", tags=frozenset({"x"})) for number in range(2_100)]
        )
        assert await store.find("t0").purge() == 1_050
        assert await store.count() == await store.find(tag="x").count() == 1_050
        assert await store.find("t0").purge() == 0
        await store.stop()

    @store_contract
    async def test_concurrent_writers(self) -> None:
        """Concurrent writers do not lose or reorder their events."""
        store = await self.filled()
        await asyncio.gather(*(_write(store, writer, 5) for writer in range(8)))
        ids = await ids_of(store)
        assert len(ids) == 400
        for writer in range(8):
            written = [event_id for event_id in ids if event_id.startswith(f"{writer}-")]
            assert written == [f"{writer}-{batch}-{number}" for batch in range(5) for number in range(10)]
        await store.stop()

    @store_contract
    async def test_following_positions(self) -> None:
        """A reader that follows the positions misses no event: events become visible in order of their positions."""
        first = await self.filled()
        stores = [first] if not self.persistent else [first, *[await self.filled() for _ in range(3)]]
        writing = asyncio.gather(*(_write(store, number, 40) for number, store in enumerate(stores)))
        seen: list[str] = []
        after, done = 0, False
        while not done:
            done = writing.done()  # then this is the last pass
            async for event in first.find(after=after):
                seen.append(event.id)
                after = event.position
            await asyncio.sleep(0)
        assert seen == await ids_of(first)
        assert len(seen) == 400 * len(stores)
        for store in stores:
            await store.stop()

    @store_contract
    async def test_persistent(self) -> None:
        """Stored events are there for the next store in the same place."""
        if not self.persistent:
            return
        first, second = await self.filled(stored("1")), await self.filled(stored("2"))
        assert await ids_of(first) == await ids_of(second) == ["1", "2"]
        await first.stop()
        await second.stop()
        third = await self.filled(stored("3"))
        assert await ids_of(third) == ["1", "2", "3"]
        await third.stop()

    def test_several_loops(self) -> None:
        """A script may call it with `asyncio.run`, beside the loop of the manager that started it."""
        store = self.make_store()
        asyncio.run(store.start())
        asyncio.run(store.create_all([stored("1")]))
        assert asyncio.run(ids_of(store)) == ["1"]
        asyncio.run(store.stop())
        asyncio.run(store.stop())
        if self.persistent:
            assert asyncio.run(store.count()) == 1

    @store_contract
    async def test_restart_store(self) -> None:
        """Starting and stopping are idempotent, and a stopped store can be started again."""
        store = await self.filled(stored("1"))
        await store.stop()
        await store.stop()
        await store.start()
        await store.start()
        await store.create(stored("2"))
        assert (await ids_of(store))[-1] == "2"
        await store.stop()

    @store_contract
    async def test_set_status(self) -> None:
        """Setting the status changes nothing else."""
        event = stored("1", tags=frozenset({"a"}), headers={"a": "b"})
        store = await self.filled(event)
        assert await store.set_status([], EventStatus.PUBLISHED) == 0
        assert await store.set_status(["1"], EventStatus.PUBLISHED) == 1
        event_read = await store.read("1")
        assert event_read == replace(event, status=EventStatus.PUBLISHED)
        assert event_read.content_hash == event.content_hash
        await store.stop()


async def _write(store: EventStore, writer: int, batches: int) -> None:
    for batch in range(batches):
        await store.create_all([stored(f"{writer}-{batch}-{number}") for number in range(10)])
