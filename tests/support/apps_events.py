"""Events that several test applications share; nothing here belongs to an environment."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from aspyx_event import event

current_session: ContextVar[str] = ContextVar("apps_session", default="")


@event(name="apps.ship-arrived")
@dataclass
class ShipArrived:
    name: str
