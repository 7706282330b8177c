"""From curl over HTTP, Artemis and a listener of the container, out again as a webhook in the other mode."""

from __future__ import annotations

import asyncio
import shutil
import sys
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pytest
from aspyx.di import Environment, create, injectable, module
from fastapi import FastAPI
from starlette.routing import Route

from aspyx_event import (
    AMQPProvider,
    EventContext,
    EventListener,
    EventManager,
    EventModule,
    StompProvider,
    event,
    event_handler,
    event_listener,
)
from aspyx_event.cloudevents import CloudEvent, from_http
from aspyx_event.http import cloudevents_endpoint, lifespan_of
from aspyx_event.providers import Provider
from aspyx_event.reactions import Webhook, webhook

pytestmark = pytest.mark.broker

ORDERS, NOTES = "relay.order-placed", "relay.note"
PROVIDERS = {"amqp": AMQPProvider, "stomp": StompProvider}


@event(name=ORDERS, durable=True)
@dataclass
class OrderPlaced:
    order_id: int
    total: Decimal


@injectable()
class Ledger:
    """What the listeners write to."""

    def __init__(self) -> None:
        self.orders: list[tuple[OrderPlaced, EventContext]] = []
        self.notes: list[CloudEvent] = []


@event_listener(OrderPlaced, name="relay-billing")
class Billing(EventListener[OrderPlaced]):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def on(self, event: OrderPlaced, context: EventContext) -> None:
        self.ledger.orders.append((event, context))


@injectable()
class Notes:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @event_handler(NOTES, name="relay-notes")
    def keep(self, event: CloudEvent) -> None:
        self.ledger.notes.append(event)


@pytest.fixture(autouse=True)
def _an_event_the_broker_has_not_seen(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "EVENT_ID", str(uuid.uuid4()))


class Settings:
    """Where the broker is, for the module below."""

    kind: type[Provider] = AMQPProvider
    arguments: ClassVar[dict[str, object]] = {}


@module(imports=[EventModule])
class RelayModule:
    @create()
    def event_manager(self) -> EventManager:
        return EventManager(Settings.kind(server_name="relay", **Settings.arguments))


class Receiver:
    """Remembers what is posted to it."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            self.posts.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
            await send({"type": "http.response.start", "status": 202, "headers": []})
            await send({"type": "http.response.body"})


@pytest.fixture(params=["amqp", "stomp"])
async def relay(request, broker, management, serve):
    """The application's URL, its environment and its manager."""
    Settings.kind = PROVIDERS[request.param]  # type: ignore[assignment]
    Settings.arguments = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
    environment = Environment(RelayModule)
    manager = environment.get(EventManager)
    app = FastAPI(lifespan=lifespan_of(environment))
    app.router.routes.append(Route("/events", cloudevents_endpoint(manager)))
    client = await serve(app)
    yield f"{str(client.base_url).rstrip('/')}/events", environment.get(Ledger), manager
    await environment.stop()
    await asyncio.to_thread(management.destroy_queues, "relay")


