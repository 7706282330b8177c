"""`DocumentApp`: an ASGI application that serves the document and its page. Mount it, or run ``aspyx-event docs serve``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from ..asgi import Receive, Send, answer_lifespan, send_response
from .page import page_of


class DocumentApp:
    """Serves ``/`` (the page), ``/asyncapi.json`` and ``/asyncapi.yaml``.

    Args:
        document: Result of `ApplicationContracts.asyncapi`.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._answers = {
            "": ("text/html; charset=utf-8", page_of(document).encode()),
            "/asyncapi.json": ("application/json", as_json(document).encode()),
            "/asyncapi.yaml": ("application/yaml", as_yaml(document).encode()),
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"DocumentApp answers HTTP, not {scope['type']!r}")
        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        content_type, body = self._answers.get(path, ("text/plain; charset=utf-8", b"not found\n"))
        status = 200 if path in self._answers else 404
        headers = [("content-type", content_type), ("x-content-type-options", "nosniff")]
        if scope["method"] not in ("GET", "HEAD"):
            status, body = 405, b"only GET and HEAD are allowed\n"
            headers = [("content-type", "text/plain; charset=utf-8"), ("allow", "GET, HEAD")]
        await send_response(send, status, headers, body, head=scope["method"] == "HEAD")


def as_json(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML text."""
    # Through JSON, so that shared objects do not become YAML anchors and aliases.
    plain = json.loads(json.dumps(document))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))
