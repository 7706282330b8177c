"""Events that a manager sends are stored first, in the order of sending, and marked when the provider has them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest
from support_core import Recorder, eventually, run_program

from aspyx_event import (
    AbstractEnvelopePipeline,
    ConfirmTimeoutError,
    DeclarationError,
    EventManager,
    Limits,
    LocalProvider,
    StateError,
    event,
)
from aspyx_event.cloudevents import CloudEvent
from aspyx_event.database import EventStatus, MemoryEventStore, SqlEventStore
from aspyx_event.exceptions import (
    DuplicateStoredEventError,
    EncodeError,
    LimitExceededError,
    NoRouteError,
    StoreRefusedError,
    StoreUnavailableError,
)


@event(name="store.order", owner="sales", tags=("money", "shop"), durable=True)
@dataclass
class Order:
    number: int


class Watched(MemoryEventStore):
    """Counts what it is asked, and fails if told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.failing: dict[str, Exception] = {}

    async def start(self):
        self.calls["start"] += 1

    async def stop(self):
        self.calls["stop"] += 1

    async def create_all(self, events):
        self.calls["create_all"] += 1
        await asyncio.sleep(0)
        if "create_all" in self.failing:
            raise self.failing["create_all"]
        await super().create_all(events)

    async def set_status(self, event_ids, status):
        self.calls["set_status"] += 1
        if "set_status" in self.failing:
            raise self.failing.pop("set_status")
        return await super().set_status(event_ids, status)


class Refusing(LocalProvider):
    """Gives each publish the error that is told, and does not take the event then."""

    error: Exception | None = None

    def publish(self, message):
        if self.error is None:
            return super().publish(message)
        done = asyncio.get_running_loop().create_future()
        done.set_exception(self.error)
        return done


async def numbers(store, **criteria):
    return [int(one.body.split(b":")[1].rstrip(b"}")) async for one in store.find(**criteria)]


async def test_a_sent_event_is_found_with_all_that_is_known_of_it():
    before = datetime.now(timezone.utc)
    store, seen = MemoryEventStore(), Recorder()
    async with EventManager(LocalProvider(), source="shop", store=store, persist=True) as manager:
        await manager.subscribe(Order, seen, name="x")
        receipt = manager.send_event(Order(1), headers={"tenant": "a"}, key="k")
        await receipt
        found = await manager.store.read(receipt.id)
        await eventually(lambda: seen.handled)
    assert (found.id, found.type, found.status) == (seen.contexts[0].event_id, "store.order", EventStatus.PUBLISHED)
    assert (found.owner, found.tags, found.source) == ("sales", {"money", "shop"}, "shop")
    assert (found.body, found.headers["tenant"]) == (b'{"number":1}', "a")
    assert before <= found.time <= datetime.now(timezone.utc)
    assert found.correlation_id == receipt.id


async def test_answers_are_found_by_what_they_belong_to():
    store = MemoryEventStore()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:

        async def answer(event):
            if event.number < 3:
                await manager.send_event(Order(event.number + 1))

        await manager.subscribe(Order, answer)
        first = manager.send_event(Order(1))
        await first
        await manager.send_event(Order(9))
        await eventually(lambda: len(store) == 4)
    assert await numbers(store, correlation_id=first.id) == [1, 2, 3]
    assert await numbers(store, causation_id=first.id) == [2]


async def test_events_are_stored_and_delivered_in_the_order_of_sending(url):
    seen = Recorder()
    async with EventManager(LocalProvider(), store=SqlEventStore(url), persist=True) as manager:
        await manager.subscribe(Order, seen)
        for receipt in [manager.send_event(Order(number)) for number in range(2_500)]:
            await receipt
        await eventually(lambda: len(seen.handled) == 2_500)
        assert await numbers(manager.store) == list(range(2_500))
        assert await manager.store.find(status="published").count() == 2_500
    assert [one.number for one in seen.handled] == list(range(2_500))


async def test_senders_at_once_share_transactions():
    store = Watched()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        await asyncio.gather(*(manager.send_event(Order(number)) for number in range(500)))
    assert await numbers(store) == list(range(500))
    assert store.calls["create_all"] + store.calls["set_status"] < 10


