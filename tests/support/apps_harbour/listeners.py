"""Listeners with dependencies: on a bean, on configuration, on the environment."""

from __future__ import annotations

from apps_events import ShipArrived, current_session
from aspyx.di import Environment, injectable
from aspyx.di.configuration import config

from aspyx_event import EventContext, EventListener, event_handler, event_listener

from .services import Ledger

built: list[object] = []


@event_listener(ShipArrived, name="harbour.clerk")
class Clerk(EventListener[ShipArrived]):
    def __init__(
        self,
        ledger: Ledger,
        environment: Environment,
        berths: config(int, "harbour.berths", 1),  # type: ignore[valid-type]
    ) -> None:
        self.ledger, self.environment, self.berths = ledger, environment, berths
        built.append(self)

    async def on(self, event: ShipArrived, context: EventContext) -> None:
        self.ledger.write("clerk", (event, current_session.get(), context.headers.get("route")))


# The container may be told explicitly, below the decorator.
@event_listener(ShipArrived, name="harbour.watch")
@injectable(eager=False)
class Watch(EventListener[ShipArrived]):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def on(self, event: ShipArrived) -> None:
        self.ledger.write("watch", (event, current_session.get()))


@injectable()
class Crane:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @event_handler(ShipArrived)
    async def unload(self, event: ShipArrived) -> None:
        self.ledger.write("crane", event)
