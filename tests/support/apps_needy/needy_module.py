"""An application whose listener asks for a bean that nobody provides."""

from __future__ import annotations

from apps_events import ShipArrived
from aspyx.di import create, module

from aspyx_event import EventListener, EventManager, EventModule, LocalProvider, event_listener


class Missing:
    """No injectable."""


@event_listener(ShipArrived)
class NeedyListener(EventListener[ShipArrived]):
    def __init__(self, missing: Missing) -> None:
        self.missing = missing

    def on(self, event: ShipArrived) -> None:
        """Never called."""


@module(imports=[EventModule])
class NeedyModule:
    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(LocalProvider())
