"""Filters and the order between handlers: what users of EvProc know, rows EP of the features."""

from __future__ import annotations

from typing import Any

import pytest
from support_core import Recorder, eventually
from support_order import Paid, Placed, lambda_named, manager_of, noting

from aspyx_event import (
    DeclarationError,
    EventContext,
    EventListener,
    EventManager,
    GenericEvent,
    LocalProvider,
    Requirement,
    Retry,
    event_handler,
    event_listener,
    header,
    want,
)
from aspyx_event.exceptions import RequirementError, UnregisteredEventTypeError


def test_an_event_is_a_dataclass_with_a_name_and_whatever_fields_it_needs():
    seen: list[Any] = []
    manager = EventManager(LocalProvider())
    manager.subscribe("order.placed", lambda event: seen.append(event), name="l")
    manager.process(Placed(7))
    assert seen == [Placed(7)]
    with pytest.raises(UnregisteredEventTypeError, match="is not an event"):
        manager.process(object())


def test_data_is_shared_between_the_handlers_of_one_event_by_namespace():
    def prepare(event: Any, context: EventContext) -> None:
        context.shared.tests.args = [1]
        for wrong in (
            lambda: setattr(context.shared, "tests", 1),
            lambda: context.shared._tests,
            lambda: setattr(context.shared.tests, "_args", 1),
            lambda: delattr(context.shared, "tests"),
            lambda: context.shared.tests.missing,
        ):
            with pytest.raises(AttributeError):
                wrong()
        assert getattr(context.shared.tests, "missing", "default") == "default"

    def run(event: Any, context: EventContext) -> None:
        seen.append(context.shared.tests.args)
        del context.shared.tests.args
        assert not context.shared

    seen: list[Any] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, run, requires="prepare")
    manager.subscribe(Placed, prepare)
    manager.process(Placed())
    manager.process(Placed())
    assert seen == [[1], [1]]


def test_a_handler_is_a_function_with_a_name_of_its_own_or_a_given_one():
    manager = EventManager(LocalProvider())

    def handler(event: Any) -> None:
        """Never called."""

    first = manager.subscribe(Placed, handler)
    second = manager.subscribe(Placed, handler, name="other")
    assert (first.name, second.name) == ("handler", "other")


def test_names_and_predicates_of_one_want_must_all_hold_names_first():
    asked: list[str] = []

    @want("order.placed", lambda event: asked.append(type(event).__name__) or event.number > 1)
    def handler(event: Any) -> None:
        notes.append(event.number)

    notes: list[int] = []
    manager = manager_of(handler)
    for one in (Placed(1), Paid(5), Placed(2)):
        manager.process(one)
    assert (notes, asked) == ([2], ["Placed", "Placed"])


def test_want_takes_classes_patterns_and_headers_too():
    @want(Placed)
    def by_class(event: Any) -> None:
        notes.append(("class", event))

    @want("order.*")
    def by_pattern(event: Any) -> None:
        notes.append(("pattern", event))

    @want(header("tenant", "a"))
    def by_header(event: Any) -> None:
        notes.append(("header", event))

    notes: list[Any] = []
    manager = manager_of(by_class, by_pattern, by_header)
    manager.process(Paid())
    assert notes == [("pattern", Paid())]


def test_several_wants_are_alternatives_looked_at_from_the_top():
    asked: list[str] = []

    @want("order.placed", lambda event: asked.append("top") or event.number == 1)
    @want("order.placed", lambda event: asked.append("bottom") or event.number == 2)
    def handler(event: Any) -> None:
        notes.append(event.number)

    notes: list[int] = []
    manager = manager_of(handler)
    for number in (1, 2, 3):
        manager.process(Placed(number))
    assert notes == [1, 2]
    assert asked == ["top", "top", "bottom", "top", "bottom"]


def test_a_handler_without_a_want_takes_everything():
    notes: list[Any] = []
    manager = manager_of(lambda_named(notes.append))
    for one in (Placed(), Paid(), GenericEvent("x")):
        manager.process(one)
    assert notes == [Placed(), Paid(), GenericEvent("x")]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: want(), r"@want\(\): give at least one condition"),
        (lambda: want(5), "5 is none of these"),
        (lambda: want(""), "'' is none of these"),
        (lambda: want(None), "None is none of these"),
        (lambda: want(Recorder().__call__), "async function, predicates are sync"),
        (lambda: event_handler(Placed, requires=()), r"requires=\(\): name at least one handler"),
        (lambda: event_handler(Placed, requires=5), "requires=5"),
        (lambda: event_handler(Placed, required_by=[]), r"required_by=\(\)"),
        (lambda: event_handler(Placed, requires=""), "name a handler"),
        (lambda: event_handler(Placed, when="order.placed"), "names and classes are for @want"),
        (lambda: event_handler(Placed, when=5), "5 is none of these"),
        (lambda: event_handler(Placed, selector={}), "header names with the values"),
        (lambda: event_handler(Placed, selector={"a": lambda value: True}), "predicates are for when="),
        (lambda: event_handler(), "give at least one target"),
        (lambda: event_handler(()), "give at least one target|the target is"),
        (lambda: event_handler("shop*"), "'\\*' and '#' stand for whole words"),
        (lambda: event_handler("shop..*", 5), "5"),
        (lambda: event_handler(Placed, cooldown=-1), "cooldown=-1"),
        (lambda: header("", "x"), "name of a header"),
        (lambda: header("x", 5), "expected is a str"),
    ],
)
def test_misuse_is_told_where_it_is_declared(make, words):
    with pytest.raises(DeclarationError, match=words):
        make()


