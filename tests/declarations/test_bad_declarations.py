"""Declarations that cannot work are refused where they are made, with a message that says what to do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import BaseModel
from support_core import Recorder

from aspyx_event import (
    AbstractEnvelopePipeline,
    AckPolicy,
    DeclarationError,
    EventListener,
    EventManager,
    LocalBroker,
    LocalProvider,
    Retry,
    envelope_pipeline,
    event,
    event_handler,
    event_listener,
)
from aspyx_event.clock import ManualClock
from aspyx_event.exceptions import HeaderError, InvalidNameError, ListenerError, UnregisteredEventTypeError


@event(name="bad.order")
@dataclass
class Order:
    number: int


@event(name="bad.neither")
class Neither:
    """Neither a dataclass nor a model."""


@event(name="bad.key", key="custmer")
@dataclass
class WrongKey:
    customer: str


@event(name="bad.model", key="half")
class Model(BaseModel):
    id: int

    @property
    def half(self) -> int:
        return self.id // 2


class Undeclared:
    """No event."""


class NoOn(EventListener[Order]):
    """Forgets `on`."""


class OnIsText(EventListener[Order]):
    on = "text"


class Fine(EventListener[Order]):
    def on(self, event: Order) -> None:
        """Never called."""


def on_nothing():
    """Takes no event."""


def on_three(event, context, more):
    """Takes too much."""


def on_keyword(event, *, needed):
    """Needs a keyword that nobody gives."""


class ThreeArguments(EventListener[Order]):
    def on(self, event, context, more) -> None:
        """Takes too much."""


BAD_NAMES = {
    "star": "a*",
    "hash": "#",
    "question mark": "a?b",
    "colons": "a::b",
    "blank": " ",
    "blank at an end": "a ",
    "line feed": "a\nb",
    "null": "a\0b",
    "delete": "a\x7f",
    "too long": "x" * 256,
    "number": 5,
    "dead letters": "dead-letters.x",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_forbidden_names_are_refused_for_events_listeners_handlers_groups_and_subscriptions(name):
    with pytest.raises(InvalidNameError, match="event name"):
        event(name=name)(Undeclared)
    with pytest.raises(InvalidNameError, match="listener name"):
        event_listener(Order, name=name)
    with pytest.raises(InvalidNameError, match="listener name"):
        event_handler(Order, name=name)
    with pytest.raises(InvalidNameError, match="listener group"):
        event_listener(Order, group=name)
    with pytest.raises(InvalidNameError, match="listener name"):
        EventManager(LocalProvider()).subscribe(Order, Recorder(), name=name)


@pytest.mark.parametrize("name", ["a", "shop.order-placed", "Ünïcödé", "with blank", "a:b/c", "x" * 255, "日本"])
def test_other_names_are_fine(name):
    assert event(name=name)(type("Fresh", (), {}))
    event_listener(Order, name=name, group=name)


@pytest.mark.parametrize(
    ("name", "words"),
    [("a*", "'*', which brokers read as syntax; use another name"), ("x" * 300, "300 characters; 255 are the limit")],
)
def test_a_refused_name_is_explained(name, words):
    with pytest.raises(InvalidNameError) as caught:
        event(name=name)(Undeclared)
    assert words in str(caught.value)


def test_decorators_need_parentheses():
    with pytest.raises(DeclarationError, match=r"write @event\(\) with parentheses over Undeclared"):
        event(Undeclared)
    with pytest.raises(DeclarationError, match=r"@event_listener\(EventClass\)"):
        event_listener(Fine)
    with pytest.raises(DeclarationError, match=r"@event_handler\(EventClass\)"):
        event_handler(on_nothing)
    with pytest.raises(DeclarationError, match=r"write @envelope_pipeline\(\) with parentheses"):
        envelope_pipeline(AbstractEnvelopePipeline)


def test_decorators_are_for_the_right_things():
    with pytest.raises(DeclarationError, match="@event decorates a class"):
        event()(on_nothing)
    with pytest.raises(DeclarationError, match=r"decorates a class, not .*use @event_handler for functions"):
        event_listener(Order)(on_nothing)
    with pytest.raises(DeclarationError, match="decorates a function or a method"):
        event_handler(Order)(Fine)
    with pytest.raises(DeclarationError, match="does not derive from AbstractEnvelopePipeline"):
        envelope_pipeline()(Undeclared)
    with pytest.raises(
        DeclarationError, match="the target is an event class, the name of an event, a pattern, ANY or a Topic"
    ):
        event_listener(5)


def test_an_event_is_a_dataclass_or_a_model():
    with pytest.raises(DeclarationError, match=r"bad\.neither.*add @dataclass or derive from pydantic\.BaseModel"):
        EventManager(LocalProvider()).send_event(Neither())


def test_a_listener_needs_on():
    with pytest.raises(ListenerError, match=r"NoOn has no method on\(self, event\); define it, sync or async"):
        event_listener(Order)(NoOn)
    with pytest.raises(ListenerError, match=r"Undeclared has no method on\(self, event\)"):
        event_listener(Order)(Undeclared)
    with pytest.raises(ListenerError, match="`on` is str, not a method"):
        event_listener(Order)(OnIsText)


@pytest.mark.parametrize("function", [on_nothing, on_three, on_keyword, ThreeArguments().on])
def test_a_handler_is_called_with_event_or_event_and_context(function):
    with pytest.raises(ListenerError, match=r"listener 'l' is called as \(event\) or \(event, context\)"):
        EventManager(LocalProvider()).subscribe(Order, function, name="l")


def test_what_cannot_be_called_is_no_handler():
    with pytest.raises(ListenerError, match=r"listener 'l' .*not callable"):
        EventManager(LocalProvider()).subscribe(Order, "text", name="l")


async def test_a_listener_of_an_undeclared_class_fails_at_start():
    with pytest.raises(UnregisteredEventTypeError, match=r"Undeclared is not an event; decorate its class with @event"):
        await EventManager(LocalProvider(), listeners=[event_handler(Undeclared)(lambda event: None)]).start()


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"concurrency": 0}, "concurrency=0 must be at least 1"),
        ({"concurrency": -1}, "at least 1"),
        ({"concurrency": 1.5}, "concurrency=1.5"),
        ({"concurrency": 4, "prefetch": 3}, "prefetch=3 is less than concurrency=4"),
        ({"prefetch": 0}, "prefetch=0"),
        ({"retry": 3}, "retry=3"),
        ({"ack": "before"}, "ack='before'"),
        ({"order_by": 5}, "order_by=5"),
    ],
)
def test_impossible_options_are_refused_everywhere(keywords, words):
    with pytest.raises(DeclarationError) as caught:
        event_listener(Order, name="careful", **keywords)
    assert words in str(caught.value)
    assert "'careful'" in str(caught.value)
    with pytest.raises(DeclarationError):
        event_handler(Order, **keywords)
    with pytest.raises(DeclarationError):
        EventManager(LocalProvider()).subscribe(Order, Recorder(), **keywords)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"attempts": 0}, r"Retry\(attempts=0\): at least one attempt"),
        ({"attempts": 1.5}, r"Retry\(attempts=1\.5\)"),
        ({"delay": -1}, "seconds >= 0"),
        ({"max_delay": -1}, "seconds >= 0"),
        ({"jitter": 2}, "share from 0 to 1"),
        ({"backoff": []}, "list at least one wait"),
        ({"backoff": [1, -1]}, "seconds >= 0"),
        ({"backoff": "sometimes"}, "backoff='sometimes'"),
        ({"on": ("ValueError",)}, "on="),
    ],
)
def test_impossible_retries_are_refused(keywords, words):
    with pytest.raises(DeclarationError, match=words):
        Retry(**keywords)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"priority": 11}, "priority=11 is not between 0"),
        ({"priority": -1}, "priority=-1"),
        ({"priority": "high"}, "priority='high'"),
        ({"ttl": 0}, "ttl=0"),
        ({"ttl": -1.0}, "ttl=-1"),
        ({"ttl": "1"}, "ttl='1'"),
        ({"delay": -1}, "delay=-1"),
        ({"delay": float("nan")}, "delay=nan"),
        ({"ttl": float("inf")}, "ttl=inf"),
        ({"key": 5}, "key=5"),
        ({"key": ""}, "key=''"),
    ],
)
def test_impossible_ways_to_send_are_refused(keywords, words):
    with pytest.raises(DeclarationError) as caught:
        EventManager(LocalProvider()).send_event(Order(1), **keywords)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"": "x"}, "a name is a str that is not empty"),
        ({5: "x"}, "a name is a str"),
        ({"n": 5}, "'n' is int: header values are str, convert it"),
        ({"n": None}, "NoneType"),
        ({"n": b"x"}, "bytes"),
        ({"cloudEvents_id": "x"}, "set by the framework"),
        ({"cloudEvents:source": "x"}, "set by the framework"),
        ({"Content-Type": "x"}, "set by the framework"),
        ({"aspyx-attempts": "x"}, "'aspyx-' is kept for the framework"),
    ],
)
def test_impossible_headers_are_refused(headers, words):
    with pytest.raises(HeaderError) as caught:
        EventManager(LocalProvider()).send_event(Order(1), headers=headers)
    assert words in str(caught.value)


def test_a_key_or_an_order_of_a_field_that_is_not_there_is_refused_with_the_fields():
    with pytest.raises(DeclarationError, match=r"bad\.key.*key='custmer' is not a field of WrongKey; it has customer"):
        EventManager(LocalProvider()).send_event(WrongKey("c"))
    with pytest.raises(DeclarationError, match=r"'l': order_by='nmber' is not a field of Order; it has number"):
        EventManager(LocalProvider()).subscribe(Order, Recorder(), name="l", order_by="nmber")
    with pytest.raises(DeclarationError, match=r"order_by='idd' is not a field of Model; it has id"):
        EventManager(LocalProvider()).subscribe(Model, Recorder(), name="l", order_by="idd")


def test_unknown_keywords_are_named():
    manager = EventManager(LocalProvider())
    for use in (
        lambda: event(nmae="x"),
        lambda: event_listener(Order, nmae="x"),
        lambda: event_handler(Order, nmae="x"),
        lambda: manager.subscribe(Order, Recorder(), nmae="x"),
        lambda: manager.send_event(Order(1), nmae="x"),
        lambda: EventManager(LocalProvider(), nmae="x"),
    ):
        with pytest.raises(TypeError, match="nmae"):
            use()


def test_a_shared_broker_brings_its_own_clock():
    with pytest.raises(DeclarationError, match=r"the clock belongs to the broker, LocalBroker\(clock\)"):
        LocalProvider(broker=LocalBroker(), clock=ManualClock())


def test_a_resumable_listener_per_process_needs_a_server_name():
    manager = EventManager(LocalProvider(server_name=""))
    with pytest.raises(DeclarationError, match="give the local provider a server_name"):
        manager.subscribe(Order, Recorder(), name="l", per_process=True, resumable=True)


def test_a_policy_is_shared_by_no_accident():
    assert Retry() == Retry()
    with pytest.raises(AttributeError):
        Retry().attempts = 3
    assert AckPolicy("before") is AckPolicy.BEFORE
