"""The message that all contenders send: an event class for ours, the same bytes and headers for raw clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from uuid import uuid4

CONTENT_TYPE = "application/json"
#: The user headers; in ours the first one is given to `send_event`, the second is set by an interceptor.
TENANT = {"tenant": "north"}
SESSION = "5f0c9a52-session"

_FIRST_ID = 1_000_000  # so that all bodies have the same length


@dataclass
class OrderPlaced:
    """200 bytes as JSON."""

    order_id: int
    customer: str
    total: float
    currency: str
    items: list[str]
    note: str


def order(number: int) -> OrderPlaced:
    """Return the event with a number from 0 on."""
    return OrderPlaced(
        order_id=_FIRST_ID + number,
        customer="Jane Q. Public",
        total=1234.56,
        currency="EUR",
        items=["SKU-00042", "SKU-00815", "SKU-04711"],
        note="please leave it with the neighbours if nobody is at home today.",
    )


def raw_body(number: int) -> bytes:
    """Return the JSON that an application without a framework would write."""
    return json.dumps(vars(order(number)), separators=(",", ":")).encode()


def raw_headers(event_name: str) -> dict[str, str]:
    """Return the headers that aspyx_event writes for an event, duplicate id included, with fresh id and time."""
    event_id = str(uuid4())
    return {
        "_AMQ_DUPL_ID": event_id,
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": event_id,
        "cloudEvents_source": "benchmark",
        "cloudEvents_type": event_name,
        "cloudEvents_time": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
        "cloudEvents_correlationid": event_id,
        **TENANT,
        "session": SESSION,
    }


class Tally:
    """Counts what a handler gets, and notices what got lost or came twice.

    Args:
        expected: How many of each number from 0 on are to come.
    """

    def __init__(self, *expected: int) -> None:
        self._left = sum(expected)
        self._sum = sum(count * (count - 1) // 2 + count * _FIRST_ID for count in expected)

    def add(self, order_id: int) -> bool:
        """Count one; True with the last."""
        self._left -= 1
        self._sum -= order_id
        return not self._left

    def verify(self) -> None:
        """Check that what came is what was sent.

        Raises:
            ValueError: an event is missing, or another one came in its place.
        """
        if self._left or self._sum:
            raise ValueError(
                f"the events received are not those sent: {self._left} are missing, their numbers differ by {self._sum}"
            )

    @property
    def left(self) -> int:
        return self._left


class Latencies:
    """From the send of an event to its handler, in one process."""

    def __init__(self) -> None:
        self._sent: dict[int, float] = {}
        self.seconds: list[float] = []

    def sending(self, number: int) -> None:
        """Event *number* is about to be made and sent."""
        self._sent[_FIRST_ID + number] = time.perf_counter()

    def arrived(self, order_id: int) -> None:
        """Its handler was called."""
        self.seconds.append(time.perf_counter() - self._sent[order_id])


async def at_pace(count: int, pace: float, send: Callable[[int], None]) -> None:
    """Call *send* with 0 to *count* - 1, *pace* times a second; a late one is not waited for by those that follow."""
    start = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, start + number / pace - time.perf_counter()))
        send(number)
