"""A locked, lost or killed database is a typed error to the sender, and loses no event that was confirmed."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from support_core import Recorder, eventually, run_program

from aspyx_event import DeclarationError, EventManager, LocalProvider, event
from aspyx_event.database import SqlEventStore, SqlInboxStore, StoredEvent
from aspyx_event.exceptions import EventStoreError, MissingDriverError, StoreRefusedError, StoreUnavailableError
from aspyx_event.testing.conformance.stores import NOON, ids_of, stored


@event(name="store.order", durable=True)
@dataclass
class Order:
    number: int


def file_of(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


async def numbers(found) -> list[int]:
    return [int(one.body.split(b":")[1].rstrip(b"}")) async for one in found]


async def send(manager: EventManager, *chosen: int) -> list[int]:
    """Send one event after the other; return those that were confirmed. Any error but a store's is raised."""
    confirmed = []
    for number in chosen:
        try:
            await manager.send_event(Order(number))
        except StoreUnavailableError:
            continue
        confirmed.append(number)
    return confirmed


async def test_a_locked_database_is_an_error_to_the_sender_and_nothing_is_sent(sqlite_url):
    seen, store = Recorder(), SqlEventStore(sqlite_url, timeout=2.0)
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        await manager.subscribe(Order, seen)
        confirmed = await send(manager, 1, 2)
        other = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="database is locked"):
            await manager.send_event(Order(3))
        # Reading goes on: who holds the lock only keeps others from writing.
        assert await numbers(manager.store) == [1, 2]
        other.execute("ROLLBACK")
        other.close()
        confirmed += await send(manager, 4)
        await eventually(lambda: len(seen.handled) == 3)
        assert await numbers(manager.store.find(status="published")) == confirmed == [1, 2, 4]
        assert await manager.store.count() == 3
    assert [one.number for one in seen.handled] == confirmed


