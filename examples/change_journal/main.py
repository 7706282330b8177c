"""A journal of changes: every change of a customer is an event in a store, from which a new reader catches up.

The customers themselves are nowhere stored: the mirror has them by their changes alone.
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
    """Changes customers, and tells of each change."""

    def __init__(self, manager: EventManager) -> None:
        self._manager = manager
        self._data: dict[str, dict[str, str]] = {}

    async def change(self, customer: str, field: str, value: str) -> None:
        data = self._data.setdefault(customer, {})
        old, data[field] = data.get(field, ""), value
        await self._manager.send_event(CustomerChanged(customer, field, old, value))


class Mirror:
    """A reader that keeps a copy by the changes alone."""

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


async def work(url: str) -> None:
    """The program's first life: it changes customers, and nobody listens."""
    async with EventManager(LocalProvider(), store=SqlEventStore(url), persist=True) as manager:
        customers = Customers(manager)
        await customers.change("ada", "city", "London")
        await customers.change("grace", "city", "New York")
        await customers.change("ada", "city", "Turin")
        await customers.change("ada", "title", "Countess")


async def look(url: str) -> None:
    """Another program looks into the journal."""
    store = SqlEventStore(url)
    print("the journal:")
    async for stored in store.find(CustomerChanged, tag="journal"):
        print(f"  {stored.position} {stored.status.value} {stored.body.decode()}")


async def catch_up(url: str) -> None:
    """A new reader gets all that was before it, and what comes then."""
    mirror = Mirror()
    async with EventManager(LocalProvider(), store=SqlEventStore(url), persist=True) as manager:
        subscription = await manager.subscribe(CustomerChanged, mirror.on_change, name="mirror", inline=True)
        seen = await manager.store.last_position()
        count = await manager.store.replay(manager.store.find(CustomerChanged), to=subscription)
        await mirror.until(count)
        print(f"after {count} changes of the past: {mirror.data}")
        await Customers(manager).change("grace", "title", "Rear Admiral")
        await mirror.until(count + 1)
        print(f"after one more: {mirror.data['grace']}")
        # A later reader goes on where this one ended.
        changes = [stored async for stored in manager.store.find(CustomerChanged, after=seen)]
        print(f"new since position {seen}: {[stored.body.decode() for stored in changes]}")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/journal.db"
        asyncio.run(work(url))
        asyncio.run(look(url))
        asyncio.run(catch_up(url))


if __name__ == "__main__":
    main()
