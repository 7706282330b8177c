"""Stored events are handed to one subscription again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from support_core import Recorder, eventually, settle

from aspyx_event import (
    DeclarationError,
    Deduplicate,
    EventManager,
    LocalProvider,
    QueueNaming,
    Retry,
    RetryMode,
    Topic,
    event,
)
from aspyx_event.database import MemoryEventStore, MemoryInboxStore, SqlEventStore, SqlInboxStore
from aspyx_event.exceptions import NotAcceptedError


@event(name="store.order", tags=("money",))
@dataclass
class Order:
    number: int


@event(name="store.other")
@dataclass
class Other:
    number: int


class Picky(LocalProvider):
    """Refuses the events with the numbers that are told."""

    refused: tuple[int, ...] = ()

    def publish(self, message):
        if message.only is not None and message.envelope.body in [b'{"number":%d}' % one for one in self.refused]:
            done = asyncio.get_running_loop().create_future()
            done.set_exception(NotAcceptedError("full"))
            return done
        return super().publish(message)


@pytest.fixture
async def manager():
    async with EventManager(
        Picky(queue_naming=QueueNaming.QUALIFIED), store=MemoryEventStore(), persist=True
    ) as started:
        yield started


async def fill(manager: EventManager, count: int) -> None:
    await asyncio.gather(*(manager.send_event(Order(number), headers={"tenant": "a"}) for number in range(count)))


async def test_replayed_events_go_to_one_subscription_alone_in_order_and_keep_their_id(manager):
    one, other, told = Recorder(), Recorder(), []
    subscription = await manager.subscribe(Order, one, name="one")
    await manager.subscribe(Order, other, name="other")
    await fill(manager, 500)
    await eventually(lambda: len(one.handled) == len(other.handled) == 500)
    count = await manager.store.replay(manager.store.find(Order), to=subscription, progress=told.append)
    await eventually(lambda: len(one.handled) == 1_000)
    assert count == 500
    assert told == list(range(1, 501))
    assert one.handled[500:] == one.handled[:500]
    first, again = one.contexts[0], one.contexts[500]
    assert again.event_id == first.event_id == again.headers["aspyx-replay-of"]
    assert again.headers["tenant"] == "a"
    await settle()
    assert len(other.handled) == 500
    # What is replayed was sent before: it is not stored again.
    assert await manager.store.count() == 500


async def test_the_subscription_may_be_named(manager):
    seen = Recorder()
    await manager.subscribe(Order, seen, name="one")
    await fill(manager, 1)
    for to in ("one", "store.order.one", manager.list_subscriptions()[0].id):
        assert await manager.store.replay(manager.store.find(tag="money"), to=to) == 1
    await eventually(lambda: len(seen.handled) == 4)
    await manager.subscribe(Other, seen, name="one")
    with pytest.raises(DeclarationError, match=r"store\.order\.one, store\.other\.one"):
        await manager.store.replay(manager.store, to="one")


async def test_a_subscription_to_several_events_gets_each_of_them(manager):
    several = Recorder()
    await manager.subscribe((Order, Other), several, name="several")
    await fill(manager, 2)
    await manager.send_event(Other(5))
    await eventually(lambda: len(several.handled) == 3)
    assert await manager.store.replay(manager.store, to="several") == 3
    await eventually(lambda: len(several.handled) == 6)
    # Each event has a queue of its own: the order is kept within a queue.
    assert sorted(several.handled[3:], key=repr) == [Order(0), Order(1), Other(5)]


async def test_a_subscription_to_a_topic_gets_the_events_of_the_topic(manager):
    seen = Recorder()
    topic = Topic("store.family", [Order])  # type: ignore[arg-type]
    subscription = await manager.subscribe(topic, seen, name="family")
    await fill(manager, 1)
    await manager.send_event(Other(1))
    assert await manager.store.replay(manager.store.find(Order), to=subscription) == 1
    await eventually(lambda: seen.handled == [Order(0)])
    with pytest.raises(DeclarationError, match=r"store\.other.*cannot be replayed to 'family'"):
        await manager.store.replay(manager.store.find(Other), to=subscription)


async def test_a_list_of_events_may_be_replayed(manager):
    seen = Recorder()
    await manager.subscribe(Order, seen, name="one")
    await fill(manager, 3)
    chosen = [one async for one in manager.store]
    await eventually(lambda: len(seen.handled) == 3)
    assert await manager.store.replay(reversed(chosen), to="one") == 3
    await eventually(lambda: len(seen.handled) == 6)
    assert [one.number for one in seen.handled[3:]] == [2, 1, 0]
    assert await manager.store.replay([], to="one") == 0


async def test_impossible_targets_are_refused(manager):
    seen = Recorder()
    own = await manager.subscribe(Order, seen, name="own", per_process=True)
    gone = await manager.subscribe(Order, seen, name="gone")
    await gone.cancel()
    other = await manager.subscribe(Other, seen, name="other")
    await fill(manager, 1)
    for to, message in ((own, "per_process"), (gone, "no such subscription"), ("nobody", "it has: other, own")):
        with pytest.raises(DeclarationError, match=message):
            await manager.store.replay(manager.store, to=to)
    with pytest.raises(DeclarationError, match=r"store\.order.*cannot be replayed to 'other'"):
        await manager.store.replay(manager.store, to=other)
    with pytest.raises(DeclarationError, match="rate=0"):
        await manager.store.replay(manager.store, to=other, rate=0)


async def test_an_event_that_is_refused_ends_the_replay_and_progress_tells_where(manager):
    seen, told = Recorder(), []
    subscription = await manager.subscribe(Order, seen)
    await fill(manager, 5)
    await eventually(lambda: len(seen.handled) == 5)
    manager.provider.refused = (3, 4)
    with pytest.raises(NotAcceptedError):
        await manager.store.replay(manager.store, to=subscription, progress=told.append)
    await eventually(lambda: len(seen.handled) == 8)
    assert told == [1, 2, 3]
    manager.provider.refused = ()
    last = (await manager.store.read(seen.contexts[7].event_id)).position
    assert await manager.store.replay(manager.store.find(after=last), to=subscription) == 2


async def test_a_rate_is_kept(manager):
    subscription = await manager.subscribe(Order, Recorder())
    await fill(manager, 4)
    began = asyncio.get_running_loop().time()
    assert await manager.store.replay(manager.store, to=subscription, rate=20) == 4
    assert asyncio.get_running_loop().time() - began >= 0.15


async def test_a_handler_that_sends_for_each_replayed_event_does_not_make_it_endless(manager):
    async def again(event):
        if event.number < 100:
            await manager.send_event(Order(event.number + 100))

    subscription = await manager.subscribe(Order, again)
    await fill(manager, 3)
    await eventually(lambda: subscription.stats.count == 6)
    assert await manager.store.replay(manager.store.find(Order), to=subscription) == 6


async def test_an_event_past_its_time_is_handled_and_retried_when_it_is_replayed(manager):
    """That it was of no use after a while was said to those it was sent to at first."""
    seen = Recorder()
    retry = Retry(attempts=2, mode=RetryMode.DELAYED, backoff=[0.05])
    subscription = await manager.subscribe(Order, seen, name="x", retry=retry)
    await subscription.pause()
    await manager.send_event(Order(1), ttl=0.001)
    await asyncio.sleep(0.05)
    await subscription.resume()
    seen.failures.append(LookupError("once more"))
    assert await manager.store.replay(manager.store, to=subscription) == 1
    await eventually(lambda: seen.handled)
    assert [one.attempt for one in seen.contexts] == [1, 2]


@pytest.mark.parametrize("capacity", [None, 50])
async def test_behind_deduplicate_a_replay_is_handled_again_and_a_second_delivery_is_not(capacity):
    seen = Recorder()
    inbox = MemoryInboxStore() if capacity is None else MemoryInboxStore(capacity)
    deduplicate = Deduplicate(inbox)
    assert deduplicate.store is inbox
    manager = EventManager(LocalProvider(), store=MemoryEventStore(), persist=True, pipelines=[deduplicate])
    async with manager:
        subscription = await manager.subscribe(Order, seen, name="x")
        await fill(manager, 2)
        await eventually(lambda: len(seen.handled) == 2)
        for times in (1, 2):
            await manager.store.replay(manager.store, to=subscription)
            await eventually(lambda times=times: len(seen.handled) == 2 + 2 * times)  # type: ignore[misc]
        # What `send_unpublished` sends is no replay: whoever has handled it does not handle it again.
        first = await manager.store.read(seen.contexts[0].event_id)
        await manager.store.backend.set_status([first.id], type(first.status).UNPUBLISHED)
        assert await manager.store.send_unpublished(older_than=0) == 1
        await eventually(lambda: subscription.stats.count == 7)
    assert len(seen.handled) == 6


async def test_what_was_handled_is_known_after_a_restart(url):
    """The inbox beside the events: the same database, the same connections."""
    seen = Recorder()
    for _ in range(2):
        store = SqlEventStore(url)
        deduplicate = Deduplicate(SqlInboxStore(store))
        async with EventManager(LocalProvider(), store=store, persist=True, pipelines=[deduplicate]) as manager:
            subscription = await manager.subscribe(Order, seen, name="x")
            if not await store.count():
                await manager.send_event(Order(1))
                await eventually(lambda: seen.handled)
            else:
                sent = [one async for one in store]
                await store.set_status([sent[0].id], type(sent[0].status).UNPUBLISHED)
                assert await manager.store.send_unpublished(older_than=0) == 1
            await eventually(lambda subscription=subscription: subscription.stats.count == 1)  # type: ignore[misc]
    assert [one.number for one in seen.handled] == [1]


async def test_an_inbox_forgets_what_is_old(url):
    inbox, now = SqlInboxStore(url), datetime.now(timezone.utc)
    await inbox.start()
    await inbox.add("x", "1")
    assert await inbox.forget(now - timedelta(days=1)) == 0
    assert await inbox.forget(now + timedelta(minutes=1)) == 1
    assert not await inbox.contains("x", "1")
    await inbox.stop()