def test_the_order_follows_requirements_and_else_registration():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "first"))
    manager.subscribe(Placed, noting(notes, "run"), requires=["prepare", "auxiliary"])
    manager.subscribe(Placed, noting(notes, "auxiliary"), required_by="run", requires="prepare")
    manager.subscribe(Placed, noting(notes, "prepare"))
    manager.subscribe(Placed, noting(notes, "last"))
    for _ in range(3):
        notes.clear()
        manager.process(Placed())
        assert notes == ["first", "prepare", "auxiliary", "run", "last"]


def test_requirements_may_name_functions_and_listener_classes():
    notes: list[str] = []

    @event_listener(Placed)
    class Prepare(EventListener[Placed]):
        def on(self, event: Placed) -> None:
            notes.append("class")

    first = noting(notes, "function")
    manager = EventManager(LocalProvider(), listeners=[Prepare()])
    manager.subscribe(Placed, noting(notes, "run"), requires=(Prepare, first))
    manager.subscribe(Placed, first)
    manager.process(Placed())
    assert notes.index("run") == 2


def test_a_required_handler_that_does_not_want_the_event_is_refused_before_any_runs():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "other"))
    manager.subscribe(Placed, noting(notes, "prepare"), when=lambda event: event.number == 1)
    manager.subscribe(Placed, noting(notes, "run"), requires="prepare")
    manager.process(Placed(1))
    assert notes == ["other", "prepare", "run"]
    notes.clear()
    with pytest.raises(RequirementError, match="'run' requires 'prepare', whose conditions exclude this event"):
        manager.process(Placed(2))
    assert notes == []


def test_an_optional_requirement_lifts_that():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "prepare"), when=lambda event: event.number == 1)
    manager.subscribe(Placed, noting(notes, "run"), requires=Requirement("prepare", optional=True))
    manager.subscribe(Placed, noting(notes, "free"), requires=Requirement("nobody", optional=True))
    manager.process(Placed(2))
    assert notes == ["run", "free"]


async def test_on_delivery_it_is_isolated_and_becomes_a_dead_letter():
    seen = Recorder()
    manager = EventManager(LocalProvider(), retry=Retry(attempts=3, delay=60.0))
    manager.subscribe(Placed, noting([], "prepare"), when=lambda event: event.number == 1)
    await manager.subscribe(Placed, noting([], "run"), requires="prepare")
    await manager.subscribe(Placed, seen, name="beside")
    await manager.send_event(Placed(2))
    await eventually(lambda: seen.handled)
    letters = await eventually(manager.dead_letters.list)
    assert [(one.subscription, one.attempts) for one in letters] == [("run", 1)]
    assert letters[0].cause.type.endswith("RequirementError")
    await manager.stop()


def test_a_ring_is_an_error_that_names_it():
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting([], "a"), requires="c")
    manager.subscribe(Placed, noting([], "b"), requires="a")
    with pytest.raises(RequirementError, match=r"ring: a -> c -> b -> a|ring: b -> a -> c -> b|ring: c -> b -> a -> c"):
        manager.subscribe(Placed, noting([], "c"), requires="b")
    with pytest.raises(RequirementError, match="ring: self -> self"):
        manager.subscribe(Placed, noting([], "self"), requires="self")


async def test_rings_and_missing_handlers_of_declarations_fail_the_start():
    ring = [
        event_handler(Placed, name="a", requires="b")(noting([], "a")),
        event_handler(Placed, name="b", requires="a")(noting([], "b")),
    ]
    with pytest.raises(RequirementError, match="ring"):
        await EventManager(LocalProvider(), listeners=ring).start()
    missing = [event_handler(Placed, name="a", requires="nobody")(noting([], "a"))]
    with pytest.raises(RequirementError, match="'a' requires 'nobody', which is not a listener or handler"):
        await EventManager(LocalProvider(), listeners=missing).start()


def test_a_missing_handler_is_named_and_a_missing_required_by_is_no_error():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "free"), required_by="nobody")
    manager.process(Placed())
    manager.subscribe(Placed, noting(notes, "run"), requires="nobody")
    with pytest.raises(RequirementError, match="'run' requires 'nobody'"):
        manager.process(Placed())
    assert notes == ["free"]


def test_a_requirement_may_be_registered_later():
    notes: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(notes, "run"), requires="prepare")
    manager.subscribe(Placed, noting(notes, "prepare"))
    manager.process(Placed())
    assert notes == ["prepare", "run"]


def test_managers_are_independent():
    one, two = [], []
    EventManager(LocalProvider()).subscribe(Placed, noting(one, "one"))
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting(two, "two"))
    manager.process(Placed())
    assert (one, two) == ([], ["two"])


def test_chains_that_disagree_are_refused():
    manager = EventManager(LocalProvider())
    manager.subscribe(Placed, noting([], "a"), group="one")
    with pytest.raises(DeclarationError, match="share a queue, but one has group='one' and the other group='two'"):
        manager.subscribe(Placed, noting([], "b"), requires="a", group="two")
