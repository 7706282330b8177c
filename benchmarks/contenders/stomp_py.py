"""stomp.py as its documentation shows it: a connection, a listener on its receiver thread, sends on the main thread."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import stomp

from .. import turns
from ..measure import Sample, Stopwatch, joined
from ..message import CONTENT_TYPE, Latencies, Tally, raw_body, raw_headers
from ..settings import CONFIRM, CONSUME, END_TO_END, PACED, PUBLISH, Order
from ..timed import confirmed_blocking


class _Client(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self, order: Order) -> None:
        self._order = order
        self._connection = stomp.StompConnection12([(order.host, order.port)], heartbeats=(10_000, 10_000))
        self._connection.set_listener("benchmark", self)
        self._free = threading.Semaphore(order.in_flight)
        self._confirmed = self._to_confirm = 0
        self._all_confirmed, self._all_received = threading.Event(), threading.Event()
        self._tally = Tally()
        self._times: Latencies | None = None
        self._error: BaseException | None = None

    def run(self) -> dict[str, Sample]:
        order = self._order
        credentials = {"username": order.user, "passcode": order.password} if order.user else {}
        self._connection.connect(wait=True, **credentials)
        results = {CONFIRM: confirmed_blocking(order.confirms, self._send_one)}

        turns.wait()
        watch = Stopwatch()
        self._send_all()
        results[PUBLISH] = watch.stop(order.messages)

        self._expect(order.confirms, order.messages)
        turns.wait()
        watch = Stopwatch()
        self._subscribe()
        self._wait(self._all_received)
        results[CONSUME] = watch.stop(order.waiting)
        self._tally.verify()

        self._expect(order.messages)
        turns.wait()
        watch = Stopwatch()
        self._send_all()
        self._wait(self._all_received)
        results[END_TO_END] = watch.stop(order.messages)
        self._tally.verify()

        results[PACED] = joined([self._paced(len(numbers)) for numbers in turns.portions(order.paced)])
        self._connection.disconnect()
        return results

    def _paced(self, count: int) -> Sample:
        self._expect(count)
        self._times = times = Latencies()
        turns.wait()
        watch = Stopwatch()
        self._send_paced(count, times)
        self._wait(self._all_received)
        sample = watch.stop(count, times.seconds)
        self._tally.verify()
        return sample

    def on_receipt(self, frame: Any) -> None:  # noqa: ARG002
        self._confirmed += 1
        self._free.release()
        if self._confirmed == self._to_confirm:
            self._all_confirmed.set()

    def on_message(self, frame: Any) -> None:
        try:
            assert frame.headers["tenant"]
            order_id = json.loads(frame.body)["order_id"]
            if self._times is not None:
                self._times.arrived(order_id)
            complete = self._tally.add(order_id)
            self._connection.ack(frame.headers["ack"])
        except Exception as error:  # it would end with the receiver thread, unseen
            self._fail(error)
        else:
            if complete:
                self._all_received.set()

    def on_error(self, frame: Any) -> None:
        self._fail(RuntimeError(f"ERROR frame: {frame.headers.get('message')}"))

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._all_confirmed.set()
        self._all_received.set()

    def _wait(self, condition: threading.Event) -> None:
        if not condition.wait(self._order.deadline):
            raise TimeoutError(f"more than {self._order.deadline:g} s; {self._tally.left} messages did not come")
        if self._error is not None:
            raise self._error

    def _expect(self, *parts: int) -> None:
        self._tally = Tally(*parts)
        self._all_received.clear()

    def _begin_sending(self, messages: int) -> None:
        self._confirmed, self._to_confirm = 0, messages
        self._all_confirmed.clear()

    def _send_one(self, number: int) -> None:
        self._begin_sending(1)
        self._send(number)
        self._wait(self._all_confirmed)

    def _send_all(self) -> None:
        self._begin_sending(self._order.messages)
        for number in range(self._order.messages):
            if not self._free.acquire(timeout=self._order.deadline):
                raise TimeoutError(f"no receipt for {self._order.deadline:g} s")
            self._send(number)
        self._wait(self._all_confirmed)

    def _send_paced(self, count: int, times: Latencies) -> None:
        self._begin_sending(count)
        start = time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, start + number / self._order.pace - time.perf_counter()))
            times.sending(number)
            self._send(number)
        self._wait(self._all_confirmed)

    def _headers(self) -> dict[str, str]:
        headers = raw_headers(self._order.address)
        headers["persistent"] = "true"
        headers["destination-type"] = "MULTICAST"
        headers["receipt"] = headers["cloudEvents_id"]
        return headers

    def _send(self, number: int) -> None:
        headers = self._headers()
        self._connection.send(self._order.address, raw_body(number), content_type=CONTENT_TYPE, headers=headers)

    def _subscribe(self) -> None:
        self._connection.subscribe(
            f"{self._order.address}::{self._order.queue}",
            id="1",
            ack="client-individual",
            # Artemis counts bytes; ours asks for a kilobyte per message of its prefetch.
            headers={
                "subscription-type": "MULTICAST",
                "consumer-window-size": str(1 + (self._order.prefetch - 1) * 1024),
            },
        )


def run(order: Order) -> dict[str, Sample]:
    return _Client(order).run()
