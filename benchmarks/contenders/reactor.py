"""python-qpid-proton as its documentation shows it: a `MessagingHandler` in a `Container`, `Message` for each message."""

from __future__ import annotations

import json
import time
from typing import Any

from proton import Data, Message, symbol
from proton.handlers import MessagingHandler
from proton.reactor import Container, LinkOption

from .. import turns
from ..measure import Sample, Stopwatch, joined
from ..message import CONTENT_TYPE, Latencies, Tally, raw_body, raw_headers
from ..settings import CONFIRM, CONSUME, END_TO_END, PACED, PUBLISH, Order

# Seconds; the reactor stands still in the turns of others.
_HEARTBEAT = 60


class _Topic(LinkOption):  # type: ignore[misc]
    """Asks the broker for a multicast address, as ours does."""

    def apply(self, link: Any) -> None:
        capabilities = (link.target if link.is_sender else link.source).capabilities
        capabilities.put_array(False, Data.SYMBOL)
        capabilities.enter()
        capabilities.put_object(symbol("topic"))
        capabilities.exit()


class _Client(MessagingHandler):  # type: ignore[misc]
    """Goes through the kinds of work, one after the other, on one connection."""

    def __init__(self, order: Order) -> None:
        super().__init__(prefetch=order.prefetch, auto_accept=False)
        self.done: dict[str, list[Sample]] = {}
        self._order = order
        # What is sent, with how many unconfirmed, and what is received.
        self._works = iter(
            (
                *((CONFIRM, len(part), 1, 0) for part in turns.portions(order.confirms)),
                (PUBLISH, order.messages, order.in_flight, 0),
                (CONSUME, 0, 0, order.waiting),
                (END_TO_END, order.messages, order.in_flight, order.messages),
                *((PACED, len(part), 0, len(part)) for part in turns.portions(order.paced)),
            )
        )
        self._kind = ""
        self._to_send = self._sent = self._confirmed = self._window = 0
        self._all_received = True
        self._tally = Tally()
        self._watch: Stopwatch | None = None
        self._started = 0.0
        self._single: list[float] = []
        self._times = Latencies()
        self._connection: Any = None
        self._sender: Any = None
        self._receiver: Any = None
        self._timer: Any = None

    def on_start(self, event: Any) -> None:
        order = self._order
        credentials: dict[str, Any] = {"allowed_mechs": "ANONYMOUS"}
        if order.user:
            credentials = {"user": order.user, "password": order.password, "allowed_mechs": "PLAIN"}
        url = f"amqp://{order.host}:{order.port}"
        self._connection = event.container.connect(url, reconnect=False, heartbeat=_HEARTBEAT, **credentials)
        self._sender = event.container.create_sender(
            self._connection, order.address, name="benchmark-send", options=_Topic()
        )

    def on_sendable(self, event: Any) -> None:
        if self._watch is None:
            self._next(event)
        self._fill()

    def on_accepted(self, event: Any) -> None:
        self._confirmed += 1
        if self._kind == CONFIRM:
            self._single.append(time.perf_counter() - self._started)
        self._fill()
        self._check(event)

    def on_message(self, event: Any) -> None:
        message = event.message
        assert message.properties["tenant"]
        order_id = json.loads(bytes(message.body))["order_id"]
        if self._kind == PACED:
            self._times.arrived(order_id)
        self._all_received = self._tally.add(order_id)
        self.accept(event.delivery)
        if self._all_received:
            self._check(event)

    def on_rejected(self, event: Any) -> None:
        raise RuntimeError(f"not accepted: {event.delivery.remote.condition}")

    def on_released(self, event: Any) -> None:  # noqa: ARG002
        raise RuntimeError("a message was released by the broker")

    def on_link_error(self, event: Any) -> None:
        raise RuntimeError(f"link refused: {event.link.remote_condition}")

    def on_connection_error(self, event: Any) -> None:
        raise RuntimeError(f"connection refused: {event.connection.remote_condition}")

    def on_transport_error(self, event: Any) -> None:
        raise RuntimeError(f"connection lost: {event.transport.condition}")

    def on_timer_task(self, event: Any) -> None:
        if self._kind != PACED or self._sent == self._to_send:
            raise TimeoutError(f"{self._kind} took more than {self._order.deadline:g} s")
        self._times.sending(self._sent)
        self._send()
        self._schedule(event)

    def _next(self, event: Any) -> None:
        work = next(self._works, None)
        if self._timer is not None:
            self._timer.cancel()
        if work is None:
            self._connection.close()
            return
        self._kind, self._to_send, self._window, expected = work
        self._sent = self._confirmed = 0
        # What waits in the queue is of several turns, and each counts from 0.
        confirms = map(len, turns.portions(self._order.confirms))
        parts = (*confirms, self._order.messages) if self._kind == CONSUME else (expected,)
        self._tally, self._all_received = Tally(*parts), not expected
        self._single, self._times = [], Latencies()
        turns.wait()
        self._watch, self._started = Stopwatch(), time.perf_counter()
        self._schedule(event)
        if expected and self._receiver is None:
            self._receiver = event.container.create_receiver(
                self._connection,
                f"{self._order.address}::{self._order.queue}",
                name="benchmark-receive",
                options=_Topic(),
            )

    def _fill(self) -> None:
        sender = self._sender
        while self._sent < self._to_send and self._sent - self._confirmed < self._window and sender.credit > 0:
            self._started = time.perf_counter()
            self._send()

    def _send(self) -> None:
        headers = raw_headers(self._order.address)
        self._sender.send(
            Message(
                id=headers["cloudEvents_id"],
                body=raw_body(self._sent),
                inferred=True,
                durable=True,
                content_type=CONTENT_TYPE,
                properties=headers,
            )
        )
        self._sent += 1

    def _schedule(self, event: Any) -> None:
        """Plan the next paced send; in other kinds of work, and after the last one, the time limit."""
        delay = self._order.deadline
        if self._kind == PACED and self._sent < self._to_send:
            delay = max(0.0, self._started + self._sent / self._order.pace - time.perf_counter())
        self._timer = event.container.schedule(delay, self)

    def _check(self, event: Any) -> None:
        if self._confirmed < self._to_send or not self._all_received or self._watch is None:
            return
        messages = self._to_send or self._order.waiting
        single = {CONFIRM: self._single, PACED: self._times.seconds}.get(self._kind, ())
        self.done.setdefault(self._kind, []).append(self._watch.stop(messages, single))
        self._tally.verify()
        self._next(event)
        self._fill()


def run(order: Order) -> dict[str, Sample]:
    client = _Client(order)
    Container(client).run()
    return {kind: joined(samples) for kind, samples in client.done.items()}
