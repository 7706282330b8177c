"""Clients of the HTTP endpoint and of the probes that send too much, too slowly, or something nested, long or invented."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aspyx_event import ConfirmTimeoutError, EventManager, LocalProvider, StateError, event
from aspyx_event.cloudevents import CloudEvent, to_http
from aspyx_event.exceptions import StoreUnavailableError
from aspyx_event.http import HealthApp, cloudevents_endpoint

HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "shop.order-placed", "ce-source": "/shop"}
JSON = {**HEADERS, "content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


@event(name="shop.order-placed", durable=True)
@dataclass
class OrderPlaced:
    order_id: int
    notes: Any = None


class Exchange:
    """A request in memory: its messages, and the response."""

    def __init__(self, *parts: bytes, pause: float = 0.0, endless: bool = False) -> None:
        self._parts, self._pause, self._endless = list(parts), pause, endless
        self.received = 0
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def receive(self):
        await asyncio.sleep(self._pause)
        part = self._parts.pop(0) if len(self._parts) > 1 or not self._endless else self._parts[0]
        self.received += len(part)
        return {"type": "http.request", "body": part, "more_body": self._endless or bool(self._parts)}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            self.body += message["body"]

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


async def request(application, *parts: bytes, headers=(), method="POST", path="/", query=b"", **options) -> Exchange:
    exchange = Exchange(*(parts or (b"",)), **options)
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": query}
    await application(scope, exchange.receive, exchange.send)
    return exchange


async def test_a_body_that_never_ends_is_refused_at_the_limit(manager):
    endpoint = cloudevents_endpoint(manager, max_body=100_000)
    exchange = await request(endpoint, b"x" * 1000, headers=JSON, endless=True)
    assert exchange.status == 413
    assert exchange.received <= 101_000


async def test_a_body_in_parts_of_two_bytes_is_read(manager):
    body = json.dumps({"order_id": 1, "notes": "x" * 200_000}).encode()
    parts = [body[start : start + 2] for start in range(0, len(body), 2)]
    assert (await request(cloudevents_endpoint(manager), *parts, headers=JSON)).status == 202


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_slow_body_has_a_single_deadline(manager, method):
    endpoint = cloudevents_endpoint(manager, receive_timeout=0.3)
    began = time.monotonic()
    exchange = await request(endpoint, b" ", headers=JSON, method=method, pause=0.05, endless=True)
    assert time.monotonic() - began < 2
    if method == "POST":
        assert exchange.status == exchange.problem["status"] == 408
        assert exchange.headers["connection"] == "close"


def _nested(depth: int) -> list[tuple[dict[str, str], bytes]]:
    deep = "[" * depth + "]" * depth
    members = '"specversion":"1.0","id":"1","source":"/s","type":"shop.order-placed"'
    return [
        (JSON, f'{{"order_id": 1, "notes": {deep}}}'.encode()),
        (JSON, deep.encode()),
        (STRUCTURED, f'{{{members},"data":{{"order_id":1,"notes":{deep}}}}}'.encode()),
        (STRUCTURED, f'{{{members},"ext":{deep}}}'.encode()),
        (BATCH, f'[{{{members},"data":{{"order_id":1,"notes":{deep}}}}}]'.encode()),
        (
            BATCH,
            f'[{{{members},"data":{{"order_id":1}}}},{{{members},"data":{{"order_id":1,"notes":{deep}}}}}]'.encode(),
        ),
        ({**JSON, "ce-type": "invented"}, deep.encode()),
    ]


@pytest.mark.parametrize("depth", [*range(150, 350, 13), *range(780, 1010, 7), 5_000, 100_000])
async def test_json_of_any_depth_is_taken_or_refused(manager, depth):
    endpoint = cloudevents_endpoint(manager)
    for headers, body in _nested(depth):
        exchange = await request(endpoint, body, headers=headers)
        assert exchange.status in (202, 400), exchange.body
        assert depth < 100_000 or exchange.status == 400


async def test_many_headers_and_long_queries_are_refused(manager):
    endpoint = cloudevents_endpoint(manager)
    many = [*JSON.items(), *((f"x-{number}", "y" * 100) for number in range(1000))]
    assert (await request(endpoint, b"{}", headers=many)).status == 431
    assert (await request(endpoint, b"{}", headers=JSON, query=b"a=b&" * 20_000)).status == 414
    extensions = [*JSON.items(), *((f"ce-x{number}", "y") for number in range(500))]
    exchange = await request(endpoint, b'{"order_id": 1}', headers=extensions)
    assert exchange.status == 413, "Limits.headers"


@pytest.mark.parametrize("attribute", ["id", "source", "type", "subject", "time", "dataschema", "ext"])
async def test_a_huge_attribute_is_refused_with_a_short_response(manager, attribute):
    members = {"specversion": "1.0", "id": "1", "source": "/s", "type": "shop.order-placed", attribute: "x" * 500_000}
    exchange = await request(cloudevents_endpoint(manager), json.dumps(members).encode(), headers=STRUCTURED)
    assert exchange.status in (400, 403, 413)
    assert len(exchange.body) < 5_000


async def test_invented_types_are_limited_and_known_ones_are_not(manager, until):
    got = []
    await manager.subscribe("foreign.known", got.append, name="known")
    await manager.subscribe(OrderPlaced, got.append, name="shop")
    endpoint = cloudevents_endpoint(manager, max_unknown_types=3)

    async def post(event_type):
        return await request(endpoint, b'{"order_id": 1}', headers={**JSON, "ce-type": event_type})

    assert [(await post(f"invented.{number}")).status for number in (1, 2, 3, 3, 1)] == [202] * 5
    refused = await post("invented.4")
    assert (refused.status, refused.problem["attribute"]) == (403, "type")
    assert [(await post(known)).status for known in ("foreign.known", "shop.order-placed")] == [202, 202]
    await until(lambda: len(got) == 2)
    patterns = cloudevents_endpoint(manager, types=["invented.*"], max_unknown_types=0)
    assert (await request(patterns, b"{}", headers={**JSON, "ce-type": "invented.9"})).status == 202


async def test_a_store_that_is_away_is_a_503(monkeypatch):
    manager = EventManager(LocalProvider())
    error = StoreUnavailableError("the event store at secret.host is unavailable")

    def fail(*_arguments, **_keywords):
        raise error

    monkeypatch.setattr(manager, "send_event", fail)
    exchange = await request(cloudevents_endpoint(manager), b"{}", headers=JSON)
    assert exchange.status == 503
    assert b"secret.host" not in exchange.body


names = st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-time", "ce-specversion", "content-type", "ce-subject"])
values = st.one_of(
    st.text(max_size=40), st.sampled_from(["application/json", STRUCTURED["content-type"], "a/b;" * 200])
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(names, values), st.binary(max_size=60), st.binary(max_size=20))
async def test_any_request_gets_a_response(headers, body, query):
    manager = EventManager(LocalProvider())
    exchange = await request(cloudevents_endpoint(manager), body, headers={**JSON, **headers}, query=query)
    assert exchange.status in (202, 400, 403, 408, 413, 415, 503)
    await manager.stop()


async def test_probes_at_the_same_time_share_a_check(manager):
    calls = 0
    release = asyncio.Event()

    async def check():
        nonlocal calls
        calls += 1
        await release.wait()
        return await manager.health()

    application = HealthApp(check)
    probes = [asyncio.ensure_future(request(application, method="GET", path="/readyz")) for _ in range(50)]
    await asyncio.sleep(0)
    probes[0].cancel()
    await asyncio.sleep(0)
    release.set()
    results = await asyncio.gather(*probes[1:])
    assert {exchange.status for exchange in results} == {200}
    assert calls == 1
    assert (await request(application, method="GET", path="/livez")).status == 200
    assert calls == 2


async def test_a_probe_answers_also_when_the_check_fails():
    async def check():
        raise StateError("the loop of secret.host has ended")

    for probe in ("livez", "readyz"):
        exchange = await request(HealthApp(check), method="GET", path=f"/{probe}")
        assert exchange.status == 503
        assert json.loads(exchange.body)["reasons"] == ["the health check failed: StateError"]


async def test_a_probe_does_not_read_the_body(manager):
    exchange = await request(HealthApp(manager.health), b"x" * 1000, method="GET", path="/readyz", endless=True)
    assert (exchange.status, exchange.received) == (200, 0)
    other = await request(HealthApp(manager.health), method="POST", path="/readyz")
    assert (other.status, other.headers["allow"]) == (405, "GET, HEAD")


class Silent(LocalProvider):
    """Confirms nothing."""

    name = "silent"

    def publish(self, message):
        return asyncio.get_running_loop().create_future()


async def test_the_timeout_of_a_post_is_the_timeout_of_its_send(monkeypatch):
    """An event that has not left when the client gets its 503 is not sent later."""
    async with EventManager(Silent()) as manager:
        receipts = []
        send_event = manager.send_event

        def spy(*arguments, **keywords):
            receipts.append(send_event(*arguments, **keywords))
            return receipts[-1]

        monkeypatch.setattr(manager, "send_event", spy)
        message = to_http(CloudEvent(id="1", type="shop.order-placed", source="/s", data={"order_id": 1}))
        exchange = await request(cloudevents_endpoint(manager, timeout=0.2), message.body, headers=message.headers)
        assert (exchange.status, exchange.headers["retry-after"]) == (503, "5")
        with pytest.raises(ConfirmTimeoutError):
            await receipts[0]
