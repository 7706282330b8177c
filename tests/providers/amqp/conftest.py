"""Fixtures of the AMQP provider's tests: started providers that stop with the test, waiting with a deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.base import Outgoing
from aspyx_event.testing import ManagementError
from aspyx_event.testing.conformance.rig import make_outgoing

Start = Callable[..., Awaitable[AMQPProvider]]


@pytest.fixture
async def connect(request) -> AsyncIterator[Start]:
    """Start a provider: `await connect()` for the shared broker, `await connect(own)` for another one."""
    started: list[AMQPProvider] = []

    async def start(at: Any = None, **options: Any) -> AMQPProvider:
        at = at or request.getfixturevalue("broker")
        options = {"host": at.host, "port": at.port, "user": at.user, "password": at.password, **options}
        provider = AMQPProvider(options.pop("server_name", "server"), **options)
        started.append(provider)
        await provider.start()
        return provider

    yield start
    for provider in started:
        await provider.stop()


@pytest.fixture
def outgoing() -> Callable[..., Outgoing]:
    """Make a message with a duplicate id of its own: `outgoing(address, b"body", {"header": "value"}, ttl=1)`."""

    def make(
        address: str, body: bytes | str = b"{}", headers: dict[str, str] | None = None, **options: Any
    ) -> Outgoing:
        data = body.encode() if isinstance(body, str) else body
        options.setdefault("dedup_id", uuid.uuid4().hex)
        options.setdefault("durable", True)
        return make_outgoing(address, data, headers, **options)

    return make


@pytest.fixture
def python_script(broker) -> Callable[[str], str]:
    """Run code in a process of its own and return what it printed; fails unless the process ends with code 0."""

    def run(code: str) -> str:
        prelude = f"BROKER = {json.dumps({'host': broker.host, 'port': broker.port, 'user': broker.user, 'password': broker.password})}\n"
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", prelude + code],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env={**os.environ, "PYTHONASYNCIODEBUG": "0"},
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
        return done.stdout

    return run


@pytest.fixture
def queues_of(management) -> Callable[[str], list[str]]:
    """Names of the queues bound to an address. The broker fails to list them while one of any address vanishes."""

    def names(address: str) -> list[str]:
        for _ in range(20):
            try:
                return management.queues_of(address)
            except ManagementError:
                time.sleep(0.05)
        return management.queues_of(address)

    return names
