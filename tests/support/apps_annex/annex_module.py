"""An application made to run in a child environment."""

from __future__ import annotations

from apps_events import ShipArrived
from apps_harbour.services import Ledger
from aspyx.di import create, module

from aspyx_event import EventListener, EventManager, EventModule, LocalProvider, event_listener


@event_listener(ShipArrived)
class Guest(EventListener[ShipArrived]):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def on(self, event: ShipArrived) -> None:
        self.ledger.write("guest", event)


@module(imports=[EventModule])
class AnnexModule:
    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(LocalProvider())
