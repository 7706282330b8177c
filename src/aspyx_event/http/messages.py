"""What comes in by HTTP and what is answered: posts, refusals, problem documents."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from ..asgi import Message, Receive, Send, answer
from ..exceptions import EventException


@dataclass(frozen=True, slots=True)
class Post:
    """A request that brings events.

    Attributes:
        headers: Names in lower case, with their values, in the order they came.
        body: The whole of it.
        query: The part of the URL behind the question mark, as it came.
    """

    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: str = ""

    def header(self, name: str) -> str:
        """Return the first header called *name*; "" where there is none."""
        lower = name.lower()
        return next((value for key, value in self.headers if key == lower), "")

    def parameter(self, name: str) -> str:
        """Return the first parameter of the query called *name*; "" where there is none."""
        return next((value for key, value in parse_qsl(self.query) if key == name), "")


#: Looks at a post before its events are read, and raises `Refusal` for one that is not to enter. Sync or async.
Interceptor = Callable[[Post], "Awaitable[None] | None"]


class Refusal(EventException):
    """The answer to a request that is not done, as a problem document (RFC 9457).

    Args:
        status: HTTP status code.
        detail: What is wrong, for the caller.
        headers: Further headers of the answer.
        **members: Further members of the document.
    """

    def __init__(self, status: int, detail: str, headers: Iterable[tuple[str, str]] = (), **members: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, tuple(headers)
        self.members = {name: value for name, value in members.items() if value not in (None, "")}

    @property
    def document(self) -> dict[str, Any]:
        """The problem document."""
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.members}


class ClientGoneError(EventException):
    """The client went away before its request was whole."""


def headers_of(scope: Message) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request; ASGI has their names in lower case already."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])


async def read_body(receive: Receive, declared: str, limit: int) -> bytes:
    """Return the body of a request.

    Args:
        receive: Of the ASGI server.
        declared: Its header Content-Length; "" where there is none.
        limit: Bytes it may have.

    Raises:
        Refusal: it has more; 413.
        ClientGoneError: it did not come whole.
    """
    too_large = Refusal(413, f"the body has more than {limit:,} bytes", limit=limit)
    if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def refuse(send: Send, refusal: Refusal) -> None:
    """Send a problem document."""
    body = json.dumps(refusal.document).encode()
    await answer(send, refusal.status, (("content-type", "application/problem+json"), *refusal.headers), body)
