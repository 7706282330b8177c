"""The port to what an inbox remembers."""

from __future__ import annotations

from abc import ABC, abstractmethod


class InboxStore(ABC):
    """Remembers which events a subscription has handled. Called on the manager's event loop; must not block it.

    A store in the database of the handlers, written in their transaction, makes the effect of an event happen once.
    One that is written after the handler leaves the moment between the two, in which a crash repeats the effect.
    """

    @abstractmethod
    async def contains(self, subscription: str, event_id: str) -> bool:
        """True if *subscription* has handled the event."""

    @abstractmethod
    async def add(self, subscription: str, event_id: str) -> None:
        """Remember that *subscription* has handled the event; again is no error."""
