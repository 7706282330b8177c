"""The webhook reaction: what is posted in which mode, and what becomes of the answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import httpx
import pytest

from aspyx_event import DeclarationError, Envelope, EventManager, LocalProvider, Retry, event
from aspyx_event.cloudevents import CloudEvent, from_http
from aspyx_event.exceptions import WebhookRefusedError
from aspyx_event.http import Signature, cloudevents_endpoint
from aspyx_event.providers.base import Outgoing
from aspyx_event.reactions import WebhookAnswer, webhook


@event(name="shop.order-placed", durable=True, source="/shop")
@dataclass
class OrderPlaced:
    order_id: int
    customer: str = "Jürgen"


class Receiver:
    """An ASGI application that remembers requests and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes, str]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.requests.append((headers, body, scope["query_string"].decode()))
        status, extra, content = self.answers.pop(0) if self.answers else (204, {}, b"")
        pairs = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": content})


@pytest.fixture
async def receiver(serve):
    """A receiver, and the URL it is at."""
    application = Receiver()
    client = await serve(application)
    application.url = str(client.base_url)
    return application


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_an_event_is_posted_as_the_cloudevent_that_it_is(manager, receiver, until, mode):
    hook = webhook(f"{receiver.url}?b=2", mode=mode, params={"a": "1"}, headers={"x-tenant": "blue"})
    await manager.subscribe(OrderPlaced, hook)
    receipt = manager.send_event(OrderPlaced(7))
    await receipt
    headers, body, query = (await until(lambda: receiver.requests))[0]
    posted = from_http(headers, body)
    assert (posted.id, posted.type, posted.source) == (receipt.id, "shop.order-placed", "/shop")
    assert posted.data == {"order_id": 7, "customer": "Jürgen"}
    assert (headers["x-tenant"], query) == ("blue", "b=2&a=1")
    assert ("ce-id" in headers) == (mode == "binary")
    assert (json.loads(body) if mode == "binary" else json.loads(body)["data"]) == posted.data
    await until(lambda: hook.last_answer)
    assert hook.last_answer == WebhookAnswer(204)
    await hook.aclose()


async def test_a_cloudevent_goes_out_as_it_came_in(manager, receiver, until):
    sent = CloudEvent(
        type="co.example.x", source="/s", subject='"50 %"', data="Größe", datacontenttype="text/plain", n=5
    )
    for mode in ("binary", "structured"):
        hook = webhook(receiver.url, mode=mode)
        await manager.subscribe("co.example.x", hook, name=mode)
    await manager.send_event(sent)
    await until(lambda: len(receiver.requests) == 2)
    assert [from_http(headers, body) for headers, body, _ in receiver.requests] == [sent, sent]


@pytest.mark.parametrize(
    ("payload", "posted"),
    [({"text": "hello"}, {"text": "hello"}), (lambda event: {"order": event.order_id}, {"order": 7})],
)
async def test_a_payload_of_ones_own_is_posted_as_json_in_place_of_the_event(manager, receiver, until, payload, posted):
    await manager.subscribe(OrderPlaced, webhook(receiver.url, payload))
    await manager.send_event(OrderPlaced(7))
    headers, body, _ = (await until(lambda: receiver.requests))[0]
    assert json.loads(body) == posted
    assert headers["content-type"] == "application/json"
    assert "ce-id" not in headers


async def test_the_answer_can_be_read(manager, receiver, until):
    receiver.answers = [
        (200, {"content-type": "application/json"}, b'{"a": 1}'),
        (200, {"content-type": "text/html"}, b"<html>"),
    ]
    hook = webhook(receiver.url)
    subscription = await manager.subscribe(OrderPlaced, hook)
    await manager.send_event(OrderPlaced(1))
    await until(lambda: subscription.stats.count == 1)
    assert hook.last_answer == WebhookAnswer(200, {"a": 1})
    await manager.send_event(OrderPlaced(2))
    await until(lambda: subscription.stats.count == 2)
    assert hook.last_answer == WebhookAnswer(200, None)


async def test_what_is_not_taken_is_tried_again_by_the_subscription(manager, receiver, until):
    receiver.answers = [(500, {}, b""), (503, {}, b"")]
    subscription = await manager.subscribe(OrderPlaced, webhook(receiver.url), retry=Retry(attempts=3, delay=0.01))
    await manager.send_event(OrderPlaced(1))
    await until(lambda: subscription.stats.count == 1)
    assert len(receiver.requests) == 3
    assert len({headers["ce-id"] for headers, _, _ in receiver.requests}) == 1


