"""Selects the dead letters that a command works on."""

from __future__ import annotations

from collections import Counter

from ..engine.operations.dead_letters import DeadLetter
from ..engine.subscribing.subscriptions import Subscription
from ..exceptions import DeclarationError
from ..manager import EventManager
from .output import NOT_SEARCHED


class Selection:
    """Accepts the letters that match the options of a command.

    Args:
        manager: Manager of the letters.
        subscription_name: Name or group of a listener, or ``<event>.<name>``; None accepts all.
        cause: Part of the type or message of the cause, ignoring case; None accepts all.
        letter_id: Id of a single letter; None accepts all.
        among: Accepted ids; None accepts all.
        to_replay: Skip letters that have no queue to return to.

    Raises:
        DeclarationError: no subscription has this name.
    """

    def __init__(
        self,
        manager: EventManager,
        subscription_name: str | None,
        cause: str | None,
        *,
        letter_id: str | None = None,
        among: frozenset[str] | None = None,
        to_replay: bool = False,
    ) -> None:
        self._manager, self._subscription_name = manager, subscription_name
        self._cause = cause.casefold() if cause is not None else None
        self._letter_id, self._among = letter_id, among
        subscriptions = manager.list_subscriptions()
        self._selected: set[tuple[str, str]] = set()
        self._not_replayable: set[tuple[str, str]] = set()
        for subscription in subscriptions:
            if subscription_name is None or subscription_name in _names_of(subscription):
                self._selected.update(_origins_of(subscription))
            if to_replay and not subscription.queue:
                self._not_replayable.update(_origins_of(subscription))
        if subscription_name is not None and not self._selected:
            raise DeclarationError(f"there is no subscription {subscription_name!r}; {searched(manager)}")
        self._skipped: Counter[str] = Counter()

    def accepts(self, letter: DeadLetter) -> bool:
        """Return whether the letter matches; counts a match that cannot be replayed as skipped."""
        origin = (letter.address, letter.subscription)
        if self._subscription_name is not None and origin not in self._selected:
            return False
        if self._letter_id is not None and letter.id != self._letter_id:
            return False
        if self._among is not None and letter.id not in self._among:
            return False
        if self._cause is not None and self._cause not in f"{letter.cause.type} {letter.cause.message}".casefold():
            return False
        if origin in self._not_replayable:
            self._skipped[letter.subscription] += 1
            return False
        return True

    async def ids(self, limit: int) -> list[str]:
        """Return the ids of the matching letters among the first *limit* letters.

        Messages that other programs put into the queue may share an id.
        """
        letters = await self._manager.dead_letters.list(self._subscription_name, limit=limit)
        ids = [letter.id for letter in letters if self.accepts(letter)]
        self._skipped.clear()
        return ids

    def skipped(self) -> list[str]:
        """Return a message for each subscription whose letters were skipped."""
        return [
            f"skipped {number} of {name!r}: a per_process subscription has no named queue to replay to"
            for name, number in self._skipped.items()
        ]


def searched(manager: EventManager) -> str:
    """Return which subscriptions a command sees, for the message that it has found nothing."""
    names = ", ".join(sorted({subscription.name for subscription in manager.list_subscriptions()})) or "none"
    return f"declared listeners: {names}; {NOT_SEARCHED}"


def _names_of(subscription: Subscription) -> tuple[str | None, ...]:
    """Return the names by which an option may select a subscription."""
    return (subscription.name, subscription.group, f"{subscription.event_name}.{subscription.name}")


def _origins_of(subscription: Subscription) -> list[tuple[str, str]]:
    """Return the pairs of address and subscription name that the letters of a subscription carry."""
    return [(route.address, subscription.letter_name) for route in subscription.descriptor.routes]
