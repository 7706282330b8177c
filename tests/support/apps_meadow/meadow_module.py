"""Another application in the same process, with a listener and an interceptor of its own for the same event."""

from __future__ import annotations

from apps_events import ShipArrived
from aspyx.di import create, module

from aspyx_event import (
    AbstractEnvelopePipeline,
    EventListener,
    EventManager,
    EventModule,
    LocalProvider,
    envelope_pipeline,
    event_listener,
)

seen: list[object] = []


@event_listener(ShipArrived)
class Shepherd(EventListener[ShipArrived]):
    def on(self, event: ShipArrived) -> None:
        seen.append(event)


@envelope_pipeline()
class Fence(AbstractEnvelopePipeline):
    def send(self, envelope, event_descriptor):
        seen.append(("fence", envelope.get("route")))
        return self.proceed_send(envelope, event_descriptor)


@module(imports=[EventModule])
class MeadowModule:
    @create()
    def create_event_manager(self) -> EventManager:
        return EventManager(LocalProvider())
