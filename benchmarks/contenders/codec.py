"""Bytes from an event and an event from bytes, by pydantic alone: below this no delivery of copies can be."""

from __future__ import annotations

from pydantic import TypeAdapter

from ..measure import Sample, Stopwatch
from ..message import OrderPlaced, Tally
from ..message import order as make
from ..settings import END_TO_END, Order


def run(order: Order) -> dict[str, Sample]:
    tally, adapter = Tally(order.messages), TypeAdapter(OrderPlaced)
    encode, decode = adapter.dump_json, adapter.validate_json
    watch = Stopwatch()
    for number in range(order.messages):
        tally.add(decode(encode(make(number))).order_id)
    sample = watch.stop(order.messages)
    tally.verify()
    return {END_TO_END: sample}
