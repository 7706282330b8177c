"""What users of Baroque could do and read: configuration, one word for subscribing, status, times; rows BQ of the features."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from support_core import Recorder, eventually, run_program

import aspyx_event
from aspyx_event import ANY, DeclarationError, EventConfiguration, EventManager, GenericEvent, LocalProvider, event
from aspyx_event.database import EventStatus, MemoryEventStore
from aspyx_event.exceptions import (
    DuplicateEventError,
    InvalidEventSchemaError,
    NoRouteError,
    UnregisteredEventTypeError,
)

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}}


@event(name="baroque-rows.greeted", schema=SCHEMA)
@dataclass
class Greeted:
    name: str


@event(name="baroque-rows.left")
@dataclass
class Left:
    who: str = "bob"


DEFAULTS = {
    "application": "",
    "start_in_background": False,
    "eventtypes": {"ignore_unregistered": True, "pre_registered": []},
    "events": {"validate_schema": True, "persist": False, "persistence_backend": "memory"},
    "listeners": {"propagate_exceptions": True},
    "topics": {"register_on_binding": True},
}


def test_the_default_configuration_is_read_by_its_keys_and_nobody_can_change_it():
    assert EventConfiguration().as_dict() == DEFAULTS
    own = EventConfiguration().as_dict()
    own["events"]["persist"] = True
    own["eventtypes"]["pre_registered"].append("x")
    assert EventConfiguration().as_dict() == DEFAULTS
    with pytest.raises(FrozenInstanceError):
        EventConfiguration().persist = True


def test_a_manager_tells_the_configuration_that_is_in_effect():
    assert EventManager(LocalProvider()).configuration == EventConfiguration()
    given = EventConfiguration(ignore_unregistered=False, pre_registered=[f"{__name__}.Left"])
    manager = EventManager(LocalProvider(), configuration=given)
    assert manager.configuration == given
    assert manager.configuration.as_dict()["eventtypes"] == {
        "ignore_unregistered": False,
        "pre_registered": [f"{__name__}.Left"],
    }
    overruled = EventManager(LocalProvider(), configuration=given, store=MemoryEventStore(), persist=True)
    assert overruled.configuration.persist
    assert not given.persist, "the given configuration is not changed"


def test_what_a_configuration_tells_is_what_a_file_takes(tmp_path):
    path = tmp_path / "event.yml"
    configuration = EventConfiguration(
        pre_registered=("aspyx_event.standard_events.Metric",), persist=True, register_topics_on_binding=False
    )
    path.write_text(yaml.safe_dump({"event": configuration.as_dict()}))
    assert EventConfiguration.from_yaml(path) == configuration
    assert EventConfiguration.from_mapping(configuration.as_dict()) == configuration


def test_one_word_subscribes_to_whatever_is_wanted_and_gives_the_subscription():
    """There is no second word for it: `subscribe` takes a class, a name, a pattern, `ANY` or several of them."""
    manager = EventManager(LocalProvider())
    seen: dict[str, list[Any]] = {}
    targets = {
        "class": Left,
        "name": "baroque-rows.left",
        "pattern": "baroque-rows.*",
        "any": ANY,
        "both": (Left, Greeted),
    }
    for name, target in targets.items():
        subscription = manager.subscribe(target, seen.setdefault(name, []).append, name=name)
        assert (subscription.name, subscription.stats.count) == (name, 0)
    manager.process(Left())
    assert seen == {name: [Left()] for name in targets}
    for wrong in (None, 5, object()):
        with pytest.raises(DeclarationError, match="the target is an event class"):
            manager.subscribe(wrong, print)
    with pytest.raises(UnregisteredEventTypeError, match="int is not an event"):
        manager.subscribe(int, print)
    manager.stop()


def test_in_a_program_without_a_loop_sending_returns_when_the_handlers_are_done():
    seen: list[Any] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Left, seen.append, name="l")
    left = Left()
    for times in (1, 2):
        receipt = manager.send_event(left)
        assert (seen, receipt.record.status) == ([left] * times, EventStatus.PUBLISHED)
    assert manager.stats.sent(Left) == manager.stats.sent("baroque-rows.left") == 2, "an event may be sent again"
    with pytest.raises(UnregisteredEventTypeError, match="object is not an event"):
        manager.send_event(object())
    assert manager.stats.sent() == 2
    manager.stop()


async def test_what_is_sent_reaches_no_more_than_its_own_listeners():
    async with EventManager(LocalProvider()) as manager:
        left, greeted, everything = Recorder(), Recorder(), Recorder()
        for target, seen, name in ((Left, left, "left"), (Greeted, greeted, "greeted"), (ANY, everything, "any")):
            await manager.subscribe(target, seen, name=name)
        await manager.send_event(Left("ann"))
        await manager.send_event(Greeted("bob"))
        await eventually(lambda: len(everything.handled) == 2)
        await eventually(lambda: left.handled and greeted.handled)
        assert (left.events, greeted.events) == ([Left("ann")], [Greeted("bob")])


def test_a_name_belongs_to_one_event_type_of_a_manager():
    def another() -> type:
        return event(name="baroque-rows.left")(dataclass(type("Other", (), {"__annotations__": {"x": int}})))

    manager, other = EventManager(LocalProvider()), EventManager(LocalProvider())
    manager.events.add(Left)
    with pytest.raises(DuplicateEventError, match=r"baroque-rows\.left"):
        manager.events.add(another())
    assert other.events.add(another()).name == "baroque-rows.left", "types are registered per manager"
    with pytest.raises(UnregisteredEventTypeError, match="str is not an event"):
        manager.events.add(str)


def test_subscriptions_are_found_by_event_and_a_cancelled_one_hears_nothing():
    seen: list[str] = []
    manager = EventManager(LocalProvider())
    first = manager.subscribe(Left, lambda event: seen.append("first"), name="first")
    second = manager.subscribe(Left, lambda event: seen.append("second"), name="second")
    assert manager.list_subscriptions("baroque-rows.left") == manager.list_subscriptions() == [first, second]
    assert manager.list_subscriptions("baroque-rows.unknown") == []
    assert manager.unsubscribe(first.id).result()
    manager.send_event(Left())
    assert (seen, manager.list_subscriptions()) == (["second"], [second])
    assert manager.events.by_name("baroque-rows.left").type is Left, "the event types stay"
    manager.stop()


def test_a_bag_of_event_types_takes_classes_and_refuses_what_is_none():
    manager = EventManager(LocalProvider())
    seen: list[Any] = []
    subscription = manager.subscribe((Left, Greeted), seen.append, name="both")
    assert [route.descriptor.type for route in subscription.descriptor.routes] == [Left, Greeted]
    for wrong in ((), (Left, 5), (Left, int)):
        with pytest.raises(DeclarationError):
            manager.subscribe(wrong, seen.append, name="wrong")
    assert manager.list_subscriptions() == [subscription]
    manager.stop()


async def test_the_status_of_an_event_says_how_far_it_came():
    manager = EventManager(LocalProvider())
    receipt = manager.send_event(Left())  # starts the manager, which takes a moment
    assert (receipt.record.type, receipt.record.status) == ("baroque-rows.left", EventStatus.UNPUBLISHED)
    await receipt
    assert receipt.record.status is EventStatus.PUBLISHED
    refused = manager.send_event(Greeted("bob"), require_route=True)
    with pytest.raises(NoRouteError):
        await refused
    assert refused.record.status is EventStatus.REFUSED
    assert [EventStatus.UNPUBLISHED.value, EventStatus.PUBLISHED.value] == ["unpublished", "published"]
    await manager.stop()


async def test_each_send_has_the_time_it_was_made_and_an_identity_of_its_own():
    """Nothing to refresh: the same object may be sent again, and its metadata is that of the send."""
    async with EventManager(LocalProvider()) as manager:
        left = Left()
        first = manager.send_event(left)
        between = datetime.now(timezone.utc)
        second = manager.send_event(left)
        await first
        await second
        assert first.record.time <= between <= second.record.time
        assert first.id != second.id


def test_an_event_is_checked_by_hand_without_being_sent():
    manager = EventManager(LocalProvider())
    seen: list[Any] = []
    manager.subscribe(Greeted, seen.append, name="l")
    manager.events.check(Greeted("bob"))
    with pytest.raises(InvalidEventSchemaError) as told:
        manager.events.check(Greeted(""))
    assert told.value.errors == ["field 'name': does not satisfy minLength: 1"]
    with pytest.raises(UnregisteredEventTypeError):
        manager.events.check({"name": "bob"})
    assert (seen, manager.stats.sent()) == ([], 0)
    assert manager.events.add(Greeted).schema == manager.events.by_name("baroque-rows.greeted").schema == SCHEMA
    manager.stop()


def test_a_generic_event_takes_a_name_and_any_payload():
    manager = EventManager(LocalProvider())
    seen: list[Any] = []
    manager.subscribe("anything.at.all", seen.append, name="l")
    for payload in ({"a": 1}, [1, 2], "text", None):
        manager.send_event(GenericEvent("anything.at.all", payload))
    assert [one.payload for one in seen] == [{"a": 1}, [1, 2], "text", None]
    assert {one.name for one in seen} == {"anything.at.all"}
    manager.stop()


@dataclass
class Bell:
    rung: list[Any]

    def ring(self, event: Left) -> None:
        self.rung.append(("method", event.who))

    def __call__(self, event: Left) -> None:
        self.rung.append(("object", event.who))


def test_functions_methods_objects_and_coroutines_are_handlers():
    async def asynchronous(event: Left) -> None:
        rung.append(("async", event.who))

    rung: list[Any] = []
    bell = Bell(rung)
    manager = EventManager(LocalProvider())
    callbacks: list[Callable[..., Any]] = [
        bell.ring,
        bell,
        asynchronous,
        lambda event: rung.append(("lambda", event.who)),
    ]
    for number, callback in enumerate(callbacks):
        manager.subscribe(Left, callback, name=f"l{number}")
    manager.process(Left("ann"))
    assert rung == [("method", "ann"), ("object", "ann"), ("async", "ann"), ("lambda", "ann")]
    for wrong in (None, 5, "text"):
        with pytest.raises(DeclarationError, match="not callable"):
            manager.subscribe(Left, wrong)
    with pytest.raises(DeclarationError, match="when: 5"):
        manager.subscribe(Left, bell, when=5)
    manager.stop()


def test_a_handler_is_run_by_hand_without_its_condition_and_success_is_counted():
    """By hand a handler is called as the function it is; `process` asks the conditions, and counts."""
    seen: list[str] = []

    def greet(event: Greeted) -> None:
        if event.name == "eve":
            raise ValueError("not her")
        seen.append(event.name)

    manager = EventManager(LocalProvider())
    subscription = manager.subscribe(Greeted, greet, when=lambda event: event.name != "ann")
    greet(Greeted("ann"))
    manager.process(Greeted("ann"))
    with pytest.raises(ValueError, match="not her"):
        manager.process(Greeted("eve"))
    assert (seen, subscription.stats.count) == (["ann"], 0), "only success counts"
    manager.process(Greeted("bob"))
    assert (seen, subscription.stats.count) == (["ann", "bob"], 1)
    manager.stop()


async def test_times_are_aware_and_written_in_utc():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder()
        subscription = await manager.subscribe(Left, seen, name="l")
        assert subscription.stats.last_time is None
        receipt = manager.send_event(Left())
        await receipt
        await eventually(lambda: subscription.stats.last_time)
        written = json.loads(receipt.record.json())["time"]
        assert written.endswith("Z")
        assert datetime.fromisoformat(written.replace("Z", "+00:00")) == receipt.record.time
        assert receipt.record.time.utcoffset() == subscription.stats.last_time.utcoffset() == timedelta(0)  # type: ignore[attr-defined]


def test_every_public_name_is_there_and_comes_with_a_star(tmp_path):
    for name in aspyx_event.__all__:  # type: ignore[attr-defined]
        assert getattr(aspyx_event, name) is not None
    done = run_program("from aspyx_event import *\nprint(EventManager, Topic, GenericEvent)\n", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


async def test_without_copies_handlers_get_the_very_object_that_was_sent():
    left = Left()
    for copies in (False, True):
        async with EventManager(LocalProvider(copy=copies)) as manager:
            one, two = Recorder(), Recorder()
            await manager.subscribe(Left, one, name="one")
            await manager.subscribe(Left, two, name="two")
            await manager.send_event(left)
            await eventually(lambda one=one, two=two: one.handled and two.handled)
            assert one.handled == two.handled == [left]
            assert [found is left for found in (*one.handled, *two.handled)] == [not copies] * 2
