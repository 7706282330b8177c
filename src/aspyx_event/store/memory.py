"""An inbox in memory: for one process, and for as long as it runs."""

from __future__ import annotations

from collections import OrderedDict

from ..exceptions import DeclarationError
from .base import InboxStore


class MemoryInboxStore(InboxStore):
    """Forgets the oldest entries first.

    Args:
        capacity: Entries to remember, all subscriptions together; about 200 bytes each.

    Raises:
        DeclarationError: the capacity is not a number > 0.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise DeclarationError(f"MemoryInboxStore(capacity={capacity}) is not a number > 0")
        self._capacity = capacity
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    async def contains(self, subscription: str, event_id: str) -> bool:
        return (subscription, event_id) in self._seen

    async def add(self, subscription: str, event_id: str) -> None:
        self._seen[subscription, event_id] = None
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
