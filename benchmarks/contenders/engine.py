"""proton's protocol engine on an asyncio transport and nothing more: no futures, buffers, reconnects or event classes.

What there is to gain from the way the wire is driven, and what a framework on top of it is measured against.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import cproton as pn
from proton import Collector, Connection, Transport, symbol

from .. import turns
from ..measure import Sample, Stopwatch, joined
from ..message import CONTENT_TYPE, Latencies, Tally, at_pace, raw_body, raw_headers
from ..settings import CONFIRM, CONSUME, END_TO_END, PACED, PUBLISH, Order
from ..timed import confirmed
from .engine_sections import decode, encode

_MAX_FRAME = 32 * 1024
_SESSION_FRAMES = 2048


class _Wire(asyncio.Protocol):
    """One connection with a sender and, from `receive` on, a receiver."""

    def __init__(self, order: Order, client: _Client) -> None:
        self._client, self._order = client, order
        self._loop = asyncio.get_running_loop()
        self.attached = self._loop.create_future()
        self._connection, self._collector, self._transport = Connection(), Collector(), Transport()
        self._connection.collect(self._collector)
        self._connection.container, self._connection.hostname = "benchmark", order.host
        sasl = self._transport.sasl()
        sasl.allow_insecure_mechs = True
        if order.user:
            self._connection.user, self._connection.password = order.user, order.password
        sasl.allowed_mechs("PLAIN" if order.user else "ANONYMOUS")
        self._transport.max_frame_size = _MAX_FRAME
        self._transport.bind(self._connection)
        self._connection.open()
        self._session = self._connection.session()
        self._session.incoming_capacity = _SESSION_FRAMES * _MAX_FRAME
        self._session.open()
        self._link = self._session.sender("benchmark-send")
        self._link.source.address = "benchmark-send"
        self._link.target.address = order.address
        self._link.target.capabilities.put_object(symbol("topic"))
        self._link.open()
        self._sender = self._link._impl
        self._receiver: Any = None
        self._receiving: Any = None
        self._debt = self._tag = 0
        self._io: Any = None
        self._paused = self._flush_due = False

    def connection_made(self, transport: Any) -> None:
        self._io = transport
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.fail(exc or ConnectionError("the broker closed the connection"))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.flush()

    def data_received(self, data: bytes) -> None:
        at, size, transport = 0, len(data), self._transport._impl
        while at < size:
            room = pn.pn_transport_capacity(transport)
            taken = pn.pn_transport_push(transport, data if not at and size <= room else data[at : at + room])
            if taken <= 0:
                break
            at += taken
            self._dispatch()
        self.flush()

    def receive(self) -> None:
        """Attach a receiver to the queue and give it credit."""
        link = self._session.receiver("benchmark-receive")
        link.source.address = f"{self._order.address}::{self._order.queue}"
        link.source.capabilities.put_object(symbol("topic"))
        link.open()
        link.flow(self._order.prefetch)
        self._receiving, self._receiver = link, link._impl
        self.wake()

    @property
    def credit(self) -> int:
        return int(pn.pn_link_credit(self._sender))

    def send(self, data: bytes) -> None:
        self._tag += 1
        pn.pn_delivery(self._sender, b"%d" % self._tag)
        pn.pn_link_send(self._sender, data)
        pn.pn_link_advance(self._sender)
        if not self._flush_due:
            self.wake()

    def close(self) -> None:
        self._connection.close()
        self.flush()
        self._io.close()

    def wake(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what there is, once per turn of the loop."""
        self._flush_due = False
        self._dispatch()
        transport = self._transport._impl
        while not self._paused:
            size = pn.pn_transport_pending(transport)
            if size <= 0:
                return
            self._io.write(pn.pn_transport_peek(transport, size)[1])
            pn.pn_transport_pop(transport, size)

    def _dispatch(self) -> None:
        collector = self._collector._impl
        while not pn.isnull(event := pn.pn_collector_peek(collector)):
            kind = pn.pn_event_type(event)
            if kind == pn.PN_DELIVERY:
                self._on_delivery(pn.pn_event_delivery(event))
            elif kind == pn.PN_LINK_FLOW:
                if not self.attached.done():
                    self.attached.set_result(None)
                self._client.fill()
            elif kind in _FAILURES:
                self._client.fail(
                    ConnectionError(f"{self._connection.remote_condition or self._link.remote_condition}")
                )
            pn.pn_collector_pop(collector)

    def _on_delivery(self, delivery: Any) -> None:
        if pn.pn_delivery_link(delivery) == self._sender:
            state = pn.pn_delivery_remote_state(delivery)
            pn.pn_delivery_settle(delivery)
            if state != pn.PN_ACCEPTED:
                self._client.fail(RuntimeError(f"not accepted: outcome {state:#x}"))
            self._client.on_accepted()
        elif pn.pn_delivery_readable(delivery) and not pn.pn_delivery_partial(delivery):
            data = pn.pn_link_recv(self._receiver, pn.pn_delivery_pending(delivery))[1]
            pn.pn_link_advance(self._receiver)
            self._client.on_message(data)
            pn.pn_delivery_update(delivery, pn.PN_ACCEPTED)
            pn.pn_delivery_settle(delivery)
            self._debt += 1
            if self._debt * 4 >= self._order.prefetch:
                pn.pn_link_flow(self._receiver, self._debt)
                self._debt = 0
            self.wake()