async def test_retries_of_the_webhook_wait_as_long_as_the_receiver_asks(manager, receiver, until):
    receiver.answers = [(429, {"retry-after": "1"}, b""), (503, {"retry-after": "99999"}, b"")]
    hook = webhook(receiver.url, retry=Retry(attempts=3, delay=0.01, max_delay=1.2))
    subscription = await manager.subscribe(OrderPlaced, hook)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await manager.send_event(OrderPlaced(1))
    await until(lambda: subscription.stats.count == 1)
    assert loop.time() - start > 2
    assert subscription.stats.failures == 0


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 415])
async def test_a_refusal_is_not_tried_again(manager, receiver, until, status):
    receiver.answers = [(status, {"location": receiver.url}, b"")]
    hook = webhook(receiver.url, retry=Retry(attempts=5, delay=0.01))
    policy = Retry(attempts=5, delay=0.01, never=(WebhookRefusedError,))
    subscription = await manager.subscribe(OrderPlaced, hook, retry=policy, name="hook")
    await manager.send_event(OrderPlaced(1))
    await until(lambda: subscription.stats.dead_letters)
    assert len(receiver.requests) == 1
    letter = (await manager.dead_letters.list())[0]
    assert letter.cause.type.endswith("WebhookRefusedError")
    assert str(status) in letter.cause.message


async def test_a_receiver_that_is_away_or_silent_is_an_error_without_the_urls_secrets(manager, until):
    async def silent(reader, writer):
        await asyncio.sleep(5)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    urls = (f"http://127.0.0.1:{port}/?token=secret", "http://127.0.0.1:1/?token=secret")
    for number, url in enumerate(urls):
        subscription = await manager.subscribe(OrderPlaced, webhook(url, timeout=0.1), name=f"hook-{number}")
    await manager.send_event(OrderPlaced(1))
    await until(lambda: subscription.stats.dead_letters)
    await until(lambda: all(one.stats.dead_letters for one in manager.list_subscriptions()))
    for letter in await manager.dead_letters.list():
        assert letter.cause.type.endswith("WebhookError")
        assert "secret" not in letter.cause.message
    server.close()


async def test_a_signed_webhook_is_let_in_by_the_endpoint(serve, until):
    signature, got = Signature("a long random text"), []
    async with EventManager(LocalProvider()) as receiving, EventManager(LocalProvider()) as sending:
        await receiving.subscribe("shop.order-placed", lambda event: got.append(event), name="shop")
        client = await serve(cloudevents_endpoint(receiving, interceptors=[signature]))
        hook = webhook(str(client.base_url), mode="structured", signature=signature)
        await sending.subscribe(OrderPlaced, hook)
        await sending.send_event(OrderPlaced(7))
        await until(lambda: got)
        assert got[0].data["order_id"] == 7
        await hook.aclose()


async def test_a_client_of_ones_own_is_used_and_left_open(manager, until):
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        hook = webhook("https://example.org", client=client)
        await manager.subscribe(OrderPlaced, hook)
        await manager.send_event(OrderPlaced(7))
        await until(lambda: seen)
        await hook.aclose()
        assert not client.is_closed


async def test_a_message_that_is_no_cloudevent_is_a_dead_letter_at_once(manager, receiver, until):
    subscription = await manager.subscribe(
        "co.example.x", webhook(receiver.url), retry=Retry(attempts=5), resumable=True
    )
    await manager.provider.publish(Outgoing(address="co.example.x", envelope=Envelope(b"{}", {}), dedup_id="1"))
    await until(lambda: subscription.stats.dead_letters)
    assert not receiver.requests


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://x"},
        {"url": "http://"},
        {"url": "http://x:8000events"},
        {"url": ""},
        {"url": None},
        {"url": "http://x", "mode": "json"},
        {"url": "http://x", "timeout": 0},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(DeclarationError, match="webhook"):
        webhook(**options)


async def test_a_payload_that_is_no_json_is_a_dead_letter_at_once(manager, receiver, until):
    hook = webhook(receiver.url, lambda event: object())
    subscription = await manager.subscribe(OrderPlaced, hook, retry=Retry(attempts=5))
    await manager.send_event(OrderPlaced(7))
    await until(lambda: subscription.stats.dead_letters)
    assert (subscription.stats.failures, receiver.requests) == (1, [])


def test_a_repr_shows_no_query():
    assert "secret" not in repr(webhook("http://x/?token=secret"))