async def test_events_sent_before_the_start_are_stored_in_order_too():
    store = MemoryEventStore()
    manager = EventManager(LocalProvider(), store=store, persist=True)
    receipts = [manager.send_event(Order(number)) for number in range(20)]
    await asyncio.gather(*receipts)
    await manager.stop()
    assert await numbers(store) == list(range(20))


def test_a_plain_script_stores_what_it_sends(sqlite_url, tmp_path):
    done = run_program(
        f"""
        import asyncio
        from dataclasses import dataclass
        from aspyx_event import EventManager, LocalProvider, event
        from aspyx_event.database import SqlEventStore

        @event(name="store.order")
        @dataclass
        class Order:
            number: int

        manager = EventManager(LocalProvider(), store=SqlEventStore({sqlite_url!r}), persist=True)
        manager.subscribe(Order, lambda event: print("handled", event.number), name="x")
        for number in range(3):
            manager.send_event(Order(number))
        async def show():
            async for stored in manager.store:
                print(stored.position, stored.status.value, stored.body.decode())
        asyncio.run(show())
        print("replayed", manager.store.replay(manager.store.find(after=1), to="x").result())
        """,
        tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "handled 0",
        "handled 1",
        "handled 2",
        '1 published {"number":0}',
        '2 published {"number":1}',
        '3 published {"number":2}',
        "handled 1",
        "handled 2",
        "replayed 2",
    ]


async def test_without_persist_the_store_is_opened_and_nothing_is_written():
    store = Watched()
    async with EventManager(LocalProvider(), store=store) as manager:
        await manager.send_event(Order(1))
        assert manager.store.backend is store
    assert store.calls == {"start": 1, "stop": 1}


async def test_a_store_has_to_be_there_and_has_to_be_one():
    with pytest.raises(DeclarationError, match="store=SqlEventStore"):
        EventManager(LocalProvider(), persist=True)
    with pytest.raises(DeclarationError, match="does not derive from EventStore"):
        EventManager(LocalProvider(), store="sqlite:///events.db")  # type: ignore[arg-type]
    manager = EventManager(LocalProvider())
    with pytest.raises(DeclarationError, match="has no store"):
        manager.store  # noqa: B018
    with pytest.raises(DeclarationError, match="has no store"):
        manager.store.send_unpublished()


async def test_a_store_that_fails_keeps_the_event_from_being_sent_and_others_not():
    store, seen = Watched(), Recorder()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        await manager.subscribe(Order, seen)
        store.failing["create_all"] = StoreUnavailableError("locked")
        refused = [manager.send_event(Order(number)) for number in (1, 2)]
        errors = await asyncio.gather(*refused, return_exceptions=True)
        assert [(type(one), str(one)) for one in errors] == [(StoreUnavailableError, "locked")] * 2
        assert errors[0] is not errors[1]
        store.failing.clear()
        await manager.send_event(Order(3))
        await eventually(lambda: seen.handled)
    assert [one.number for one in seen.handled] == [3]
    assert await numbers(store) == [3]


async def test_an_event_that_was_sent_does_not_fail_because_the_store_cannot_note_it():
    store = Watched()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        store.failing["set_status"] = StoreUnavailableError("locked")
        await manager.send_event(Order(1))
        assert await numbers(store, status="unpublished") == [1]
        # The next one takes it along.
        await manager.send_event(Order(2))
        assert await numbers(store, status="published") == [1, 2]
        store.failing["set_status"] = StoreUnavailableError("locked")
        await manager.send_event(Order(3))
    # The stop writes what is left.
    assert await numbers(store, status="published") == [1, 2, 3]


async def test_what_the_provider_refuses_is_refused_in_the_store():
    store, provider = MemoryEventStore(), Refusing()
    async with EventManager(provider, store=store, persist=True) as manager:
        with pytest.raises(NoRouteError):
            await manager.send_event(Order(1), require_route=True)
        provider.error = ConfirmTimeoutError("no answer")
        with pytest.raises(ConfirmTimeoutError):
            await manager.send_event(Order(2))
        provider.error = None
        assert await numbers(store, status="refused") == [1]
        # Nobody knows: so it can be sent again.
        assert await numbers(store, status="unpublished") == [2]
        assert await manager.store.send_unpublished(older_than=0) == 1
    assert await numbers(store, status="published") == [2]