async def test_a_short_lock_is_waited_for(sqlite_url):
    async with EventManager(LocalProvider(), store=SqlEventStore(sqlite_url), persist=True) as manager:
        await manager.send_event(Order(1))
        other = sqlite3.connect(file_of(sqlite_url), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
        release.start()
        await manager.send_event(Order(2))
        release.join()
        other.close()
        assert await numbers(manager.store) == [1, 2]


async def test_a_database_file_that_vanishes_is_noticed_before_anything_is_lost(sqlite_url):
    seen, store = Recorder(), SqlEventStore(sqlite_url)
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        await manager.subscribe(Order, seen)
        assert await send(manager, 1) == [1]
        kept = [
            path.rename(path.with_name(f"kept-{path.name}")) for path in file_of(sqlite_url).parent.glob("events.db*")
        ]
        with pytest.raises(StoreUnavailableError, match="removed or replaced"):
            await manager.send_event(Order(2))
        # From then on it writes where others can read it.
        assert await send(manager, 3) == [3]
        assert await numbers(manager.store) == await numbers(SqlEventStore(sqlite_url)) == [3]
        await eventually(lambda: len(seen.handled) == 2)
    assert [one.number for one in seen.handled] == [1, 3]
    assert kept


async def test_a_database_that_is_none_is_refused_at_start(tmp_path):
    (tmp_path / "events.db").write_bytes(b"this is no database, but a letter to the editor. " * 100)
    manager = EventManager(LocalProvider(), store=SqlEventStore(f"sqlite:///{tmp_path}/events.db"), persist=True)
    with pytest.raises(StoreRefusedError, match="not a database"):
        await manager.start()
    with pytest.raises(StoreUnavailableError, match="unable to open"):
        await SqlEventStore(f"sqlite:///{tmp_path}/missing/events.db").start()
    assert not manager.running


def test_what_cannot_be_opened_leaves_no_thread_behind_that_talks_to_a_closed_loop(tmp_path, monkeypatch):
    complaints = []
    monkeypatch.setattr(threading, "excepthook", lambda found: complaints.append(found.exc_value))
    before = set(threading.enumerate())

    async def fail() -> None:
        with pytest.raises(StoreUnavailableError):
            await SqlEventStore(f"sqlite:///{tmp_path}/missing/events.db").start()
        own = set(threading.enumerate()) - before
        assert not [one for one in own if "connection_worker" in one.name], own

    for _ in range(20):
        asyncio.run(fail())
    assert not complaints


async def test_a_manager_starts_when_its_database_is_there_at_last(sqlite_url):
    manager = EventManager(LocalProvider(), store=SqlEventStore(sqlite_url), persist=True)
    file_of(sqlite_url).mkdir()
    with pytest.raises(EventStoreError):
        await manager.start()
    with pytest.raises(EventStoreError):
        await manager.send_event(Order(1))
    file_of(sqlite_url).rmdir()
    await manager.send_event(Order(2))
    assert await numbers(manager.store) == [2]
    await manager.stop()


async def test_a_killed_server_is_an_error_to_the_senders_and_loses_nothing_confirmed(own_postgresql):
    seen, store = Recorder(), SqlEventStore(own_postgresql.url(), timeout=2.0)
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        await manager.subscribe(Order, seen)
        confirmed = await send(manager, *range(5))
        under_way = [manager.send_event(Order(number)) for number in range(100, 3_100)]
        await eventually(lambda: len(seen.handled) > 5)
        await asyncio.to_thread(own_postgresql.kill)
        results = await asyncio.gather(*under_way, return_exceptions=True)
        assert {type(one) for one in results} <= {type(None), StoreUnavailableError}
        confirmed += [number for number, result in enumerate(results, 100) if result is None]
        with pytest.raises(StoreUnavailableError):
            await manager.send_event(Order(5))
        await asyncio.to_thread(own_postgresql.start)
        confirmed += await send(manager, 6, 7)
        assert confirmed[-2:] == [6, 7]
        await eventually(lambda: seen.handled[-1].number == 7)
        in_store = await numbers(manager.store)
        # Sent and confirmed is stored, in the order of sending. An answer may have died with the server: what was not
        # confirmed may be there too, but was delivered only if it is.
        assert [one for one in in_store if one in set(confirmed)] == confirmed
        assert in_store == [*range(5), *range(100, 100 + len(in_store) - 7), 6, 7]
        assert {one.number for one in seen.handled} <= set(in_store)


async def test_a_server_that_is_silent_is_given_up_in_time(own_postgresql):
    store = SqlEventStore(own_postgresql.url(), timeout=2.0)
    await store.start()
    await store.create(stored("1"))
    own_postgresql.freeze()
    try:
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(store.create(stored("2")), 20)
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(store.count(), 20)
    finally:
        own_postgresql.thaw()
    await store.create(stored("3"))
    assert (await ids_of(store))[-1] == "3"
    await store.stop()


async def test_a_server_that_is_not_there_is_unavailable_and_a_wrong_name_is_refused(postgresql_url):
    with pytest.raises(StoreUnavailableError):
        await SqlEventStore("postgresql://aspyx:secret@127.0.0.1:1/events").start()
    with pytest.raises(StoreRefusedError, match="does not exist") as refused:
        await SqlEventStore(postgresql_url + "x").start()
    assert "secret" not in str(refused.value)


async def test_a_password_is_in_no_message():
    with pytest.raises(StoreUnavailableError) as refused:
        await SqlEventStore("postgresql://aspyx:secret@127.0.0.1:1/events").count()
    assert "secret" not in str(refused.value)


async def test_what_a_database_cannot_hold_is_refused_and_the_others_are_stored(postgresql_url):
    store = SqlEventStore(postgresql_url)
    await store.start()
    with pytest.raises(StoreRefusedError):
        await store.create(stored("no\x00text"))
    await store.create(stored("1"))
    assert await ids_of(store) == ["1"]
    await store.stop()


CRASHING = """
    import asyncio, os, sys
    from dataclasses import dataclass
    from aspyx_event import EventManager, LocalProvider, event
    from aspyx_event.database import SqlEventStore

    @event(name="store.order", durable=True)
    @dataclass
    class Order:
        number: int

    class Dying(LocalProvider):
        # The process ends between the store and the broker.
        def publish(self, message):
            if message.envelope.event.number == 3:
                os._exit(9)
            return super().publish(message)

    async def main():
        async with EventManager(Dying(), store=SqlEventStore(URL), persist=True) as manager:
            await asyncio.gather(*(manager.send_event(Order(number)) for number in (1, 2)))
            await asyncio.gather(*(manager.send_event(Order(number), ttl=300, key="k") for number in (3, 4)))

    asyncio.run(main())
"""


async def test_what_a_crash_left_between_store_and_broker_is_found_and_sent_again(url, tmp_path):
    done = await asyncio.to_thread(run_program, CRASHING.replace("URL", repr(url)), tmp_path)
    assert done.returncode == 9, done.stderr
    seen, told = Recorder(), []
    async with EventManager(LocalProvider(), store=SqlEventStore(url), persist=True) as manager:
        await manager.subscribe(Order, seen)
        left = [one async for one in manager.store.find(status="unpublished")]
        assert await manager.store.send_unpublished() == 0, "they may be on their way in another process"
        assert await manager.store.send_unpublished(older_than=0, progress=told.append) == 2
        await eventually(lambda: len(seen.handled) == 2)
        assert await manager.store.send_unpublished(older_than=0) == 0
        assert await numbers(manager.store.find(status="published")) == [1, 2, 3, 4]
    assert [one.number for one in seen.handled] == [3, 4]
    assert [one.event_id for one in seen.contexts] == [one.id for one in left]
    assert told == [1, 2]
    assert "aspyx-replay-of" not in seen.contexts[0].headers


class Slow(LocalProvider):
    """Confirms when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list = []

    def publish(self, message):
        super().publish(message)
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]


async def test_what_is_just_being_sent_is_not_sent_again(sqlite_url):
    provider, seen = Slow(), Recorder()
    async with EventManager(provider, store=SqlEventStore(sqlite_url), persist=True) as manager:
        await manager.subscribe(Order, seen)
        receipt = manager.send_event(Order(1))
        await eventually(lambda: seen.handled)
        assert await numbers(manager.store.find(status="unpublished")) == [1]
        assert await manager.store.send_unpublished(older_than=0) == 0
        provider.waiting[0].set_result(None)
        await receipt
    assert len(seen.handled) == 1


@pytest.mark.parametrize(
    "made",
    [
        lambda: SqlEventStore("events.db"),
        lambda: SqlEventStore(Path("events.db")),  # type: ignore[arg-type]
        lambda: SqlEventStore(timeout=0),
        lambda: SqlEventStore(prefix="drop table"),
        lambda: SqlEventStore(pool_size=0),
        lambda: SqlInboxStore("events.db"),
        lambda: asyncio.run(SqlEventStore("sqlite://").start()),
        lambda: asyncio.run(SqlEventStore("sqlite:///:memory:").start()),
        lambda: asyncio.run(SqlEventStore("dbase:///events").start()),
        lambda: asyncio.run(SqlEventStore("sqlite+pysqlite:///events.db").start()),
        lambda: asyncio.run(SqlEventStore("postgresql://host:port/db").start()),
        lambda: StoredEvent(id="", type="t", time=NOON),
        lambda: StoredEvent(id="1", type="t", time=NOON.replace(tzinfo=None)),
    ],
)
def test_nonsense_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeclarationError):
        made()


@pytest.mark.parametrize(
    ("module", "url", "cure"),
    [
        ("sqlalchemy", "sqlite:///events.db", "pip install 'aspyx-event[store]'"),
        ("aiosqlite", "sqlite:///events.db", "pip install 'aspyx-event[store]'"),
        ("asyncpg", "postgresql://localhost/events", "pip install 'aspyx-event[postgresql]'"),
    ],
)
def test_a_missing_driver_names_its_cure(module, url, cure, tmp_path):
    done = run_program(
        f"""
        import asyncio, sys
        sys.modules[{module!r}] = None
        from aspyx_event.database import SqlEventStore
        from aspyx_event.exceptions import MissingDriverError
        store = SqlEventStore({url!r})
        try:
            asyncio.run(store.start())
        except MissingDriverError as error:
            print(error)
        """,
        tmp_path,
    )
    assert cure in done.stdout, done.stderr
    assert issubclass(MissingDriverError, Exception)


async def test_writers_of_postgresql_take_turns_so_that_positions_become_visible_in_order(postgresql_url):
    store = SqlEventStore(postgresql_url)
    await store.start()
    other = await asyncpg.connect(postgresql_url)
    # What a writer of another process holds until it has committed.
    await other.execute("BEGIN; SELECT pg_advisory_xact_lock(x'6173707978'::bigint)")
    writing = asyncio.ensure_future(store.create(stored("1")))
    while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert not writing.done(), "it did not wait for its turn"
    await other.execute("COMMIT")
    assert (await writing).id == "1"
    await other.close()
    await store.stop()


async def test_a_program_that_never_stops_its_store_ends_nevertheless(url, tmp_path):
    done = await asyncio.to_thread(
        run_program,
        f"""
        import asyncio
        from aspyx_event.database import SqlEventStore
        store = SqlEventStore({url!r})
        async def main():
            await store.start()
            print(await store.count())
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
