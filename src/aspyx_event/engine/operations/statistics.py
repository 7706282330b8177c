"""Counters of what a manager has sent and handled."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from time import time
from typing import Any

from ...envelope import CE_ID, Envelope
from ...events import EventDescriptor
from ...registry import EventRegistry
from ..subscribing.subscriptions import SubscriptionRegistry


class ManagerStats:
    """Counters of a manager since it was created, or since `reset`. An event that is refused before it is sent is not counted.

    Args:
        registry: Resolves event classes.
        subscriptions: Their counters make up the handled events.
    """

    def __init__(self, registry: EventRegistry, subscriptions: SubscriptionRegistry) -> None:
        self._registry, self._subscriptions = registry, subscriptions
        self._sent: Counter[str] = Counter()
        self._last_headers: dict[str, str] = {}
        self._last_seconds = 0.0

    def note_sent(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        """Count an event that was handed to the provider. Called by the engine for each event."""
        self._sent[descriptor.name] += 1
        self._last_headers, self._last_seconds = envelope.headers, time()

    def sent(self, target: Any = None) -> int:
        """Return the number of sent events: all, or those of a class, of an event's class, or of a name."""
        return self._count(self._sent, target)

    def handled(self, target: Any = None) -> int:
        """Return the number of successful handler calls: all, or those with events of a class, of an event's class, or of
        a name. An event that three listeners handled counts three times.
        """
        total: Counter[str] = Counter()
        for subscription in self._subscriptions:
            total.update(subscription.stats.handled)
        return self._count(total, target)

    @property
    def failures(self) -> int:
        """Failed attempts of handlers."""
        return sum(subscription.stats.failures for subscription in self._subscriptions)

    @property
    def dead_letters(self) -> int:
        """Deliveries that became dead letters."""
        return sum(subscription.stats.dead_letters for subscription in self._subscriptions)

    @property
    def last_event_id(self) -> str:
        """Id of the event sent last; "" before the first."""
        return self._last_headers.get(CE_ID, "")

    @property
    def last_time(self) -> datetime | None:
        """Time of the last send, in UTC; None before the first."""
        return datetime.fromtimestamp(self._last_seconds, timezone.utc) if self._last_headers else None

    def reset(self) -> None:
        """Set all counters to zero, those of the subscriptions included."""
        self._sent.clear()
        self._last_headers = {}
        for subscription in self._subscriptions:
            subscription.stats.reset()

    def __repr__(self) -> str:
        counts = (
            f"sent={self.sent()} handled={self.handled()} failures={self.failures} dead_letters={self.dead_letters}"
        )
        return f"<ManagerStats {counts}>"

    def _count(self, counts: Counter[str], target: Any) -> int:
        if target is None:
            return sum(counts.values())
        if isinstance(target, str):
            return counts[target]
        descriptor = self._registry.add(target) if isinstance(target, type) else self._registry.of(target)
        return counts[descriptor.name]
