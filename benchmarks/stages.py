"""Which stage of an event's way a profiled function belongs to: codec, headers, wire, dispatch, settling, tasks."""

from __future__ import annotations

import cProfile
import pstats
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

#: In the order of the table.
STAGES = (
    "codec",
    "envelope and headers",
    "interceptors",
    "sending and receipts",
    "dispatch and listener",
    "settling",
    "wire and queues",
    "tasks, futures, the loop",
    "sockets",
    "the application",
    "other",
)
_SETTLING = frozenset(
    {"ack", "_settle", "settle", "settled", "_answer", "_grant", "_grant_soon", "returned", "_returned", "release"}
)
# The first that fits, of the path below `aspyx_event`.
_INSIDE = (
    ("codecs/", "codec"),
    ("engine/receiving/decoding.py", "codec"),
    ("envelope.py", "envelope and headers"),
    ("engine/sending/ids.py", "envelope and headers"),
    ("cloudevents/", "envelope and headers"),
    ("pipeline.py", "interceptors"),
    ("engine/sending/", "sending and receipts"),
    ("engine/runtime/operations.py", "sending and receipts"),
    ("engine/runner.py", "sending and receipts"),
    ("manager.py", "sending and receipts"),
    ("events.py", "sending and receipts"),
    ("registry.py", "sending and receipts"),
    ("engine/", "dispatch and listener"),
    ("context.py", "dispatch and listener"),
    ("providers/", "wire and queues"),
)
_LIBRARIES = {
    "proton": "wire and queues",
    "cproton.py": "wire and queues",
    "stomp": "wire and queues",
    "asyncio": "tasks, futures, the loop",
    "pydantic": "codec",
    "benchmarks": "the application",
}
_BUILTINS = (
    ("pydantic_core", "codec"),
    ("cproton", "wire and queues"),
    ("socket", "sockets"),
    ("_asyncio", "tasks, futures, the loop"),
)
_DEEPEST = 6

Function = tuple[str, int, str]


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """Return the share of each stage in the time that was not spent waiting.

    What Python's own functions take is charged to the stage that called them.
    """
    entries: Any = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    seconds: dict[str, float] = defaultdict(float)
    for function, (_, _, own, _, _) in entries.items():
        if "select.epoll" not in function[2]:
            for stage, part in _charged(entries, function, own, 0):
                seconds[stage] += part
    total = sum(seconds.values())
    return {stage: seconds[stage] / total for stage in STAGES if seconds[stage]}


def stage_of(file: str, name: str) -> str | None:
    """Return the stage of a function; None for Python's own, whose callers pay.

    Args:
        file: Its file; "~" for a builtin.
        name: Its name.
    """
    if file == "~":
        return next((stage for word, stage in _BUILTINS if word in name), None)
    pieces = PurePath(file).parts
    if "aspyx_event" in pieces:
        inside = "/".join(pieces[len(pieces) - pieces[::-1].index("aspyx_event") :])
        if name in _SETTLING:
            return "settling"
        return next((stage for start, stage in _INSIDE if inside.startswith(start)), "other")
    return next((_LIBRARIES[piece] for piece in pieces if piece in _LIBRARIES), None)


def _charged(entries: Any, function: Function, own: float, depth: int) -> Iterator[tuple[str, float]]:
    stage = stage_of(function[0], function[2])
    callers = entries[function][4] if function in entries else {}
    total = sum(seconds for _, _, seconds, _ in callers.values())
    if stage is not None or depth == _DEEPEST or not total:
        yield stage or "other", own
        return
    for caller, (_, _, seconds, _) in callers.items():
        yield from _charged(entries, caller, own * seconds / total, depth + 1)