async def test_what_cannot_be_sent_is_not_stored():
    store = MemoryEventStore()
    async with EventManager(LocalProvider(), store=store, persist=True, limits=Limits(body=100)) as manager:
        with pytest.raises(EncodeError):
            manager.send_event(Order("no number"))  # type: ignore[arg-type]
        with pytest.raises(LimitExceededError):
            await manager.send_event(Order(10**200))
    with pytest.raises(StateError):
        await manager.send_event(Order(1))
    assert len(store) == 0


class Renaming(AbstractEnvelopePipeline):
    """Gives the events with the numbers that are told one id; goes on changing the envelope after it was sent."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.numbers = numbers

    async def send(self, envelope, event_descriptor):
        if envelope.event.number in self.numbers:
            envelope.headers["cloudEvents_id"] = "mine"
        sending = self.proceed_send(envelope, event_descriptor)
        envelope.set("late", "yes")
        await sending


async def test_an_event_sent_again_with_its_id_is_one_in_the_store_and_another_of_that_id_is_refused():
    store, seen = MemoryEventStore(), Recorder()
    async with EventManager(LocalProvider(), store=store, persist=True, pipelines=[Renaming(1, 2, 4)]) as manager:
        await manager.subscribe(Order, seen)
        await manager.send_event(Order(1))
        await manager.send_event(Order(1))
        with pytest.raises(DuplicateStoredEventError, match="mine"):
            await manager.send_event(Order(2))
        # One to blame, and the others of its batch not.
        together = [manager.send_event(Order(number)) for number in (3, 4, 5)]
        errors = await asyncio.gather(*together, return_exceptions=True)
        assert [type(one) for one in errors] == [type(None), DuplicateStoredEventError, type(None)]
        await eventually(lambda: len(seen.handled) == 4)
    assert [one.number for one in seen.handled] == [1, 1, 3, 5]
    assert await numbers(store) == [1, 3, 5]


async def test_interceptors_that_go_on_change_neither_what_is_stored_nor_what_is_sent():
    store, seen = Watched(), Recorder()
    async with EventManager(LocalProvider(), store=store, persist=True, pipelines=[Renaming()]) as manager:
        await manager.subscribe(Order, seen)
        await manager.send_event(Order(1))
        await eventually(lambda: seen.handled)
    assert "late" not in seen.contexts[0].headers
    assert ["late" in one.headers async for one in store] == [False]


async def test_an_object_travels_as_it_is_and_its_bytes_are_stored():
    store, seen = MemoryEventStore(), Recorder()
    async with EventManager(LocalProvider(copy=False), store=store, persist=True) as manager:
        await manager.subscribe(Order, seen)
        order = Order(1)
        await manager.send_event(order)
        await eventually(lambda: seen.handled)
    assert seen.handled[0] is order
    assert [one.body async for one in store] == [b'{"number":1}']


user: ContextVar[str] = ContextVar("user", default="nobody")


class Publisher(LocalProvider):
    def __init__(self) -> None:
        super().__init__()
        self.users: list[str] = []

    def publish(self, message):
        self.users.append(user.get())
        return super().publish(message)


async def test_each_event_is_published_in_the_context_of_its_sender():
    provider = Publisher()
    async with EventManager(provider, store=MemoryEventStore(), persist=True) as manager:
        receipts = []
        for name in ("alice", "bob"):
            user.set(name)
            receipts.append(manager.send_event(Order(1)))
        await asyncio.gather(*receipts)
    assert provider.users == ["alice", "bob"]


async def test_a_stop_waits_for_what_is_being_stored():
    store, seen = Watched(), Recorder()
    manager = EventManager(LocalProvider(), store=store, persist=True)
    await manager.subscribe(Order, seen)
    receipts = [manager.send_event(Order(number)) for number in range(50)]
    await manager.stop()
    await asyncio.gather(*receipts)
    assert await store.find(status="published").count() == 50
    await manager.start()
    await manager.send_event(Order(50))
    await manager.stop()
    assert await store.find(status="published").count() == 51


async def test_foreign_cloudevents_of_one_id_are_told_apart_by_their_source():
    store = MemoryEventStore()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        for source in ("/a", "/b", "/a"):
            await manager.send_event(CloudEvent(id="1", source=source, type="foreign.thing", data={"from": source}))
    assert [(one.id, one.type, one.source) async for one in store] == [
        ("/a|1", "foreign.thing", "/a"),
        ("/b|1", "foreign.thing", "/b"),
    ]


class Noting(LocalProvider):
    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.messages: list = []

    def publish(self, message):
        self.messages.append(message)
        if self.error is None:
            return super().publish(message)
        done = asyncio.get_running_loop().create_future()
        done.set_exception(self.error)
        return done


async def test_what_is_sent_again_travels_as_it_was_to_travel():
    provider = Noting()
    async with EventManager(provider, store=MemoryEventStore(), persist=True) as manager:
        provider.error = ConfirmTimeoutError("no answer")
        with pytest.raises(ConfirmTimeoutError):
            await manager.send_event(Order(1), key="k", priority=9, delay=60, ttl=300, headers={"tenant": "a"})
        with pytest.raises(ConfirmTimeoutError):
            await manager.send_event(CloudEvent(id="1", source="/a", type="foreign.thing"))
        provider.error = None
        assert await manager.store.send_unpublished(older_than=0) == 2
    first, foreign, again, foreign_again = provider.messages
    for field in ("address", "dedup_id", "durable"):
        assert getattr(again, field) == getattr(first, field), field
        assert getattr(foreign_again, field) == getattr(foreign, field), field
    assert foreign_again.options == foreign.options
    assert (again.envelope.body, again.envelope.headers) == (first.envelope.body, first.envelope.headers)
    assert (again.options.key, again.options.priority, again.durable) == ("k", 9, True)
    assert 50 < again.options.delay <= 60
    assert 290 < again.options.ttl <= 300


class Hanging(MemoryEventStore):
    async def create_all(self, events):
        await asyncio.Event().wait()


async def test_a_stop_does_not_wait_for_ever_for_a_store_that_hangs():
    manager = EventManager(LocalProvider(), store=Hanging(), persist=True, stop_timeout=0.05)
    await manager.start()
    receipts = [manager.send_event(Order(1))]
    await asyncio.sleep(0)
    receipts.append(manager.send_event(Order(2)))
    await asyncio.wait_for(manager.stop(), 10)
    errors = await asyncio.gather(*receipts, return_exceptions=True)
    assert [type(one) for one in errors] == [StateError, StateError]


class RefusingThenHanging(MemoryEventStore):
    """Refuses a batch, then hangs with its first event."""

    async def create_all(self, events):
        if len(events) > 1:
            raise StoreRefusedError("an event of the batch is to blame")
        await asyncio.Event().wait()


async def test_a_stop_answers_all_senders_of_a_refused_batch():
    manager = EventManager(LocalProvider(), store=RefusingThenHanging(), persist=True, stop_timeout=0.05)
    await manager.start()
    receipts = [manager.send_event(Order(number)) for number in range(3)]
    await asyncio.sleep(0)
    await manager.stop()
    await eventually(lambda: all(receipt.done() for receipt in receipts))
    assert [type(receipt.exception()) for receipt in receipts] == [StateError] * 3


async def test_senders_that_are_faster_than_the_store_are_told_so(monkeypatch):
    monkeypatch.setattr("aspyx_event.engine.sending.recorder._MAX_WAITING", 3)
    store = MemoryEventStore()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        receipts = [manager.send_event(Order(number)) for number in range(5)]
        errors = await asyncio.gather(*receipts, return_exceptions=True)
        assert [type(one) for one in errors] == [type(None)] * 3 + [StoreUnavailableError] * 2
        await manager.send_event(Order(5))
    assert await numbers(store) == [0, 1, 2, 5]
