"""Helpers of the suites for stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from datetime import datetime, timezone
from functools import wraps
from typing import Any

from ...database.stored_event import StoredEvent
from ...deadlines import within

NOON = datetime(2025, 3, 30, 12, 0, 0, 123456, tzinfo=timezone.utc)


def store_contract(scenario: Callable[[Any], Awaitable[None]]) -> Callable[[Any], None]:
    """Turn a scenario ``async def test_x(self)`` into a test with its own event loop and `test_timeout` seconds."""

    @wraps(scenario)
    def test(self: Any) -> None:
        asyncio.run(within(scenario(self), self.test_timeout))

    return test


def stored(event_id: str, **fields: Any) -> StoredEvent:
    """Return an event to be stored; *fields* override the defaults."""
    defaults: dict[str, Any] = {"type": "shop.order-placed", "time": NOON, "source": "shop", "body": b'{"number":1}'}
    return StoredEvent(id=event_id, **{**defaults, **fields})


async def ids_of(events: AsyncIterable[StoredEvent]) -> list[str]:
    """Return the ids of events, in order."""
    return [event.id async for event in events]
