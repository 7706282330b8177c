"""Health probes over HTTP, for Kubernetes and similar platforms: an ASGI application to mount or to serve on its own port."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from ..asgi import Message, Receive, Send, answer_lifespan, send_response
from ..engine.operations.health import Health
from ..engine.runtime.operations import Operation
from ..error_text import error_text, short_type_name
from ..safe_logger import SafeLogger

logger = SafeLogger(logging.getLogger("aspyx.event.http"))

Check = Callable[[], Operation[Health]]


class HealthApp:
    """Answers ``GET .../livez`` and ``GET .../readyz`` with 200 or 503 and the health as JSON.

    Works with every ASGI server and framework: ``Mount("/health", HealthApp(manager.health))`` in Starlette,
    ``app.mount("/health", HealthApp(manager.health))`` in FastAPI.

    Concurrent requests share a check. The request's body is not read. The health names subscriptions and events,
    so serve it to the platform and not to the public.

    Args:
        check: `EventManager.health`.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._current: asyncio.Future[Health] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request or the lifespan of a server, as the ASGI specification describes."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        elif scope["type"] == "http":
            status, content = await self._answer(scope["method"], scope["path"])
            headers = [("content-type", "application/json"), ("cache-control", "no-store")]
            if status == 405:
                headers.append(("allow", "GET, HEAD"))
            await send_response(send, status, headers, json.dumps(content).encode(), head=scope["method"] == "HEAD")

    async def _answer(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        probe = path.rstrip("/").rpartition("/")[2]
        if probe not in ("livez", "readyz"):
            return 404, {"error": "only /livez and /readyz exist here"}
        if method not in ("GET", "HEAD"):
            return 405, {"error": "use GET"}
        try:
            health = await self._shared_check()
        except Exception as error:  # noqa: BLE001  a probe is always answered
            logger.warning("the health check failed: %s", error_text(error))
            reasons = [f"the health check failed: {short_type_name(error)}"]
            return 503, Health(live=False, ready=False, reasons=reasons).as_dict()
        healthy = health.live if probe == "livez" else health.live and health.ready
        return 200 if healthy else 503, health.as_dict()

    async def _shared_check(self) -> Health:
        """Run a check, or join the current one: many requests at once do not cause many messages to the broker."""
        current = self._current
        if current is None or current.done() or current.get_loop() is not asyncio.get_running_loop():
            current = self._current = asyncio.ensure_future(_await(self._check))
        return await asyncio.shield(current)


async def _await(check: Check) -> Health:
    return await check()