_FAILURES = (
    pn.PN_CONNECTION_REMOTE_CLOSE,
    pn.PN_SESSION_REMOTE_CLOSE,
    pn.PN_LINK_REMOTE_CLOSE,
    pn.PN_LINK_REMOTE_DETACH,
    pn.PN_TRANSPORT_ERROR,
)


class _Client:
    """Goes through the kinds of work, one after the other, on one connection."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._done = asyncio.Event()
        self._error: BaseException | None = None
        self._to_send = self._sent = self._confirmed = self._window = 0
        self._tally, self._received = Tally(), True
        self._arrived: Callable[[int], None] | None = None
        self._wire: Any = None

    async def connect(self) -> None:
        order, loop = self._order, asyncio.get_running_loop()
        _, self._wire = await loop.create_connection(lambda: _Wire(order, self), order.host, order.port)
        await asyncio.wait_for(self._wire.attached, order.deadline)

    async def publish(self) -> None:
        await self.connect()
        await self._send_all()
        self._wire.close()

    async def run(self) -> dict[str, Sample]:
        order, results = self._order, {}
        await self.connect()

        results[CONFIRM] = await confirmed(order.confirms, self._send_one)

        await turns.waiting()
        watch = Stopwatch()
        await self._send_all()
        results[PUBLISH] = watch.stop(order.messages)

        self._expect(0, 0, order.confirms, order.messages)
        await turns.waiting()
        watch = Stopwatch()
        self._wire.receive()
        await self._finished()
        results[CONSUME] = watch.stop(order.waiting)

        await turns.waiting()
        watch = Stopwatch()
        await self._send_all(order.messages)
        results[END_TO_END] = watch.stop(order.messages)

        results[PACED] = joined([await self._paced(len(numbers)) for numbers in turns.portions(order.paced)])
        self._wire.close()
        return results

    async def _send_one(self, number: int) -> None:
        self._expect(1, 1)
        self._send(number)
        await self._finished()

    async def _paced(self, count: int) -> Sample:
        self._expect(count, 0, count)
        times = Latencies()
        self._arrived = times.arrived

        def send(number: int) -> None:
            times.sending(number)
            self._send(number)

        await turns.waiting()
        watch = Stopwatch()
        await at_pace(count, self._order.pace, send)
        await self._finished()
        return watch.stop(count, times.seconds)

    def fill(self) -> None:
        while self._sent < self._to_send and self._sent - self._confirmed < self._window and self._wire.credit > 0:
            self._send(self._sent)

    def on_accepted(self) -> None:
        self._confirmed += 1
        if self._window:
            self.fill()
        self._check()

    def on_message(self, data: bytes) -> None:
        body, properties = decode(data)
        assert properties["tenant"]
        order_id = json.loads(body)["order_id"]
        if self._arrived is not None:
            self._arrived(order_id)
        self._received = self._tally.add(order_id)
        if self._received:
            self._check()

    def fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._done.set()

    def _expect(self, to_send: int, window: int, *parts: int) -> None:
        self._to_send, self._sent, self._confirmed, self._window = to_send, 0, 0, window
        self._tally, self._received = Tally(*parts), not sum(parts)
        self._done.clear()

    async def _send_all(self, *received: int) -> None:
        self._expect(self._order.messages, self._order.in_flight, *received)
        self.fill()
        await self._finished()

    def _send(self, number: int) -> None:
        headers = raw_headers(self._order.address)
        self._sent += 1
        self._wire.send(encode(headers["cloudEvents_id"], CONTENT_TYPE, headers, raw_body(number)))

    def _check(self) -> None:
        if self._confirmed >= self._to_send and self._received:
            self._done.set()

    async def _finished(self) -> None:
        await asyncio.wait_for(self._done.wait(), self._order.deadline)
        if self._error is not None:
            raise self._error
        self._tally.verify()


async def publish(order: Order) -> None:
    """Publish the messages of an order and nothing else."""
    await _Client(order).publish()


def run(order: Order) -> dict[str, Sample]:
    return asyncio.run(_run(order))


async def _run(order: Order) -> dict[str, Sample]:
    return await _Client(order).run()
