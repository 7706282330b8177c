"""The contract of an inbox store, as tests that can be run against any inbox store."""

from __future__ import annotations

import asyncio

from ...database.base import InboxStore
from .stores import store_contract


class InboxStoreConformance:
    """Base class of a test class; implement `make_store`.

    Attributes:
        persistent: Added events are known to the next store in the same place.
        test_timeout: Seconds for a test.
    """

    persistent: bool = True
    test_timeout: float = 60.0

    def make_store(self) -> InboxStore:
        """Return a new store. All stores of a test share a place that is empty before the test."""
        raise NotImplementedError

    @store_contract
    async def test_add(self) -> None:
        """An added event is known."""
        store = self.make_store()
        assert not await store.contains("billing", "1")
        await store.add("billing", "1")
        assert await store.contains("billing", "1")

    @store_contract
    async def test_distinct_keys(self) -> None:
        """Subscriptions and event ids are distinguished exactly."""
        store = self.make_store()
        await store.add("shop.a", "b.1")
        for subscription, event_id in (("shop.a", "b.2"), ("shop", "b.1"), ("shop.a.b", "1"), ("Shop.a", "b.1")):
            assert not await store.contains(subscription, event_id)

    @store_contract
    async def test_add_is_idempotent(self) -> None:
        """Adding is idempotent, also concurrently."""
        store = self.make_store()
        await asyncio.gather(*(store.add("billing", "1") for _ in range(5)))
        await store.add("billing", "1")
        assert await store.contains("billing", "1")

    @store_contract
    async def test_any_text(self) -> None:
        """Names and ids may be any text."""
        store = self.make_store()
        for text in ("größe \u2603", "x" * 1_000, "'; --", "%"):
            await store.add(text, text)
            assert await store.contains(text, text)
            assert not await store.contains(text, text + "?")

    @store_contract
    async def test_persistent(self) -> None:
        """Added events are known to the next store in the same place."""
        if self.persistent:
            await self.make_store().add("billing", "1")
            assert await self.make_store().contains("billing", "1")
