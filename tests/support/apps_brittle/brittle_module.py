"""An application whose listener fails in its constructor as long as it is told to."""

from __future__ import annotations

from apps_events import ShipArrived
from aspyx.di import create, module

from aspyx_event import EventListener, EventManager, EventModule, LocalProvider, event_listener

moods = {"broken": True}
seen: list[object] = []


@event_listener(ShipArrived)
class BrittleListener(EventListener[ShipArrived]):
    def __init__(self) -> None:
        if moods["broken"]:
            raise OSError("the ink is dry")

    def on(self, event: ShipArrived) -> None:
        seen.append(event)


@module(imports=[EventModule])
class BrittleModule:
    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(LocalProvider())
