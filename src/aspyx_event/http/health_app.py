"""Health probes over HTTP, for Kubernetes and similar platforms: an ASGI application to mount or to serve on its own port."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..asgi import Message, Receive, Send, answer_lifespan, send_response
from ..engine.operations.health import Health
from ..engine.runtime.operations import Operation

Check = Callable[[], Operation[Health]]


class HealthApp:
    """Answers ``GET .../livez`` and ``GET .../readyz`` with 200 or 503 and the health as JSON.

    Works with every ASGI server and framework: ``Mount("/health", HealthApp(manager.health))`` in Starlette,
    ``app.mount("/health", HealthApp(manager.health))`` in FastAPI.

    Args:
        check: `EventManager.health`.
    """

    def __init__(self, check: Check) -> None:
        self._check = check

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request or the lifespan of a server, as the ASGI specification describes."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        elif scope["type"] == "http":
            status, content = await self._answer(scope["method"], scope["path"])
            headers = (("content-type", "application/json"),)
            await send_response(send, status, headers, json.dumps(content).encode(), head=scope["method"] == "HEAD")

    async def _answer(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        probe = path.rstrip("/").rpartition("/")[2]
        if probe not in ("livez", "readyz"):
            return 404, {"error": "only /livez and /readyz exist here"}
        if method not in ("GET", "HEAD"):
            return 405, {"error": "use GET"}
        health = await self._check()
        healthy = health.live if probe == "livez" else health.live and health.ready
        return 200 if healthy else 503, health.as_dict()
