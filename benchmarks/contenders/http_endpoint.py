"""Events posted by HTTP to the endpoint, beside a bare Starlette route that reads the body and answers.

Server (uvicorn) and clients share a process and a loop: what is compared is the work between them.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aspyx_event import EventManager, LocalProvider, event
from aspyx_event.cloudevents import CloudEvent, to_http
from aspyx_event.http import cloudevents_endpoint, lifespan_of

from .. import turns
from ..measure import Sample, Stopwatch, joined
from ..message import OrderPlaced, Tally
from ..message import order as make
from ..settings import CONFIRM, PUBLISH, Order

_CONNECTIONS = 16
_NAME = "bench.order-placed"


async def _bare(request: Request) -> Response:
    await request.body()
    return Response(status_code=202)


def _request(number: int) -> bytes:
    message = to_http(CloudEvent(type=_NAME, source="/bench", id=str(number), data=make(number)))
    lines = [f"{name}: {value}" for name, value in message.headers.items()]
    head = "\r\n".join(["POST /events HTTP/1.1", "host: bench", f"content-length: {len(message.body)}", *lines, "", ""])
    return head.encode() + message.body


class _Client:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, request: bytes) -> None:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 202"), head

    def close(self) -> None:
        self._writer.close()


async def _many(port: int, requests: list[bytes], connections: int) -> list[float]:
    """Post all requests over some connections; return the seconds that each took."""
    waiting, times = iter(requests), []

    async def work() -> None:
        client = _Client(*await asyncio.open_connection("127.0.0.1", port))
        for request in waiting:
            start = time.perf_counter()
            await client.post(request)
            times.append(time.perf_counter() - start)
        client.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return times


async def _measure(order: Order, application: Any, done: asyncio.Event | None = None) -> dict[str, Sample]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", access_log=False, ws="none"))
    serving = asyncio.create_task(server.serve([listening]))
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    await _many(port, [_request(-number) for number in range(1, 101)], _CONNECTIONS)
    samples = {}
    requests = [_request(number) for number in range(order.messages)]
    await turns.waiting()
    watch = Stopwatch()
    await _many(port, requests, _CONNECTIONS)
    samples[PUBLISH] = watch.stop(order.messages)
    done_in_turns = []
    for numbers in turns.portions(order.confirms):
        requests = [_request(order.messages + number) for number in numbers]
        await turns.waiting()
        watch = Stopwatch()
        times = await _many(port, requests, 1)
        done_in_turns.append(watch.stop(len(numbers), times))
    samples[CONFIRM] = joined(done_in_turns)
    if done is not None:
        await asyncio.wait_for(done.wait(), order.deadline)
    server.should_exit = True
    await serving
    return samples


def run(order: Order) -> dict[str, Sample]:
    if order.contender == "http-bare":
        return asyncio.run(_measure(order, Starlette(routes=[Route("/events", _bare, methods=["POST"])])))
    return asyncio.run(_endpoint(order))


async def _endpoint(order: Order) -> dict[str, Sample]:
    event(name=_NAME)(OrderPlaced)
    manager, tally, done = EventManager(LocalProvider()), Tally(order.messages + order.confirms), asyncio.Event()

    async def on(event: OrderPlaced) -> None:
        if event.order_id >= make(0).order_id and tally.add(event.order_id):
            done.set()

    await manager.subscribe(OrderPlaced, on, name="bench")
    application = Starlette(routes=[Route("/events", cloudevents_endpoint(manager))], lifespan=lifespan_of(manager))
    samples = await _measure(order, application, done)
    tally.verify()
    return samples
