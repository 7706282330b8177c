"""Receivers of webhooks that answer with too much, too slowly, or with something that is not what it says."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from dataclasses import dataclass

import httpx
import pytest

from aspyx_event import event
from aspyx_event.reactions import WebhookAnswer, webhook


@event(name="shop.order-placed", durable=True, source="/shop")
@dataclass
class OrderPlaced:
    order_id: int


class RawServer:
    """Answers each connection with fixed bytes, then with *drip* until the client disconnects."""

    def __init__(self, answer: bytes, drip: bytes = b"", pause: float = 0.0) -> None:
        self.answer, self.drip, self.pause = answer, drip, pause
        self.requests: list[bytes] = []
        self.sent = 0

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            while self.drip:
                writer.write(self.drip)
                await writer.drain()
                self.sent += len(self.drip)
                await asyncio.sleep(self.pause)
            await writer.drain()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def answering():
    """Starts a server: `server, address = await answering(answer, drip, pause)`."""
    servers = []

    async def start(*arguments):
        server = RawServer(*arguments)
        servers.append(server)
        return server, await server.start()

    yield start
    for server in servers:
        server.server.close()


def response(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ["HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {length or len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def post(manager, until, hook):
    subscription = await manager.subscribe(OrderPlaced, hook, name="hook")
    await manager.send_event(OrderPlaced(1))
    await until(lambda: subscription.stats.count or subscription.stats.dead_letters)
    await hook.aclose()
    return subscription


async def test_a_compressed_response_is_not_requested_and_not_expanded(manager, until, answering):
    bomb = gzip.compress(b"[" + b" " * 200_000_000 + b"]", compresslevel=9)
    server, address = await answering(response(bomb, "content-encoding: gzip"))
    hook = webhook(f"http://{address}/")
    began = time.process_time()
    subscription = await post(manager, until, hook)
    assert (subscription.stats.count, hook.last_answer) == (1, WebhookAnswer(200, None))
    assert b"accept-encoding: identity" in server.requests[0].lower()
    assert time.process_time() - began < 1, "the response was expanded"


async def test_an_endless_response_is_read_up_to_a_limit(manager, until, answering):
    server, address = await answering(response(b"", length=10**12), b"x" * 65536)
    hook = webhook(f"http://{address}/")
    subscription = await post(manager, until, hook)
    assert (subscription.stats.count, hook.last_answer) == (1, WebhookAnswer(200, None))
    assert server.sent < 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("answer", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"x-slow: 1\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["body", "headers", "early hints"],
)
async def test_the_timeout_limits_the_post_as_a_whole(manager, until, answering, answer, drip):
    _, address = await answering(answer, drip, 0.02)
    began = time.monotonic()
    subscription = await post(manager, until, webhook(f"http://{address}/", timeout=0.5))
    assert time.monotonic() - began < 3
    (letter,) = await manager.dead_letters.list()
    assert (subscription.stats.dead_letters, letter.cause.type.rpartition(".")[2]) == (1, "WebhookError")
    assert "0.5 s" in letter.cause.message


@pytest.mark.parametrize("body", [b"[" * 100_000, b"1" * 10_000, b"\xff\xfe", b'{"a": NaN}', b'"\xed\xa0\x80"'])
async def test_a_response_that_is_not_json_has_no_payload(manager, until, answering, body):
    _, address = await answering(response(body))
    hook = webhook(f"http://{address}/")
    subscription = await post(manager, until, hook)
    assert (subscription.stats.count, hook.last_answer) == (1, WebhookAnswer(200, None))


async def test_cookies_of_a_receiver_are_not_stored(manager, until, serve):
    seen = []

    async def application(scope, receive, send):
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]).get(b"cookie"))
            headers = [(b"set-cookie", f"c{len(seen)}={'x' * 100}".encode())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    hook = webhook(str((await serve(application)).base_url))
    await manager.subscribe(OrderPlaced, hook)
    for number in range(2):
        await manager.send_event(OrderPlaced(number))
    await until(lambda: len(seen) == 2)
    assert seen == [None, None]
    await hook.aclose()


async def test_a_log_line_of_httpx_shows_no_secret(manager, until, answering, caplog):
    caplog.set_level(logging.DEBUG)
    server, address = await answering(response(b"{}"))
    hook = webhook(f"http://user:s3cret@{address}/?token=s3cret", params={"key": "s3cret"})
    await post(manager, until, hook)
    assert b"authorization: basic" in server.requests[0].lower()
    assert any("HTTP Request" in message for message in caplog.messages)
    assert "s3cret" not in caplog.text


async def test_requests_of_the_application_are_logged_as_before(manager, until, answering, caplog):
    caplog.set_level(logging.INFO)
    _, address = await answering(response(b"{}"))
    await post(manager, until, webhook(f"http://{address}/"))
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get("http://example.org/?page=2")
    assert any("http://example.org/?page=2" in message for message in caplog.messages)
