"""A shop on FastAPI: orders arrive through its API or as CloudEvents, and reach the same listener.

python examples/http_fastapi/main.py
curl -i http://127.0.0.1:8000/events -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /curl' \\
     -H 'ce-type: shop.order-placed' -H 'content-type: application/json' -d '{"order_id": 1, "total": "9.90"}'
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal

import uvicorn
from aspyx.di import Environment, create, injectable, module
from fastapi import FastAPI
from starlette.routing import Route

from aspyx_event import AMQPProvider, EventListener, EventManager, EventModule, LocalProvider, event, event_listener
from aspyx_event.http import cloudevents_endpoint, lifespan_of
from aspyx_event.providers import Provider


@event(name="shop.order-placed", durable=True)
@dataclass
class OrderPlaced:
    order_id: int
    total: Decimal


@injectable()
class Ledger:
    """Booked amounts, shared by the whole application."""

    def __init__(self) -> None:
        self.booked: dict[int, Decimal] = {}


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def on(self, event: OrderPlaced) -> None:
        self.ledger.booked[event.order_id] = event.total


@module(imports=[EventModule])
class ShopModule:
    @create()
    def provider(self) -> Provider:
        if "ARTEMIS_HOST" not in os.environ:
            return LocalProvider()
        user, password = os.environ.get("ARTEMIS_USER", ""), os.environ.get("ARTEMIS_PASSWORD", "")
        port = int(os.environ.get("ARTEMIS_PORT", "61616"))
        return AMQPProvider("shop", host=os.environ["ARTEMIS_HOST"], port=port, user=user, password=password)

    @create()
    def event_manager(self, provider: Provider) -> EventManager:
        return EventManager(provider)


def create_app(environment: Environment) -> FastAPI:
    """Return the application on the beans of *environment*; a test passes the environment of another module."""
    manager, ledger = environment.get(EventManager), environment.get(Ledger)
    # The manager starts before the first request and stops gracefully after the last.
    app = FastAPI(title="shop", lifespan=lifespan_of(environment))
    app.router.routes.append(Route("/events", cloudevents_endpoint(manager, types=["shop.*"])))

    @app.post("/orders", status_code=202)
    async def place(order: OrderPlaced) -> dict[str, str]:
        """Place an order. The response is sent once the provider has the event."""
        receipt = manager.send_event(order)
        await receipt
        return {"event": receipt.id}

    @app.get("/ledger")
    async def read() -> dict[int, Decimal]:
        """Return the booked amounts by order."""
        return ledger.booked

    return app


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    uvicorn.run(create_app(Environment(ShopModule)), host="127.0.0.1", port=port, log_level="warning")
