"""A journal of changes: each change of a customer is an event in a store, and a new reader catches up from the store.

The customers themselves are not stored: the mirror builds them from their changes.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass

from aspyx_event import EventManager, LocalProvider, event
from aspyx_event.database import SqlEventStore


@event(name="crm.customer-changed", key="customer", owner="crm", tags=("journal",), durable=True)
@dataclass
class CustomerChanged:
    customer: str
    field: str
    old: str
    new: str


class Customers:
    """Changes customers, and sends an event for each change."""

    def __init__(self, manager: EventManager) -> None:
        self._manager = manager
        self._data: dict[str, dict[str, str]] = {}

    async def change(self, customer: str, field: str, value: str) -> None:
        data = self._data.setdefault(customer, {})
        old, data[field] = data.get(field, ""), value
        await self._manager.send_event(CustomerChanged(customer, field, old, value))


class Mirror:
    """A reader that builds a copy from the changes."""

    def __init__(self) -> None:
        self.data: dict[str, dict[str, str]] = {}
        self.changes = 0
        self._arrived = asyncio.Event()

    def on_change(self, change: CustomerChanged) -> None:
        self.data.setdefault(change.customer, {})[change.field] = change.new
        self.changes += 1
        self._arrived.set()

    async def until(self, changes: int) -> None:
        while self.changes < changes:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 10)


async def record(url: str) -> None:
    """The first run of the program changes customers; there is no listener."""
    async with EventManager(LocalProvider(), store=SqlEventStore(url), persist=True) as manager:
        customers = Customers(manager)
        await customers.change("ada", "city", "London")
        await customers.change("grace", "city", "New York")
        await customers.change("ada", "city", "Turin")
        await customers.change("ada", "title", "Countess")


async def read(url: str) -> None:
    """Another program reads the journal."""
    store = SqlEventStore(url)
    print("the journal:")
    async for stored in store.find(CustomerChanged, tag="journal"):
        print(f"  {stored.position} {stored.status.value} {stored.body.decode()}")


async def catch_up(url: str) -> None:
    """A new reader receives all earlier changes, and then new ones."""
    mirror = Mirror()
    async with EventManager(LocalProvider(), store=SqlEventStore(url), persist=True) as manager:
        subscription = await manager.subscribe(CustomerChanged, mirror.on_change, name="mirror", inline=True)
        seen = await manager.store.last_position()
        count = await manager.store.replay(manager.store.find(CustomerChanged), to=subscription)
        await mirror.until(count)
        print(f"after {count} earlier changes: {mirror.data}")
        await Customers(manager).change("grace", "title", "Rear Admiral")
        await mirror.until(count + 1)
        print(f"after one more change: {mirror.data['grace']}")
        # A later reader continues where this reader ended.
        changes = [stored async for stored in manager.store.find(CustomerChanged, after=seen)]
        print(f"new since position {seen}: {[stored.body.decode() for stored in changes]}")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/journal.db"
        asyncio.run(record(url))
        asyncio.run(read(url))
        asyncio.run(catch_up(url))


if __name__ == "__main__":
    main()
