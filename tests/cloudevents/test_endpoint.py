"""The HTTP endpoint: what enters, what is refused and how, served by uvicorn and asked by a real client."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import pytest

from aspyx_event import ConfirmTimeoutError, DeclarationError, EventManager, Limits, LocalProvider, event
from aspyx_event.cloudevents import CloudEvent, to_http, to_http_batch
from aspyx_event.exceptions import NoRouteError
from aspyx_event.http import Post, Refusal, SharedSecret, Signature, cloudevents_endpoint, lifespan_of

BASE = {"id": "1234", "type": "shop.order-placed", "source": "/shop"}
HEADERS = {"ce-specversion": "1.0", **{f"ce-{name}": value for name, value in BASE.items()}}
JSON = {**HEADERS, "content-type": "application/json"}


@event(name="shop.order-placed", durable=True)
@dataclass
class OrderPlaced:
    order_id: int
    customer: str = ""


@pytest.fixture
async def shop(manager):
    """A listener on the manager of the test; the events and contexts it gets."""
    got = []
    await manager.subscribe(OrderPlaced, lambda event, context: got.append((event, context)), name="shop")
    return got


def order(number=7, **attributes) -> CloudEvent:
    return CloudEvent(**{**BASE, **attributes}, data={"order_id": number})


def problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document["title"]
    assert document["type"] == "about:blank"
    return document


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_a_posted_event_reaches_the_listener_of_its_class(manager, shop, serve, until, mode):
    client = await serve(cloudevents_endpoint(manager))
    message = to_http(order(tenant="blue", time="2018-04-05T17:31:00Z"), mode)
    response = await client.post("/", headers=message.headers, content=message.body)
    assert (response.status_code, response.content) == (202, b"")
    (got, context), *_ = await until(lambda: shop)
    assert got == OrderPlaced(7)
    assert (context.event_id, context.source, context.time) == ("1234", "/shop", "2018-04-05T17:31:00Z")
    assert context.headers["cloudEvents_tenant"] == "blue"


async def test_a_batch_enters_in_its_order(manager, shop, serve, until):
    client = await serve(cloudevents_endpoint(manager))
    message = to_http_batch([order(number, id=str(number)) for number in range(5)])
    assert (await client.post("/", headers=message.headers, content=message.body)).status_code == 202
    await until(lambda: len(shop) == 5)
    assert [got.order_id for got, _ in shop] == list(range(5))
    empty = to_http_batch([])
    assert (await client.post("/", headers=empty.headers, content=empty.body)).status_code == 202


async def test_the_payload_of_a_binary_post_is_sent_on_as_it_came(manager, serve, until):
    got = []
    await manager.subscribe(OrderPlaced, lambda event, context: got.append(context.envelope.body), name="raw")
    client = await serve(cloudevents_endpoint(manager))
    body = b'{ "order_id": 1,\n "unknown": 1.10 }'
    assert (await client.post("/", headers=JSON, content=body)).status_code == 202
    assert await until(lambda: got) == [body]


# Malformed events, by the rules of the specification: what the problem document names.
MALFORMED = [
    ({**JSON, "ce-id": ""}, b"{}", "id"),
    ({**JSON, "ce-type": "%20"}, b"{}", "type"),
    ({name: value for name, value in JSON.items() if name != "ce-source"}, b"{}", "source"),
    ({"content-type": "application/json"}, b"{}", "specversion"),
    ({**JSON, "ce-specversion": "0.3"}, b"{}", "specversion"),
    ({**JSON, "ce-my_ext": "x"}, b"{}", "my_ext"),
    ({**JSON, "ce-my-ext": "x"}, b"{}", "my-ext"),
    ({**JSON, "ce-time": "2020-01-01T00:00:00"}, b"{}", "time"),
    ({**JSON, "ce-subject": "%C0%A0"}, b"{}", "subject"),
    ({**JSON, "ce-subject": "%2"}, b"{}", "subject"),
    ({**JSON, "ce-subject": "a%0D%0Ax-evil: 1"}, b"{}", "subject"),
    ({**JSON, "ce-type": "shop.*"}, b"{}", "type"),
    ({**JSON, "ce-type": "dead-letters.shop"}, b"{}", "type"),
    ({**HEADERS, "content-type": "nonsense"}, b"{}", "datacontenttype"),
    (JSON, b"{broken", "data"),
    (JSON, b'{"order_id": "many"}', "data"),
    ({**HEADERS, "content-type": "text/plain; charset=ascii"}, b"\xff", "data"),
]
STRUCTURED_MALFORMED = [
    (b"{broken", None),
    (b"[]", None),
    (json.dumps({**BASE, "specversion": "1.0", "id": " "}).encode(), "id"),
    (json.dumps({**BASE, "specversion": "1.0", "ext": 2**31}).encode(), "ext"),
    (json.dumps({**BASE, "specversion": "1.0", "Ext": 1}).encode(), "Ext"),
    (json.dumps({**BASE, "specversion": "1.0", "data": 1, "data_base64": "AA=="}).encode(), "data_base64"),
    (json.dumps({**BASE, "specversion": "1.0", "data_base64": "%"}).encode(), "data_base64"),
    (json.dumps({**BASE, "specversion": "1.1"}).encode(), "specversion"),
    (json.dumps({**BASE, "specversion": "1.0", "time": "2020-01-01T00:00:00"}).encode(), "time"),
]
BATCH_MALFORMED = [
    (b"{}", None, "array"),
    (json.dumps([{**BASE, "specversion": "1.0"}, {**BASE, "specversion": "0.3"}]).encode(), "specversion", "event 1"),
    (json.dumps([{**BASE, "specversion": "1.0", "data": {"order_id": 1}}, 5]).encode(), None, "event 1"),
    (
        json.dumps([{**BASE, "specversion": "1.0", "data": {"order_id": number}} for number in (1, "many")]).encode(),
        "data",
        "order_id",
    ),
]


async def test_every_malformed_event_is_a_400_that_names_what_is_wrong_and_nothing_enters(manager, shop, serve, until):
    client = await serve(cloudevents_endpoint(manager))
    for headers, body, attribute in MALFORMED:
        document = problem(await client.post("/", headers=headers, content=body), 400)
        assert document.get("attribute") == attribute, document
        assert document["detail"]
    for body, attribute in STRUCTURED_MALFORMED:
        document = problem(
            await client.post("/", headers={"content-type": "application/cloudevents+json"}, content=body), 400
        )
        assert document.get("attribute") == attribute, document
    for body, attribute, text in BATCH_MALFORMED:
        document = problem(
            await client.post("/", headers={"content-type": "application/cloudevents-batch+json"}, content=body), 400
        )
        assert document.get("attribute") == attribute, document
        assert text in document["detail"]
    good = to_http(order(1))
    assert (await client.post("/", headers=good.headers, content=good.body)).status_code == 202
    # One that entered before it would be here before it.
    await until(lambda: shop)
    assert [got.order_id for got, _ in shop] == [1]


async def test_a_problem_says_which_field_of_the_class_is_wrong(manager, shop, serve):
    client = await serve(cloudevents_endpoint(manager))
    document = problem(await client.post("/", headers=JSON, content=b'{"order_id": "many"}'), 400)
    assert "order_id" in document["detail"]
    assert "shop.order-placed" in document["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+avro",
        "application/cloudevents",
        "application/cloudevents-batch+avro",
        "APPLICATION/CLOUDEVENTS+XML",
    ],
)
async def test_a_format_that_nobody_reads_is_a_415(manager, shop, serve, content_type):
    client = await serve(cloudevents_endpoint(manager))
    problem(await client.post("/", headers={**HEADERS, "content-type": content_type}, content=b"{}"), 415)
    assert not shop


async def test_a_body_of_20_mb_is_a_413(manager, shop, serve):
    client = await serve(cloudevents_endpoint(manager, max_body=100_000))

    async def pieces():
        for _ in range(20 * 16):
            yield b"x" * 65_536

    for content in (b"x" * 100_001, pieces()):
        document = problem(await client.post("/", headers=JSON, content=content), 413)
        assert document["limit"] == 100_000
    fits = b'{"order_id": 1, "customer": "' + b"x" * 90_000 + b'"}'
    assert (await client.post("/", headers=JSON, content=fits)).status_code == 202


async def test_a_batch_of_too_many_events_is_a_413(manager, shop, serve):
    client = await serve(cloudevents_endpoint(manager, max_batch=2))
    message = to_http_batch([order(number, id=str(number)) for number in range(3)])
    problem(await client.post("/", headers=message.headers, content=message.body), 413)
    assert not shop


async def test_an_event_that_is_too_large_for_the_manager_is_a_413(serve):
    async with EventManager(LocalProvider(), limits=Limits(body=100)) as manager:
        client = await serve(cloudevents_endpoint(manager))
        problem(await client.post("/", headers=JSON, content=b'{"a": "' + b"x" * 100 + b'"}'), 413)


async def test_other_methods_are_a_405_that_names_the_right_ones(manager, serve):
    client = await serve(cloudevents_endpoint(manager))
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        response = await client.request(method, "/")
        assert response.status_code == 405
        assert response.headers["allow"] == "OPTIONS, POST"


class Away(LocalProvider):
    """A provider whose broker is away, or does not take anything."""

    name = "away"
    there = True
    error: Exception | None = None
    silent = False

    @property
    def connected(self):
        return self.there

    def publish(self, message):
        if self.error is None and not self.silent:
            return super().publish(message)
        answer = asyncio.get_running_loop().create_future()
        if self.error is not None:
            answer.set_exception(self.error)
        return answer


async def test_a_broker_that_is_away_is_a_503_with_retry_after_and_nothing_enters(serve, until):
    provider = Away()
    async with EventManager(provider) as manager:
        got = []
        await manager.subscribe(OrderPlaced, got.append, name="shop")
        client = await serve(cloudevents_endpoint(manager, retry_after=7, timeout=2.0))
        message = to_http(order())

        async def post():
            return await client.post("/", headers=message.headers, content=message.body)

        provider.there = False
        response = await post()
        problem(response, 503)
        assert response.headers["retry-after"] == "7"
        provider.there = True
        for error in (ConfirmTimeoutError("secret host"), NoRouteError("secret host")):
            provider.error = error
            response = await post()
            assert "secret" not in str(problem(response, 503))
            assert response.headers["retry-after"] == "7"
        provider.error, provider.silent = None, True
        problem(await post(), 503)
        assert not got
        provider.silent = False
        assert (await post()).status_code == 202
        await until(lambda: got)


async def test_a_stopped_manager_is_a_503(serve):
    manager = EventManager(LocalProvider())
    client = await serve(cloudevents_endpoint(manager))
    await manager.stop()
    response = await client.post("/", headers=JSON, content=b"{}")
    problem(response, 503)


async def test_an_event_nobody_would_get_is_refused_where_it_is_asked_for(manager, serve):
    lenient, strict = cloudevents_endpoint(manager), cloudevents_endpoint(manager, require_route=True)
    assert (await (await serve(lenient)).post("/", headers=JSON, content=b"{}")).status_code == 202
    problem(await (await serve(strict)).post("/", headers=JSON, content=b"{}"), 503)


async def test_only_the_listed_types_may_enter(manager, shop, serve):
    client = await serve(cloudevents_endpoint(manager, types=["shop.*", "co.example.one"]))
    for name, status in (
        ("shop.order-placed", 202),
        ("co.example.one", 202),
        ("co.example.two", 403),
        ("xshop.a", 403),
    ):
        response = await client.post("/", headers={**JSON, "ce-type": name}, content=b'{"order_id": 1}')
        assert response.status_code == status, name
    batch = to_http_batch([order(), order(type="co.example.two")])
    assert problem(await client.post("/", headers=batch.headers, content=batch.body), 403)["attribute"] == "type"


async def test_http_headers_travel_with_the_event_where_they_are_named(manager, shop, serve, until):
    client = await serve(cloudevents_endpoint(manager, forward=["X-Request-Id", "X-Absent"]))
    headers = {**JSON, "X-Request-Id": "r1", "X-Other": "x"}
    assert (await client.post("/", headers=headers, content=b'{"order_id": 1}')).status_code == 202
    (_, context), *_ = await until(lambda: shop)
    assert context.headers["x-request-id"] == "r1"
    assert "x-other" not in context.headers


async def test_the_validation_handshake_grants_what_is_configured(manager, serve):
    client = await serve(cloudevents_endpoint(manager, webhook_origins=["emitter.example.com"], webhook_rate=100))
    asked = {"WebHook-Request-Origin": "emitter.example.com", "WebHook-Request-Rate": "120"}
    response = await client.options("/", headers=asked)
    assert response.status_code == 200
    assert response.headers["allow"] == "OPTIONS, POST"
    assert response.headers["webhook-allowed-origin"] == "emitter.example.com"
    assert response.headers["webhook-allowed-rate"] == "100"
    asked["WebHook-Request-Rate"] = "60"
    assert (await client.options("/", headers=asked)).headers["webhook-allowed-rate"] == "60"
    asked["WebHook-Request-Rate"] = "plenty"
    assert (await client.options("/", headers=asked)).headers["webhook-allowed-rate"] == "100"


async def test_the_validation_handshake_refuses_other_origins(manager, serve):
    for origins in ((), ["emitter.example.com"]):
        client = await serve(cloudevents_endpoint(manager, webhook_origins=origins))
        response = await client.options("/", headers={"WebHook-Request-Origin": "other.example.com"})
        problem(response, 403)
        assert not {name for name in response.headers if name.startswith("webhook-")}
        without = await client.options("/")
        assert (without.status_code, without.headers["allow"]) == (200, "OPTIONS, POST")
        assert not {name for name in without.headers if name.startswith("webhook-")}


async def test_the_validation_handshake_may_grant_all_origins(manager, serve):
    client = await serve(cloudevents_endpoint(manager, webhook_origins="*"))
    response = await client.options("/", headers={"WebHook-Request-Origin": "any.example.com"})
    assert response.headers["webhook-allowed-origin"] == "*"
    assert response.headers["webhook-allowed-rate"] == "*"


async def test_a_shared_secret_lets_in_who_knows_it(manager, shop, serve):
    client = await serve(cloudevents_endpoint(manager, interceptors=[SharedSecret("old", "new")]))
    for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic new"}, {"authorization": "Bearer"}):
        response = await client.post("/", headers={**JSON, **given}, content=b'{"order_id": 1}')
        problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    assert not shop
    for number, given in enumerate(({"authorization": "Bearer old"}, {"Authorization": "bearer new"})):
        response = await client.post("/", headers={**JSON, **given}, content=b'{"order_id": %d}' % number)
        assert response.status_code == 202
    response = await client.post("/?access_token=new", headers=JSON, content=b'{"order_id": 3}')
    assert response.status_code == 202
    assert response.headers["cache-control"] == "private"
    problem(await client.post("/?access_token=wrong", headers=JSON, content=b"{}"), 401)


async def test_a_signature_lets_in_what_is_signed(manager, shop, serve):
    signature = Signature("new", "old")
    client = await serve(cloudevents_endpoint(manager, interceptors=[signature]))
    message = to_http(order(), "structured")
    for given in ({}, {"x-signature-256": "sha256=00"}, {"x-signature-256": signature.sign(b"other")}):
        problem(await client.post("/", headers={**message.headers, **given}, content=message.body), 401)
    for signed in (signature.sign(message.body), Signature("old").sign(message.body)):
        headers = {**message.headers, signature.header: signed}
        assert (await client.post("/", headers=headers, content=message.body)).status_code == 202


async def test_a_signature_does_not_cover_headers_so_binary_mode_is_refused(manager, shop, serve):
    signed = {**JSON, "x-signature-256": Signature("s").sign(b'{"order_id": 1}')}
    client = await serve(cloudevents_endpoint(manager, interceptors=[Signature("s")]))
    problem(await client.post("/", headers=signed, content=b'{"order_id": 1}'), 403)
    client = await serve(cloudevents_endpoint(manager, interceptors=[Signature("s", binary=True)]))
    assert (await client.post("/", headers=signed, content=b'{"order_id": 1}')).status_code == 202


async def test_an_interceptor_of_ones_own_may_refuse(manager, shop, serve):
    async def closed(post: Post) -> None:
        if post.header("X-Tenant") != "blue":
            raise Refusal(429, "too many", [("retry-after", "60")], tenant="none")

    client = await serve(cloudevents_endpoint(manager, interceptors=[closed]))
    response = await client.post("/", headers=JSON, content=b'{"order_id": 1}')
    assert problem(response, 429)["tenant"] == "none"
    assert response.headers["retry-after"] == "60"
    assert (await client.post("/", headers={**JSON, "x-tenant": "blue"}, content=b'{"order_id": 1}')).status_code == 202


@pytest.mark.parametrize("empty", [(), ("",), ("a", "")])
@pytest.mark.parametrize("kind", [SharedSecret, Signature])
def test_an_empty_secret_is_refused(kind, empty):
    with pytest.raises(DeclarationError, match="secret"):
        kind(*empty)


@pytest.mark.parametrize(
    "option", [{"max_body": 0}, {"max_batch": 0}, {"timeout": 0}, {"retry_after": -1}, {"webhook_rate": 0}]
)
def test_impossible_options_are_refused(option):
    with pytest.raises(DeclarationError, match="numbers"):
        cloudevents_endpoint(EventManager(LocalProvider()), **option)


async def test_served_on_its_own_it_starts_and_stops_the_manager(serve):
    manager = EventManager(LocalProvider())
    endpoint = cloudevents_endpoint(manager)
    started, stopped = [], []

    async def seen(scope, receive, send):
        async def tell(message):
            (started if message["type"] == "lifespan.startup.complete" else stopped).append(manager.running)
            await send(message)

        await endpoint(scope, receive, tell if scope["type"] == "lifespan" else send)

    client = await serve(seen)
    assert (await client.post("/", headers=JSON, content=b"{}")).status_code == 202
    assert started == [True]


async def test_a_lifespan_starts_in_order_and_stops_in_the_other():
    log = []

    class Part:
        def __init__(self, name, fails=False):
            self.name, self.fails = name, fails

        async def start(self):
            log.append(f"start {self.name}")
            if self.fails:
                raise RuntimeError(self.name)

        async def stop(self):
            log.append(f"stop {self.name}")

    async with lifespan_of(Part("a"), Part("b"))(None):
        log.append("serve")
    assert log == ["start a", "start b", "serve", "stop b", "stop a"]
    log.clear()
    with pytest.raises(RuntimeError, match="b"):
        async with lifespan_of(Part("a"), Part("b", fails=True), Part("c"))(None):
            pass
    assert log == ["start a", "start b", "stop b", "stop a"]


async def test_a_client_that_goes_away_leaves_nothing_behind(manager, shop):
    endpoint = cloudevents_endpoint(manager)
    messages = [{"type": "http.request", "body": b'{"order_id"', "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in JSON.items()]
    await endpoint({"type": "http", "method": "POST", "headers": headers}, receive, send)
    assert not sent
    assert not shop


async def test_a_body_is_not_read_beyond_the_limit(manager):
    parts = sent = 0

    async def receive():
        nonlocal parts
        parts += 1
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async def send(message):
        nonlocal sent
        sent = message.get("status", sent)

    headers = [(name.encode(), value.encode()) for name, value in JSON.items()]
    endpoint = cloudevents_endpoint(manager, max_body=100_000)
    await endpoint({"type": "http", "method": "POST", "headers": headers}, receive, send)
    assert (sent, parts) == (413, 2)
    declared = [*headers, (b"content-length", b"20000000")]
    await endpoint({"type": "http", "method": "POST", "headers": declared}, receive, send)
    assert (sent, parts) == (413, 2)
