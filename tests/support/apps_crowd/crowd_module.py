"""An application with two listeners of one name for two events, and a stacked one that is no clash."""

from __future__ import annotations

from dataclasses import dataclass

from apps_events import ShipArrived
from aspyx.di import create, module

from aspyx_event import EventListener, EventManager, EventModule, LocalProvider, QueueNaming, event, event_listener

naming = {"policy": QueueNaming.LISTENER}


@event(name="apps.train-arrived")
@dataclass
class TrainArrived:
    name: str


@event_listener(ShipArrived, name="crowd.stacked")
@event_listener(TrainArrived, name="crowd.stacked")
class Stacked(EventListener):
    def on(self, event) -> None:
        """Only its queues matter."""


@event_listener(ShipArrived, name="crowd.greeter")
class ShipGreeter(EventListener[ShipArrived]):
    def on(self, event: ShipArrived) -> None:
        """Only its queue matters."""


@event_listener(TrainArrived, name="crowd.greeter")
class TrainGreeter(EventListener[TrainArrived]):
    def on(self, event: TrainArrived) -> None:
        """Only its queue matters."""


@module(imports=[EventModule])
class CrowdModule:
    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(LocalProvider(queue_naming=naming["policy"]))
