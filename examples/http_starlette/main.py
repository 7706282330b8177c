"""A relay on Starlette, without a container: receives events with a secret, and posts them as webhooks.

RELAY_SECRET=... RELAY_TARGET=http://127.0.0.1:8001/events python examples/http_starlette/main.py
curl -i http://127.0.0.1:8000/events -H "Authorization: Bearer $RELAY_SECRET" -H 'ce-specversion: 1.0' -H 'ce-id: 1' \\
     -H 'ce-source: /curl' -H 'ce-type: co.example.measured' -H 'content-type: application/json' -d '{"degrees": 220.5}'
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from aspyx_event import EventManager, LocalProvider, Retry, event_handler
from aspyx_event.cloudevents import CloudEvent
from aspyx_event.exceptions import WebhookRefusedError
from aspyx_event.http import HealthApp, SharedSecret, cloudevents_endpoint
from aspyx_event.reactions import webhook

TYPES = ("co.example.measured", "co.example.calibrated")
seen: list[str] = []


@event_handler(*TYPES)
async def remember(event: CloudEvent) -> None:
    """Handles CloudEvents without a class by their type."""
    seen.append(f"{event.type} of {event.source}: {event.data}")


manager = EventManager(LocalProvider(), listeners=[remember])


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Run the manager as long as the application, on the same event loop."""
    async with manager:
        if target := os.environ.get("RELAY_TARGET"):
            retry = Retry(attempts=5, delay=0.5, never=(WebhookRefusedError,))
            await manager.subscribe(TYPES, webhook(target, mode="structured"), name="relay", retry=retry)
        yield


async def read(_request: Request) -> JSONResponse:
    return JSONResponse(seen)


secret = SharedSecret(os.environ.get("RELAY_SECRET", "a secret for trying it out"))
app = Starlette(
    routes=[
        Route("/events", cloudevents_endpoint(manager, interceptors=[secret], types=TYPES)),
        Route("/seen", read),
        Mount("/health", HealthApp(manager.health)),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), log_level="warning")
