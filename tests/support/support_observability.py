"""What tests of the observability share: how spans hang together, and the log of everything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from support_waiting import eventually


def links_of(span):
    return [link.context.span_id for link in span.links]


def parent_of(span):
    return span.parent.span_id if span.parent is not None else None


async def handled(told, name, count=1):
    """Wait for that many settlements of an event; return their spans."""
    return await eventually(lambda: len(told.named(f"settle {name}")) >= count and told.named(f"settle {name}"))


@contextmanager
def everything_logged(handler: logging.Handler) -> Iterator[logging.Handler]:
    """Give a handler the records of all loggers, at all levels, unfiltered."""
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
