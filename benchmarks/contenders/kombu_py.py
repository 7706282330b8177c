"""kombu over RabbitMQ: persistent messages, each publish waits for its confirmation, acknowledgement after the handler.

It has no way to have several publishes wait at once; a second connection, in a thread, consumes.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from kombu import Connection, Consumer, Queue

from .. import turns
from ..measure import Sample, Stopwatch
from ..message import CONTENT_TYPE, Tally, raw_body, raw_headers
from ..settings import CONFIRM, CONSUME, END_TO_END, PUBLISH, Order
from ..timed import confirmed_blocking


class _Client:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._queue = Queue(order.queue, durable=True, routing_key=order.queue)
        self._tally, self._received, self._stop = Tally(), threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._producer: Any = None

    def run(self) -> dict[str, Sample]:
        order = self._order
        with self._connect() as connection:
            self._producer = connection.Producer()
            results = {CONFIRM: confirmed_blocking(order.confirms, self._send)}

            turns.wait()
            watch = Stopwatch()
            self._send_all()
            results[PUBLISH] = watch.stop(order.messages)

            self._expect(order.confirms, order.messages)
            turns.wait()
            watch = Stopwatch()
            consumer = threading.Thread(target=self._consume, daemon=True)
            consumer.start()
            self._wait()
            results[CONSUME] = watch.stop(order.waiting)

            self._expect(order.messages)
            turns.wait()
            watch = Stopwatch()
            self._send_all()
            self._wait()
            results[END_TO_END] = watch.stop(order.messages)
            self._stop.set()
            consumer.join(order.deadline)
        return results

    def _connect(self) -> Any:
        order = self._order
        url = f"amqp://{order.user}:{order.password}@{order.host}:{order.port}//"
        return Connection(url, transport_options={"confirm_publish": True})

    def _expect(self, *parts: int) -> None:
        self._tally = Tally(*parts)
        self._received.clear()

    def _wait(self) -> None:
        if not self._received.wait(self._order.deadline):
            raise TimeoutError(f"more than {self._order.deadline:g} s; {self._tally.left} messages did not come")
        if self._error is not None:
            raise self._error
        self._tally.verify()

    def _send_all(self) -> None:
        for number in range(self._order.messages):
            self._send(number)

    def _send(self, number: int) -> None:
        headers = raw_headers(self._order.address)
        self._producer.publish(
            raw_body(number),
            routing_key=self._order.queue,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            headers=headers,
            message_id=headers["cloudEvents_id"],
            delivery_mode=2,
        )

    def _consume(self) -> None:
        try:
            with self._connect() as connection, connection.channel() as channel:
                consumer = Consumer(
                    channel,
                    [self._queue],
                    on_message=self._on,
                    no_ack=False,
                    prefetch_count=self._order.prefetch,
                    auto_declare=False,
                )
                with consumer:
                    while not self._stop.is_set():
                        try:
                            connection.drain_events(timeout=0.2)
                        except TimeoutError:
                            continue
        except Exception as error:  # it would end with the thread, unseen
            self._error = error
            self._received.set()

    def _on(self, message: Any) -> None:
        assert message.headers["tenant"]
        complete = self._tally.add(json.loads(message.body)["order_id"])
        message.ack()
        if complete:
            self._received.set()


def run(order: Order) -> dict[str, Sample]:
    return _Client(order).run()
