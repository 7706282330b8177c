"""The applications in examples/http_*, run as their users run them: a process of their own, asked with curl and httpx."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support_waiting import soon

from aspyx_event.cloudevents import CloudEvent, to_http
from aspyx_event.testing.broker import free_ports

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = {"authorization": "Bearer s3cret"}


@pytest.fixture
def example() -> Iterator:
    """Start an example: `client = example("http_fastapi")`; it ends with the test, in order."""
    started: list[tuple[subprocess.Popen[str], httpx.Client]] = []

    def start(name: str, **environ: str) -> httpx.Client:
        (port,) = free_ports(1)
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name / "main.py")],
            env={**os.environ, "PORT": str(port), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)
        started.append((process, client))

        def answers() -> bool:
            assert process.poll() is None, process.stdout.read()
            try:
                return client.get("/").status_code == 404
            except httpx.TransportError:
                return False

        soon(answers, name)
        return client

    yield start
    for process, client in reversed(started):
        client.close()
        process.terminate()
        output, _ = process.communicate(timeout=30)
        assert "Traceback" not in output, output


def check_shop(client: httpx.Client) -> None:
    assert client.post("/orders", json={"order_id": 1, "total": "9.90"}).status_code == 202
    for number, mode in ((2, "binary"), (3, "structured")):
        order = CloudEvent(type="shop.order-placed", source="/test", data={"order_id": number, "total": "1.10"})
        message = to_http(order, mode)
        assert client.post("/events", headers=message.headers, content=message.body).status_code == 202
    refused = to_http(CloudEvent(type="other.event", source="/test"))
    assert client.post("/events", headers=refused.headers).status_code == 403
    soon(lambda: client.get("/ledger").json() == {"1": "9.90", "2": "1.10", "3": "1.10"}, "three orders booked")


def test_the_fastapi_example_takes_orders_by_its_api_and_as_cloudevents(example):
    client = example("http_fastapi")
    check_shop(client)
    assert "/orders" in client.get("/openapi.json").json()["paths"]


@pytest.mark.broker
def test_the_fastapi_example_works_over_a_broker(example, broker):
    environ = {"ARTEMIS_HOST": broker.host, "ARTEMIS_PORT": str(broker.port)}
    client = example("http_fastapi", **environ, ARTEMIS_USER=broker.user, ARTEMIS_PASSWORD=broker.password)
    check_shop(client)


def test_the_curl_command_of_the_fastapi_example_works(example):
    client = example("http_fastapi")
    command = (EXAMPLES / "http_fastapi" / "main.py").read_text().split("curl ", 1)[1].split('"""', 1)[0]
    command = command.replace("\\\\\n", " ").replace("http://127.0.0.1:8000", str(client.base_url).rstrip("/"))
    done = subprocess.run(f"curl -s {command}", shell=True, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("HTTP/1.1 202"), done.stdout
    soon(lambda: client.get("/ledger").json() == {"1": "9.90"})


def test_the_starlette_example_relays_what_comes_in_with_the_secret(example):
    target = example("http_starlette", RELAY_SECRET="s3cret")
    # The relay's target is the same example once more: its secret comes with the URL.
    relay = example(
        "http_starlette", RELAY_SECRET="s3cret", RELAY_TARGET=str(target.base_url.join("/events?access_token=s3cret"))
    )
    message = to_http(CloudEvent(type="co.example.measured", source="/oven", data={"degrees": 220.5}))
    assert relay.post("/events", headers=message.headers, content=message.body).status_code == 401
    assert relay.post("/events", headers={**message.headers, **SECRET}, content=message.body).status_code == 202
    line = "co.example.measured of /oven: {'degrees': 220.5}"
    soon(lambda: relay.get("/seen").json() == [line], "seen by the relay")
    soon(lambda: target.get("/seen").json() == [line], "seen by its target")
    assert relay.get("/health/readyz").status_code == 200
