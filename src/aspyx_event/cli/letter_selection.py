"""Which dead letters a command means."""

from __future__ import annotations

from collections import Counter

from ..engine.operations.dead_letters import DeadLetter
from ..engine.subscribing.subscriptions import Subscription
from ..exceptions import DeclarationError
from ..manager import EventManager


class Selection:
    """Accepts the letters that options name.

    Args:
        manager: Whose letters.
        subscription: Name or group of a listener, or ``<event>.<name>``; None accepts all.
        cause: Part of the type or message of the cause, in any case; None accepts all.
        letter_id: The one letter meant; None accepts all.
        among: Ids that are meant; None accepts all.
        to_replay: Leave out letters that have no queue to go back to.

    Raises:
        DeclarationError: no subscription has the name.
    """

    def __init__(
        self,
        manager: EventManager,
        subscription: str | None,
        cause: str | None,
        *,
        letter_id: str | None = None,
        among: frozenset[str] | None = None,
        to_replay: bool = False,
    ) -> None:
        self._manager, self._subscription = manager, subscription
        self._cause = cause.casefold() if cause is not None else None
        self._letter_id, self._among = letter_id, among
        here = manager.list_subscriptions()
        named = [one for one in here if subscription in (None, one.name, one.group, f"{one.event_name}.{one.name}")]
        if not named:
            known = ", ".join(sorted({one.name for one in here})) or "none"
            raise DeclarationError(f"no subscription is called {subscription!r}; known: {known}")
        self._named = {where for one in named for where in _letters_of(one)}
        self._nameless = {where for one in here if to_replay and not one.queue for where in _letters_of(one)}
        self._left_out: Counter[str] = Counter()

    def accepts(self, letter: DeadLetter) -> bool:
        """Return whether the letter is meant."""
        where = (letter.address, letter.subscription)
        if self._subscription is not None and where not in self._named:
            return False
        if self._letter_id is not None and letter.id != self._letter_id:
            return False
        if self._among is not None and letter.id not in self._among:
            return False
        if self._cause is not None and self._cause not in f"{letter.cause.type} {letter.cause.message}".casefold():
            return False
        if where in self._nameless:
            self._left_out[letter.subscription] += 1
            return False
        return True

    async def ids(self, limit: int) -> list[str]:
        """Return the ids of the letters meant, of the first *limit* there are. Two letters of others may share one."""
        letters = await self._manager.dead_letters.list(self._subscription, limit=limit)
        ids = [letter.id for letter in letters if self.accepts(letter)]
        self._left_out.clear()
        return ids

    def left_out(self) -> list[str]:
        """Return a line for each subscription whose letters were left out."""
        return [
            f"left {number} of {name!r}: it is per_process, its queue has no name to which an event could go back"
            for name, number in self._left_out.items()
        ]


def _letters_of(subscription: Subscription) -> list[tuple[str, str]]:
    """Return what the letters of a subscription state as their address and subscription."""
    return [(route.address, subscription.letter_name) for route in subscription.descriptor.routes]
