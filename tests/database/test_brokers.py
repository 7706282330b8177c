"""Over a real broker: what is sent is stored in its order, and replayed to one queue."""

from __future__ import annotations

import asyncio

import pytest
from support_core import Recorder, eventually

from aspyx_event import AMQPProvider, EventManager, StompProvider
from aspyx_event.database import EventStatus, SqlEventStore
from aspyx_event.exceptions import NoRouteError
from aspyx_event.testing.conformance.processes import numbered_event

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("kind", [AMQPProvider, StompProvider])
async def test_what_is_sent_over_a_broker_is_stored_in_order_and_replayed_to_one_queue(
    kind, broker, management, unique, sqlite_url
):
    order = numbered_event(f"{unique}.order", durable=True)
    provider = kind(
        server_name="server-1", host=broker.host, port=broker.port, user=broker.user, password=broker.password
    )
    one, other, count = Recorder(), Recorder(), 300
    try:
        async with EventManager(provider, store=SqlEventStore(sqlite_url), persist=True) as manager:
            with pytest.raises(NoRouteError):
                await manager.send_event(order(-1), require_route=True)
            subscription = await manager.subscribe(order, one, name=f"{unique}.one")
            await manager.subscribe(order, other, name=f"{unique}.other")
            await asyncio.gather(*(manager.send_event(order(number)) for number in range(count)))
            in_store = [event.id async for event in manager.store.find(status="published")]
            await eventually(lambda: len(one.handled) == len(other.handled) == count)
            assert [context.event_id for context in one.contexts] == in_store
            assert [event.number for event in one.handled] == list(range(count))
            assert await manager.store.find(status="refused").count() == 1

            # A broker that has an event drops it when it is sent again with its id.
            await manager.store.backend.set_status(in_store[:2], EventStatus.UNPUBLISHED)
            assert await manager.store.send_unpublished(older_than=0) == 2

            assert await manager.store.replay(manager.store.find(status="published"), to=subscription) == count
            await eventually(lambda: len(one.handled) == 2 * count)
            assert [context.event_id for context in one.contexts[count:]] == in_store
            assert one.contexts[-1].headers["aspyx-replay-of"] == in_store[-1]
            assert len(other.handled) == count
    finally:
        await asyncio.to_thread(management.destroy_queues, unique)