async def curl(url: str, *arguments: str) -> str:
    """Run curl and return its status code."""
    program = shutil.which("curl")
    assert program, "this test posts with curl"
    process = await asyncio.create_subprocess_exec(
        program,
        "-sS",
        "--noproxy",
        "*",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        *arguments,
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode()


def binary(name: str) -> list[str]:
    headers = {"ce-specversion": "1.0", "ce-id": EVENT_ID, "ce-source": "/curl", "ce-type": name, "ce-subject": "Gr%C3%B6%C3%9Fe%205", "ce-tenant": '"blue sky"', "content-type": "application/json"}  # fmt: skip
    return [part for key, value in headers.items() for part in ("-H", f"{key}: {value}")]


def structured(name: str) -> list[str]:
    body = f'{{"specversion": "1.0", "id": "{EVENT_ID}", "source": "/curl", "type": "{name}", "subject": "Größe 5", "tenant": "blue sky", "data": {DATA}}}'
    return ["-H", "content-type: application/cloudevents+json", "--data-binary", body]


EVENT_ID = ""
DATA = '{"order_id": 7, "total": "9.90"}'
POSTS = {
    "binary": lambda name: [*binary(name), "--data-binary", DATA],
    "structured": structured,
    "batch": lambda name: [
        "-H",
        "content-type: application/cloudevents-batch+json",
        "--data-binary",
        f"[{structured(name)[-1]}]",
    ],
}
OTHER = {"binary": "structured", "structured": "binary", "batch": "binary"}


async def hooked(manager: EventManager, serve, name: str, mode: str) -> tuple[Receiver, Webhook]:
    receiver = Receiver()
    client = await serve(receiver)
    hook = webhook(f"{str(client.base_url).rstrip('/')}/hook", mode=mode)
    await manager.subscribe(name, hook, name=f"relay-hook-{mode}")
    return receiver, hook


@pytest.mark.parametrize("mode", POSTS)
async def test_what_curl_posts_reaches_a_listener_of_the_container_and_leaves_in_the_other_mode(
    relay, serve, until, mode
):
    url, ledger, manager = relay
    receiver, hook = await hooked(manager, serve, ORDERS, OTHER[mode])
    assert await curl(url, *POSTS[mode](ORDERS)) == "202"
    (found, context), *_ = await until(lambda: ledger.orders)
    assert found == OrderPlaced(7, Decimal("9.90"))
    assert (context.event_id, context.source, context.headers["cloudEvents_tenant"]) == (EVENT_ID, "/curl", "blue sky")
    headers, body = (await until(lambda: receiver.posts))[0]
    expected = CloudEvent(
        id=EVENT_ID, source="/curl", type=ORDERS, time=None, subject="Größe 5", tenant="blue sky", data={"order_id": 7, "total": "9.90"}
    )  # fmt: skip
    assert from_http(headers, body) == expected
    assert ("ce-id" in headers) == (OTHER[mode] == "binary")
    await hook.aclose()


async def test_an_event_without_a_class_reaches_a_handler_of_the_container(relay, serve, until):
    url, ledger, manager = relay
    receiver, hook = await hooked(manager, serve, NOTES, "structured")
    assert await curl(url, *POSTS["binary"](NOTES)) == "202"
    await until(lambda: ledger.notes and receiver.posts)
    assert ledger.notes[0].data == {"order_id": 7, "total": "9.90"}
    assert from_http(*receiver.posts[0]) == ledger.notes[0]
    await hook.aclose()


async def test_what_is_refused_does_not_reach_the_broker(relay, until):
    url, ledger, manager = relay
    assert await curl(url, *binary(ORDERS), "--data-binary", '{"order_id": "many"}') == "400"
    assert await curl(url, *binary("dead-letters.x"), "--data-binary", "{}") == "400"
    assert await curl(url, "-H", "content-type: application/cloudevents+avro", "--data-binary", "x") == "415"
    assert await curl(url, *POSTS["binary"](ORDERS)) == "202"
    await until(lambda: ledger.orders)
    assert len(ledger.orders) == 1
    assert [one.stats.failures for one in manager.list_subscriptions()] == [0] * len(manager.list_subscriptions())


async def test_the_same_event_posted_twice_is_stored_once(relay, until):
    url, ledger, _ = relay
    for _ in range(3):
        assert await curl(url, *POSTS["binary"](ORDERS)) == "202"
    assert await curl(url, *POSTS["binary"](ORDERS), "-H", "ce-id: other") == "400"  # the attribute stands twice
    assert (
        await curl(
            url, *[part.replace(f"ce-id: {EVENT_ID}", f"ce-id: {EVENT_ID}-2") for part in POSTS["binary"](ORDERS)]
        )
        == "202"
    )
    await until(lambda: [context.event_id for _, context in ledger.orders][-1:] == [f"{EVENT_ID}-2"])
    assert [context.event_id for _, context in ledger.orders] == [EVENT_ID, f"{EVENT_ID}-2"]


async def test_a_broker_that_is_killed_is_a_503_and_comes_back(own_broker, serve, until):
    own = own_broker()
    arguments = {"host": own.host, "port": own.port, "user": own.user, "password": own.password}
    manager = EventManager(AMQPProvider("relay", **arguments, heartbeat=2.0))
    async with manager:
        client = await serve(cloudevents_endpoint(manager, timeout=2.0, retry_after=3))
        headers = dict(part.split(": ", 1) for part in binary(ORDERS)[1::2])

        async def post(number: int):
            return await client.post("/", headers={**headers, "ce-id": str(number)}, content=DATA)

        assert (await post(1)).status_code == 202
        await asyncio.to_thread(own.kill)
        response = await post(2)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "3"
        await until(lambda: not manager.provider.connected)
        assert (await post(3)).status_code == 503
        await asyncio.to_thread(own.start)
        await until(lambda: manager.provider.connected, timeout=60)
        assert (await post(4)).status_code == 202
