"""What users of EvProc passed beside an event, and how they named handlers; rows EP that other tests do not name."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aspyx_event import EventManager, LocalProvider, event

REQUEST: ContextVar[object] = ContextVar("request")


@event(name="evproc-rows.left")
@dataclass
class Left:
    who: str = "bob"


def test_a_caller_passes_an_object_by_a_context_variable():
    """An object never crosses a broker; in `process` a context variable brings it to handlers, sync and async ones."""

    async def asynchronous(event: Left) -> None:
        seen.append(("async", REQUEST.get()))

    seen: list[Any] = []
    request = object()
    manager = EventManager(LocalProvider())
    manager.subscribe(Left, lambda event: seen.append(("sync", REQUEST.get())), name="sync")
    manager.subscribe(Left, asynchronous, name="async")
    token = REQUEST.set(request)
    try:
        manager.process(Left())
    finally:
        REQUEST.reset(token)
    assert seen == [("sync", request), ("async", request)]
    manager.stop()


def test_one_function_serves_under_several_names_and_equal_names_share_one_queue():
    seen: list[Any] = []
    manager = EventManager(LocalProvider())
    one, two = (manager.subscribe(Left, seen.append, name=name) for name in ("one", "two"))
    assert (one.queue, two.queue) == ("one", "two")
    manager.send_event(Left())
    assert seen == [Left(), Left()]
    again = manager.subscribe(Left, lambda event: seen.append("again"), name="one")
    assert again.queue == one.queue
    seen.clear()
    for _ in range(4):
        manager.send_event(Left())
    assert (seen.count(Left()) + seen.count("again"), "again" in seen) == (8, True)
    unnamed = [manager.subscribe(Left, print) for _ in range(2)]
    assert len({subscription.name for subscription in unnamed}) == 2, "names that are not given are made unique"
    manager.stop()
