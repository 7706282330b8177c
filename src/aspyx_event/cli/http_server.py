"""A small HTTP/1.1 server for health probes and the documentation page: a single request per connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from urllib.parse import unquote

from ..asgi import Message, Receive, Send
from ..deadlines import within
from ..safe_logger import SafeLogger

#: An ASGI application.
App = Callable[[Message, Receive, Send], Awaitable[None]]
logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Seconds to read a request, and to answer it.
_TIMEOUT = 10.0
#: Bytes of a request line with its headers.
_HEAD_LIMIT = 16 * 1024
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HttpServer:
    """Serves an ASGI application inside an ``async with`` block.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free port.

    Attributes:
        port: The port; with 0, the port that was picked.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        self._app, self._host, self.port = app, host, port

    async def __aenter__(self) -> HttpServer:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, limit=_HEAD_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"connection", b"close")]
                writer.write(f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode())
                writer.write(b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n")
            else:
                writer.write(message["body"])

        try:
            head = await within(reader.readuntil(b"\r\n\r\n"), _TIMEOUT)
            method, path, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ", 2)
            scope = {"type": "http", "method": method, "path": unquote(path.partition("?")[0])}
            await within(self._app(scope, receive, send), _TIMEOUT)
        except (
            asyncio.TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ValueError,
            OSError,
        ) as error:
            logger.debug("request failed: %r", error)
        finally:
            writer.close()
