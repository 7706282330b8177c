"""Helpers for ASGI applications without a framework: types, a complete response, a lifespan without work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def send_response(
    send: Send, status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", *, head: bool = False
) -> None:
    """Send a response.

    Args:
        send: Of the ASGI server.
        status: HTTP status code.
        headers: Content-Length is added.
        body: The whole body.
        head: The request was a HEAD: the body is not sent.
    """
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    pairs.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Answer the lifespan messages of a server for an application that has nothing to start or stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
