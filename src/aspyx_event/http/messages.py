"""HTTP requests and responses of the endpoint: posts, refusals, problem documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from ..asgi import Message, Receive, Send, send_response
from ..deadlines import within
from ..exceptions import EventException

#: Maximum size of all headers of a request together, and of its query.
MAX_HEADER_BYTES = 64 * 1024
#: Longer explanations are cut: they quote what the client sent.
_MAX_DETAIL = 2_000


@dataclass(frozen=True, slots=True)
class Post:
    """A request that carries events.

    Attributes:
        headers: Pairs of lower-case name and value, in the order of the request.
        body: The whole body.
        query: The raw query string of the URL.
    """

    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: str = ""

    def header(self, name: str) -> str:
        """Return the first header named *name*; "" if there is none."""
        lower = name.lower()
        return next((value for key, value in self.headers if key == lower), "")

    def parameter(self, name: str) -> str:
        """Return the first query parameter named *name*; "" if there is none."""
        return next((value for key, value in parse_qsl(self.query) if key == name), "")


#: Checks a post before its events are read, and raises `Refusal` to reject it. Sync or async.
Interceptor = Callable[[Post], "Awaitable[None] | None"]


class Refusal(EventException):
    """Rejects a request; the response is a problem document (RFC 9457).

    Args:
        status: HTTP status code.
        detail: Explanation for the client.
        headers: Further headers of the response.
        **members: Further members of the document.
    """

    def __init__(self, status: int, detail: str, headers: Iterable[tuple[str, str]] = (), **members: Any) -> None:
        detail = detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}..."
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, tuple(headers)
        self.members = {name: value for name, value in members.items() if value not in (None, "")}

    @property
    def document(self) -> dict[str, Any]:
        """The problem document."""
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.members}


class ClientDisconnectedError(EventException):
    """The client disconnected before its request was complete."""


def headers_of(scope: Message) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request. ASGI already has their names in lower case.

    Raises:
        Refusal: they are too large (431), or the query is (414); not every server limits them.
    """
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise Refusal(431, f"the headers have more than {MAX_HEADER_BYTES:,} bytes", limit=MAX_HEADER_BYTES)
    if len(scope.get("query_string", b"")) > MAX_HEADER_BYTES:
        raise Refusal(414, f"the query has more than {MAX_HEADER_BYTES:,} bytes", limit=MAX_HEADER_BYTES)
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])


async def read_body(receive: Receive, content_length: str, limit: int, timeout: float) -> bytes:
    """Return the body of a request.

    Args:
        receive: Of the ASGI server.
        content_length: Header Content-Length; "" if there is none.
        limit: Maximum size in bytes.
        timeout: Seconds for the whole body.

    Raises:
        Refusal: the body is larger (413), or not complete in time (408).
        ClientDisconnectedError: the client disconnected before the end of the body.
    """
    is_number = content_length.isascii() and content_length.isdigit() and len(content_length) < 20
    if is_number and int(content_length) > limit:
        raise _too_large(limit)
    try:
        return await within(_collect(receive, limit), timeout)
    except asyncio.TimeoutError:
        detail = f"the body was not complete within {timeout:g} s"
        raise Refusal(408, detail, (("connection", "close"),)) from None


async def _collect(receive: Receive, limit: int) -> bytes:
    # A single buffer: a list of many small parts would be far larger than the body.
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body has more than {limit:,} bytes", limit=limit)


async def refuse(send: Send, refusal: Refusal) -> None:
    """Send a problem document."""
    body = json.dumps(refusal.document).encode()
    await send_response(send, refusal.status, (("content-type", "application/problem+json"), *refusal.headers), body)
