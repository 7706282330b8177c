"""AX-01 ... AX-06: what an event class may look like, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import pytest
from pydantic import BaseModel
from support_core import Recorder, eventually

from aspyx_event import EventDescriptor, EventException, EventManager, LocalBroker, LocalProvider, event
from aspyx_event.exceptions import DuplicateEventError, UnregisteredEventTypeError


@dataclass
@event()
class DecoratedBelow:
    text: str


@event()
@dataclass
class DecoratedAbove:
    text: str


@dataclass(slots=True)
@event(name="events.slots", durable=True)
class WithSlots:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
@event()
class Frozen:
    text: str


@event()
class Model(BaseModel):
    text: str
    at: datetime = datetime(2020, 1, 1, tzinfo=timezone.utc)


@event(name="events.broadcast", broadcast=True)
@dataclass
class Broadcast:
    text: str


@event(name="events.taken")
@dataclass
class First:
    text: str


@event(name="events.taken")
@dataclass
class Second:
    text: str


@dataclass
class SubclassOfEvent(DecoratedAbove):
    more: int = 0


@event(name="events.sub")
@dataclass
class DeclaredSubclass(DecoratedAbove):
    more: int = 1


@event(name="events.described", version=3, key="text", owner="billing", tags=("money", "eu"))
@dataclass
class Described:
    """What it is for."""

    text: str


async def _sent_and_received(sent):
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(type(sent), seen)
        await manager.send_event(sent)
        await eventually(lambda: seen.handled)
    return seen.handled


@pytest.mark.parametrize(
    "sent",
    [DecoratedBelow("a"), DecoratedAbove("b"), WithSlots("c"), Frozen(text="d"), Model(text="e")],
    ids=lambda one: type(one).__name__,
)
async def test_every_order_of_decorators_and_every_kind_of_class_is_an_event(sent):
    assert await _sent_and_received(sent) == [sent]


def test_a_slots_dataclass_is_described_as_the_class_that_users_hold():
    descriptor = EventManager(LocalProvider()).events.add(WithSlots)
    assert descriptor.type is WithSlots
    assert (descriptor.name, descriptor.durable) == ("events.slots", True)


def test_a_class_made_from_a_described_one_is_described_anew():
    EventDescriptor.of(DecoratedBelow)
    # What @dataclass(slots=True) does: a new class with all that the old one has.
    content = {name: value for name, value in vars(DecoratedBelow).items() if name not in ("__dict__", "__weakref__")}
    copy = type("Copy", (), content)
    assert EventDescriptor.of(copy).type is copy


def test_the_name_is_the_class_name_unless_given():
    assert EventDescriptor.of(DecoratedBelow).name == "DecoratedBelow"
    assert EventDescriptor.of(First).name == "events.taken"


def test_two_classes_of_one_name_are_refused_by_the_manager_that_meets_both():
    manager = EventManager(LocalProvider())
    manager.events.add(First)
    with pytest.raises(DuplicateEventError, match=r"events\.taken.*First.*Second.*@event\(name=\.\.\.\)"):
        manager.events.add(Second)
    assert manager.events.by_name("events.taken").type is First


def test_another_manager_may_use_the_other_class():
    EventManager(LocalProvider()).events.add(First)
    assert EventManager(LocalProvider()).events.add(Second).type is Second


def _declare_again(version: int):
    @event(name="events.reloaded")
    @dataclass
    class Reloaded:
        number: int = version

    return Reloaded


def test_the_same_class_declared_anew_replaces_the_old_one():
    manager = EventManager(LocalProvider())
    manager.events.add(_declare_again(1))
    newer = _declare_again(2)
    assert manager.events.add(newer).type is newer
    assert manager.events.by_name("events.reloaded").type is newer


async def test_a_durable_event_waits_for_its_listener_and_a_volatile_one_does_not():
    broker, durable, volatile = LocalBroker(), Recorder(), Recorder()
    async with EventManager(LocalProvider(broker=broker)) as away:
        await away.subscribe(WithSlots, durable, name="keeper")
        await away.subscribe(DecoratedAbove, volatile, name="forgetter")
    async with EventManager(LocalProvider(broker=broker)) as sender:
        await sender.send_event(WithSlots("kept"))
        await sender.send_event(DecoratedAbove("lost"))
    assert broker.queues() == ["keeper"]
    async with EventManager(LocalProvider(broker=broker)) as back:
        await back.subscribe(WithSlots, durable, name="keeper")
        await back.subscribe(DecoratedAbove, volatile, name="forgetter")
        await eventually(lambda: durable.handled)
        await back.send_event(DecoratedAbove("new"))
        await eventually(lambda: volatile.handled)
    assert (durable.handled, volatile.handled) == ([WithSlots("kept")], [DecoratedAbove("new")])


async def test_a_broadcast_event_reaches_every_process_even_under_one_listener_name():
    broker, one, two = LocalBroker(), Recorder(), Recorder()
    async with (
        EventManager(LocalProvider(broker=broker)) as first,
        EventManager(LocalProvider(broker=broker)) as second,
    ):
        await first.subscribe(Broadcast, one, name="same")
        await second.subscribe(Broadcast, two, name="same")
        await first.send_event(Broadcast("all"))
        await eventually(lambda: one.handled and two.handled)
    assert EventDescriptor.of(Broadcast).broadcast


@pytest.mark.parametrize("thing", [object(), SubclassOfEvent("x"), DecoratedAbove, "text", None])
def test_what_is_no_event_is_refused_with_its_name(thing):
    manager = EventManager(LocalProvider())
    with pytest.raises(
        UnregisteredEventTypeError, match=r"is not an event; decorate its class with @event\(\)"
    ) as caught:
        manager.send_event(thing)
    assert type(thing).__qualname__ in str(caught.value)
    assert isinstance(caught.value, EventException)


def test_a_subclass_may_be_declared_an_event_of_its_own():
    assert EventDescriptor.of(DeclaredSubclass).name == "events.sub"
    assert EventDescriptor.of(DecoratedAbove).name == "DecoratedAbove"


def test_a_descriptor_carries_what_the_declaration_says():
    found = EventDescriptor.of(Described)
    assert (found.version, found.owner, found.tags) == (3, "billing", {"money", "eu"})
    assert found.description == "What it is for."
    assert found.key_of(Described("k")) == "k"
    assert EventDescriptor.of(First).description == ""
