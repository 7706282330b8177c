"""Events and handlers of the tests of order, filters and processing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aspyx_event import ANY, EventManager, LocalProvider, event, event_handler


@event(name="order.placed")
@dataclass
class Placed:
    number: int = 0


@event(name="order.paid")
@dataclass
class Paid:
    number: int = 0


def manager_of(*handlers: Any, **options: Any) -> EventManager:
    return EventManager(LocalProvider(), listeners=[event_handler(ANY)(one) for one in handlers], **options)


def noting(notes: list[Any], name: str, answer: Any = None):
    def handler(event: Any) -> Any:
        notes.append(name)
        return answer

    handler.__name__ = name
    return handler


def lambda_named(function: Any):
    def everything(event: Any) -> None:
        function(event)

    return everything
