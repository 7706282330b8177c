"""`AcceptedTypes`: the event types that an endpoint accepts."""

from __future__ import annotations

from collections.abc import Container, Sized
from fnmatch import fnmatchcase
from typing import Protocol

from .messages import Refusal


class KnowsEvents(Protocol):
    """The part of `EventManager` that is used."""

    @property
    def events(self) -> Container[object]: ...

    def list_subscriptions(self, event_name: str | None = None) -> Sized: ...


class AcceptedTypes:
    """Decides whether an event may enter by its type.

    Args:
        manager: Its event classes and the names it subscribes to are accepted if no patterns are given.
        patterns: Accepted types, with ``*`` for any characters; None accepts those that the manager knows, and a limited
            number of others.
        max_unknown: Maximum number of types that the manager does not know, since the start of the process.
    """

    def __init__(self, manager: KnowsEvents, patterns: tuple[str, ...] | None, max_unknown: int) -> None:
        self._manager, self._patterns, self._max_unknown = manager, patterns, max_unknown
        self._unknown: set[str] = set()

    def check(self, event_type: str) -> None:
        """Check a type.

        Raises:
            Refusal: it is not accepted (403).
        """
        if self._patterns is not None:
            if not any(fnmatchcase(event_type, pattern) for pattern in self._patterns):
                raise _refusal(event_type, "are not accepted here")
        elif event_type not in self._unknown and not self._is_known(event_type):
            if len(self._unknown) >= self._max_unknown:
                raise _refusal(event_type, f"are not accepted: {self._max_unknown:,} unknown types are the limit")
            self._unknown.add(event_type)

    def _is_known(self, event_type: str) -> bool:
        return event_type in self._manager.events or bool(self._manager.list_subscriptions(event_type))


def _refusal(event_type: str, reason: str) -> Refusal:
    return Refusal(403, f"events of type {event_type[:80]!r} {reason}", attribute="type")
