"""A declaration or a call that cannot mean what was written is refused, instead of doing something else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support_core import eventually

from aspyx_event import (
    DeclarationError,
    EventListener,
    EventManager,
    GenericEvent,
    LocalProvider,
    Topic,
    event,
    event_listener,
    want,
)
from aspyx_event.cloudevents import CloudEvent
from aspyx_event.exceptions import ListenerError, UnregisteredEventTypeError
from aspyx_event.reactions.webhook import _seconds

if TYPE_CHECKING:
    from aspyx_event import EventContext
    from aspyx_event.cloudevents import CloudEvent as OnlyForTypeCheckers


@event(name="silent.a")
@dataclass
class A:
    number: int


@event(name="silent.b")
@dataclass
class B:
    number: int


async def test_an_unresolved_annotation_of_the_context_does_not_drop_that_of_the_event():
    received: list[Any] = []

    def handle(event: CloudEvent, context: EventContext) -> None:
        received.append(event)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe("silent.foreign", handle)
        await manager.send_event(GenericEvent("silent.foreign", {"n": 1}))
        await eventually(lambda: received)
    assert type(received[0]) is CloudEvent


def test_an_unresolved_annotation_of_the_event_is_refused_where_it_decides():
    def handle(event: OnlyForTypeCheckers) -> None: ...

    manager = EventManager(LocalProvider())
    with pytest.raises(DeclarationError, match=r"listener '.*handle'.*'event'.*OnlyForTypeCheckers.*TYPE_CHECKING"):
        manager.subscribe("silent.*", handle)
    assert manager.list_subscriptions() == []


async def test_a_union_with_a_single_free_form_class_is_that_class():
    received: list[Any] = []

    def handle(event: CloudEvent | A) -> None:
        received.append(event)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe("silent.foreign", handle)
        await manager.send_event(GenericEvent("silent.foreign", {"n": 1}))
        await eventually(lambda: received)
    assert type(received[0]) is CloudEvent


def test_a_listener_of_another_event_is_refused():
    with pytest.raises(ListenerError, match=r"Wrong is an EventListener\[B\].*event A"):

        @event_listener(A)
        class Wrong(EventListener[B]):
            def on(self, event: B) -> None: ...

    with pytest.raises(ListenerError, match=r"Wrong is an EventListener\[B\].*event A"):

        @event_listener((A, B))
        class Wrong2(EventListener[B]):
            __qualname__ = "Wrong"

            def on(self, event: B) -> None: ...

    @event_listener((A, B))
    class Right(EventListener[A | B]):
        def on(self, event: A | B) -> None: ...

    assert Right


def test_a_handler_annotated_with_another_event_is_refused():
    def handle(event: B) -> None: ...

    manager = EventManager(LocalProvider())
    with pytest.raises(ListenerError, match="'event' is B, but it gets the event A"):
        manager.subscribe(A, handle)
    with pytest.raises(ListenerError, match="'event' is B, but it gets the event A"):
        manager.subscribe(Topic("silent.topic", (A, B)), partial(handle))


def test_want_on_the_method_on_restricts_the_listener():
    received: list[int] = []

    @event_listener(A)
    class Odd(EventListener[A]):
        @want(lambda event: event.number % 2)
        def on(self, event: A) -> None:
            received.append(event.number)

    manager = EventManager(LocalProvider(), listeners=[Odd()])
    for number in range(4):
        manager.process(A(number))
    assert received == [1, 3]


def test_want_on_a_function_inside_a_partial_restricts_it():
    received: list[int] = []

    @want(lambda event: event.number % 2)
    def handle(event: A) -> None:
        received.append(event.number)

    manager = EventManager(LocalProvider())
    manager.subscribe(A, partial(handle), name="odd")
    for number in range(4):
        manager.process(A(number))
    manager.stop()
    assert received == [1, 3]


def test_want_on_class_and_method_is_refused():
    @event_listener(A)
    @want(lambda event: event.number)
    class Both(EventListener[A]):
        @want(lambda event: event.number)
        def on(self, event: A) -> None: ...

    with pytest.raises(DeclarationError, match="@want is on the class and on its method"):
        EventManager(LocalProvider(), listeners=[Both()]).process(A(1))


def test_subscriptions_are_listed_by_class_and_topic():
    topic = Topic("silent.topic", (A,))
    manager = EventManager(LocalProvider())
    by_class = manager.subscribe(A, lambda event: None)
    by_topic = manager.subscribe(topic, lambda event: None)
    assert manager.list_subscriptions(A) == manager.list_subscriptions("silent.a") == [by_class]
    assert manager.list_subscriptions(topic) == [by_topic]
    manager.stop()


@pytest.mark.parametrize("wrong", [A(1), 5, ["silent.a"]])
def test_a_value_of_a_wrong_type_is_named(wrong):
    manager = EventManager(LocalProvider())
    with pytest.raises(DeclarationError, match="list_subscriptions"):
        manager.list_subscriptions(wrong)
    with pytest.raises(UnregisteredEventTypeError, match="give the event class"):
        manager.events.add(wrong)
    with pytest.raises(DeclarationError, match=r"topics\.of"):
        manager.topics.of(wrong)


def test_the_topics_of_nobody_are_not_an_empty_list():
    with pytest.raises(DeclarationError, match=r"topics\.of\(None\)"):
        EventManager(LocalProvider()).topics.of(None)  # type: ignore[arg-type]


def test_retry_after_is_a_number_or_a_date():
    """RFC 9110, section 10.2.3; a past date means now."""
    later = datetime.now(timezone.utc) + timedelta(seconds=90)
    assert _seconds("120") == 120
    assert 80 < (_seconds(format_datetime(later, usegmt=True)) or 0) <= 90
    assert 80 < (_seconds(later.strftime("%A, %d-%b-%y %H:%M:%S GMT")) or 0) <= 90
    assert 80 < (_seconds(later.strftime("%a %b %d %H:%M:%S %Y")) or 0) <= 90
    assert _seconds("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    for wrong in ("", "soon", "-5", "1.5", "9" * 5000, "Fri, 99 Dec 1999 23:59:59 GMT", "٣"):
        assert _seconds(wrong) is None
