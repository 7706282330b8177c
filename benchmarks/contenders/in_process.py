"""Signals and dispatchers that call a synchronous handler with the object that was sent: no bytes, no promise."""

from __future__ import annotations

from collections.abc import Callable

from ..measure import Sample, Stopwatch
from ..message import OrderPlaced, Tally
from ..message import order as make
from ..settings import END_TO_END, Order

Send = Callable[[OrderPlaced], object]


def _calls(on: Send) -> Send:
    return on


def _blinker(on: Send) -> Send:
    from blinker import Signal

    signal = Signal()

    def receive(event: OrderPlaced) -> None:
        on(event)

    signal.connect(receive, weak=False)
    send: Send = signal.send
    return send


def _pyee(on: Send) -> Send:
    from pyee.base import EventEmitter

    emitter = EventEmitter()
    emitter.on("order-placed", on)
    return lambda event: emitter.emit("order-placed", event)


def _evproc(on: Send) -> Send:
    from .evproc_py import sender

    return sender(on)


_WAYS = {"calls": _calls, "blinker": _blinker, "pyee": _pyee, "evproc": _evproc}


def run(order: Order) -> dict[str, Sample]:
    tally = Tally(order.messages)

    def on(event: OrderPlaced) -> None:
        tally.add(event.order_id)

    send = _WAYS[order.contender](on)
    watch = Stopwatch()
    for number in range(order.messages):
        send(make(number))
    sample = watch.stop(order.messages)
    tally.verify()
    return {END_TO_END: sample}
