"""Events processed here and now, what handlers return and how they stop: rows EP of the features."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support_core import Recorder, eventually, run_program
from support_order import Paid, Placed, noting

from aspyx_event import (
    EventContext,
    EventException,
    EventManager,
    LocalProvider,
    Requirement,
    StateError,
    StopProcessing,
    event_handler,
    want,
)
from aspyx_event.exceptions import ListenerError, RequirementError


def test_process_needs_no_loop_and_may_be_called_any_number_of_times():
    notes: list[str] = []
    manager = EventManager(LocalProvider(), listeners=[event_handler(Placed)(noting(notes, "a"))])
    for _ in range(100):
        assert manager.process(Placed()) is None
    assert len(notes) == 100
    assert manager.list_subscriptions()[0].stats.count == 100


def test_what_a_handler_raises_ends_the_processing():
    def fails(event: Any) -> None:
        raise ValueError("no")

    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, fails)
    manager.subscribe(Placed, noting(notes, "after"), requires="fails")
    with pytest.raises(ValueError, match="no"):
        manager.process(Placed())
    assert notes == []
    assert manager.list_subscriptions()[0].stats.failures == 1


def test_returned_and_yielded_events_are_processed_breadth_first():
    notes: list[str] = []

    def split(event: Placed):
        notes.append(f"placed {event.number}")
        if event.number == 0:
            yield Placed(1)
            yield Paid(2)

    def after(event: Placed) -> Any:
        notes.append(f"after {event.number}")
        return Paid(9) if event.number == 1 else None

    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, split)
    manager.subscribe(Placed, after)
    manager.subscribe(Paid, lambda event: notes.append(f"paid {event.number}"))
    manager.process(Placed(0))
    assert notes == ["placed 0", "after 0", "placed 1", "after 1", "paid 2", "paid 9"]


async def test_async_generators_may_yield_events_too():
    seen = Recorder()

    async def split(event: Placed):
        yield Paid(event.number)
        await asyncio.sleep(0)
        yield Paid(event.number + 1)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Paid, seen, name="paid")
        await manager.subscribe(Placed, split)
        await manager.send_event(Placed(1))
        await eventually(lambda: len(seen.handled) == 2)
        assert seen.events == [Paid(1), Paid(2)]


@pytest.mark.parametrize("answer", [5, "text", {"a": 1}, [Placed(), 5], object()])
async def test_a_handler_that_returns_something_else_is_told(answer):
    manager = EventManager(LocalProvider())
    await manager.subscribe(Placed, noting([], "wrong", answer))
    with pytest.raises(ListenerError, match=r"'wrong' returned .*a handler returns an event, several, or None"):
        await manager.process_async(Placed())
    await manager.send_event(Placed())
    [letter] = await eventually(manager.dead_letters.list)
    assert letter.cause.type.endswith("ListenerError")
    await manager.stop()


@pytest.mark.parametrize("answer", [None, [], (), False, ""])
def test_nothing_is_nothing(answer):
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting([], "nothing", answer))
    assert manager.process(Placed()) is None


def test_stop_processing_stops_this_event_and_not_those_returned_before():
    notes: list[str] = []

    def stops(event: Any) -> None:
        raise StopProcessing

    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "first", [Paid()]))
    manager.subscribe(Placed, stops)
    manager.subscribe(Placed, noting(notes, "never"))
    manager.subscribe(Paid, noting(notes, "paid"))
    assert manager.process(Placed()) is None
    assert notes == ["first", "paid"]


@pytest.mark.parametrize("value", [403, None, False])
def test_stop_processing_with_a_value_answers_at_once(value):
    notes: list[str] = []

    def stops(event: Any) -> None:
        raise StopProcessing(value)

    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "first", [Paid()]))
    manager.subscribe(Placed, stops)
    manager.subscribe(Paid, noting(notes, "paid"))
    assert manager.process(Placed()) is value
    assert notes == ["first"]


def test_stop_processing_is_no_event_exception():
    assert not issubclass(StopProcessing, EventException)
    assert issubclass(RequirementError, EventException)
    with pytest.raises(TypeError, match="one value at most"):
        StopProcessing(1, 2)


def test_a_handler_may_process_another_event_and_subscribe():
    notes: list[str] = []
    manager = EventManager(LocalProvider())

    def nested(event: Placed) -> None:
        manager.process(Paid(event.number))
        manager.subscribe(Placed, noting(notes, "late"))

    manager.subscribe(Placed, nested)
    manager.subscribe(Paid, noting(notes, "paid"))
    manager.process(Placed())
    assert notes == ["paid"]
    manager.process(Placed())
    assert notes[:3] == ["paid", "paid", "late"]


def test_a_decorated_function_stays_what_it_was():
    @want("order.placed")
    @event_handler(Placed, requires=Requirement("x", optional=True))
    def handler(event: Any) -> str:
        return f"called with {event}"

    assert handler(1) == "called with 1"


def test_an_authorisation_check_stops_the_work():
    notes: list[str] = []

    def authorise(event: Placed) -> None:
        if event.number < 0:
            raise StopProcessing(403)

    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "work"), requires="authorise")
    manager.subscribe(Placed, authorise)
    assert manager.process(Placed(-1)) == 403
    assert manager.process(Placed(1)) is None
    assert notes == ["work"]


def test_async_handlers_are_run_on_the_loop_of_the_manager_where_there_is_none():
    notes: list[Any] = []

    async def handler(event: Placed) -> Any:
        await asyncio.sleep(0)
        notes.append(event)
        return [Paid(event.number)]

    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, handler)
    manager.subscribe(Paid, lambda event: notes.append(event))
    manager.process(Placed(1))
    assert notes == [Placed(1), Paid(1)]
    manager.stop()  # type: ignore[unused-coroutine]


async def test_process_with_an_async_handler_inside_a_loop_says_what_to_do():
    seen = Recorder()
    manager = EventManager(LocalProvider(), listeners=[event_handler(Placed, name="l")(_forward(seen))])
    with pytest.raises(StateError, match=r"await manager.process_async"):
        manager.process(Placed())
    await manager.process_async(Placed(3))
    assert seen.events == [Placed(3)]
    await manager.stop()


def _forward(seen: Recorder):
    async def handler(event: Any, context: EventContext) -> None:
        await seen(event, context)

    return handler


def test_a_plain_script_joins_until_a_handler_stops_it(tmp_path):
    result = run_program(
        """
        from dataclasses import dataclass
        from aspyx_event import EventManager, LocalProvider, event

        @event()
        @dataclass
        class Tick:
            number: int

        manager = EventManager(LocalProvider())

        def on_tick(tick):
            if tick.number == 3:
                manager.stop()
                return None
            return Tick(tick.number + 1)

        manager.subscribe(Tick, on_tick)
        manager.send_event(Tick(0))
        print(manager.join(10), manager.running)
        """,
        tmp_path,
    )
    assert (result.stdout, result.stderr) == ("True False\n", "")
