"""Probes over HTTP: an ASGI application for Kubernetes and its like; mount it, or serve it on a port of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..asgi import Message, Receive, Send, answer, live
from ..engine.operations.health import Health
from ..engine.runtime.operations import Operation

Check = Callable[[], Operation[Health]]


class HealthApp:
    """Answers ``GET .../livez`` and ``GET .../readyz`` with 200 or 503 and the findings as JSON.

    Works with every ASGI server and framework: ``Mount("/health", HealthApp(manager.health))`` in Starlette,
    ``app.mount("/health", HealthApp(manager.health))`` in FastAPI.

    Args:
        check: `EventManager.health`.
    """

    def __init__(self, check: Check) -> None:
        self._check = check

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of a server; see the ASGI specification."""
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["type"] == "http":
            status, content = await self._answer(scope["method"], scope["path"])
            headers = (("content-type", "application/json"),)
            await answer(send, status, headers, json.dumps(content).encode(), head=scope["method"] == "HEAD")

    async def _answer(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        probe = path.rstrip("/").rpartition("/")[2]
        if probe not in ("livez", "readyz"):
            return 404, {"error": "only /livez and /readyz are here"}
        if method not in ("GET", "HEAD"):
            return 405, {"error": "use GET"}
        health = await self._check()
        good = health.live if probe == "livez" else health.live and health.ready
        return 200 if good else 503, health.as_dict()
