"""What users of Baroque know under other words: the rows BQ of the features that other tests do not name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timezone
from typing import Any

import httpx
import pytest
from support_core import Recorder, eventually

import aspyx_event
from aspyx_event import ANY, EventConfiguration, EventManager, GenericEvent, LocalProvider, Topic, event
from aspyx_event.database import EventStatus
from aspyx_event.exceptions import (
    InvalidEventSchemaError,
    InvalidSchemaError,
    UnregisteredEventTypeError,
    UnregisteredTopicError,
)
from aspyx_event.reactions import webhook
from aspyx_event.standard_events import Metric

SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {"baby_name": {"type": "string", "minLength": 1}, "birth_date": {"type": "string"}},
    "required": ["baby_name", "birth_date"],
}


@event(name="baroque.baby-born", schema=SCHEMA, description="A new baby is born", owner="family", tags=("home",))
@dataclass
class BabyBorn:
    baby_name: str
    birth_date: str = "2017-04-19"


@event(name="baroque.moved")
@dataclass
class Moved:
    to: str


def test_a_configuration_is_read_by_itself_and_says_what_it_says(tmp_path):
    path = tmp_path / "event.yml"
    path.write_text("events:\n  validate_schema: false\n")
    read = EventConfiguration.from_yaml(path)
    assert asdict(read) == {**asdict(EventConfiguration()), "validate_schema": False}


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert aspyx_event.__version__ == version("aspyx-event")


def test_a_topic_is_registered_by_its_use_or_refused():
    topic = Topic("baroque.family", (Moved,))
    manager = EventManager(LocalProvider())
    manager.subscribe(topic, Recorder(), name="l")
    assert topic in manager.topics
    manager.stop()
    strict = EventManager(LocalProvider(), configuration=EventConfiguration(register_topics_on_binding=False))
    for use in (
        lambda: strict.subscribe(topic, Recorder(), name="l"),
        lambda: strict.send_event(Moved("x"), topic=topic),
    ):
        with pytest.raises(UnregisteredTopicError, match=r"'baroque\.family' is not registered"):
            use()
    strict.topics.register(topic)
    strict.subscribe(topic, Recorder(), name="l")
    strict.stop()


def test_process_hands_the_very_object_to_all_handlers_within_the_call():
    seen: list[Any] = []
    manager = EventManager(LocalProvider())
    manager.subscribe(Moved, lambda event: seen.append(("class", event)), name="class")
    manager.subscribe(ANY, lambda event: seen.append(("any", event)), name="any")
    moved = Moved("Turin")
    manager.process(moved)
    assert seen == [("any", moved), ("class", moved)]
    assert all(one is moved for _, one in seen)
    manager.process(moved)
    assert len(seen) == 4, "an event may be processed again"
    manager.stop()


def test_event_types_are_known_by_class_and_by_name():
    manager = EventManager(LocalProvider())
    with pytest.raises(UnregisteredEventTypeError):
        manager.events.by_name("baroque.baby-born")
    descriptor = manager.events.add(BabyBorn)
    assert manager.events.by_name("baroque.baby-born") is descriptor
    assert (descriptor.description, descriptor.owner, set(descriptor.tags)) == (
        "A new baby is born",
        "family",
        {"home"},
    )


async def test_subscriptions_are_listed_by_what_they_consume_and_dropped():
    async with EventManager(LocalProvider()) as manager:
        first = await manager.subscribe(Moved, Recorder(), name="first")
        everything = await manager.subscribe(ANY, Recorder(), name="any")
        assert manager.list_subscriptions("baroque.moved") == [first]
        assert manager.list_subscriptions(ANY) == [everything]
        await manager.send_event(Moved("x"))
        await eventually(lambda: manager.stats.handled() == 2)
        for one in manager.list_subscriptions():
            assert await one.cancel()
            assert not await one.cancel()
        manager.stats.reset()
        assert (manager.list_subscriptions(), manager.stats.sent()) == ([], 0)


def test_several_event_types_are_one_target():
    seen: list[Any] = []
    manager = EventManager(LocalProvider())
    manager.subscribe([Moved, BabyBorn, "baroque.other"], seen.append, name="several")
    for one in (Moved("x"), BabyBorn("Bob"), GenericEvent("baroque.other"), Metric("t", 1, 2)):
        manager.process(one)
    assert seen == [Moved("x"), BabyBorn("Bob"), GenericEvent("baroque.other")]
    manager.stop()


async def test_what_is_known_of_an_event_is_fixed_when_it_is_sent():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(BabyBorn, seen, name="l")
        event_ = BabyBorn("Bob")
        first, second = manager.send_event(event_), manager.send_event(event_)
        await first
        await second
        one, two = first.record, second.record
        assert (one.owner, set(one.tags), one.status) == ("family", {"home"}, EventStatus.PUBLISHED)
        assert one.id != two.id
        assert one.time.tzinfo is not None
        assert one.time.astimezone(timezone.utc) <= two.time.astimezone(timezone.utc)
        assert one.content_hash == two.content_hash


def test_an_event_is_held_to_its_json_schema_and_a_bad_schema_is_told_where_it_is_declared():
    manager = EventManager(LocalProvider())
    manager.process(BabyBorn("Bob"))
    with pytest.raises(InvalidEventSchemaError) as told:
        manager.send_event(BabyBorn(""))
    assert told.value.event_name == "baroque.baby-born"
    assert told.value.errors == ["field 'baby_name': does not satisfy minLength: 1"]
    assert set(manager.events.add(BabyBorn).schema["required"]) >= {"baby_name", "birth_date"}
    for schema in ('{"type": ', {"type": "no such type"}):
        with pytest.raises(InvalidSchemaError):
            manager.events.add(event(name="baroque.bad", schema=schema)(dataclass(type("Bad", (), {}))))
    manager.stop()


def test_a_generic_event_and_a_plain_function_are_enough():
    def only_if_name_provided(event: GenericEvent) -> bool:
        return "name" in event.payload

    def greet(event: GenericEvent) -> None:
        greeted.append(event.payload["name"])

    greeted: list[str] = []
    manager = EventManager(LocalProvider())
    manager.subscribe("greeting", greet, when=only_if_name_provided)
    manager.process(GenericEvent("greeting"))
    manager.process(GenericEvent("greeting", {"name": "bob"}))
    greet(GenericEvent("greeting", {"name": "by hand"}))
    assert greeted == ["bob", "by hand"]
    manager.stop()


async def test_a_webhook_posts_the_event_or_a_payload_and_keeps_the_answer():
    posted: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(200, json={"taken": True})

    client = httpx.AsyncClient(transport=httpx.MockTransport(receive))
    async with client, EventManager(LocalProvider()) as manager:
        plain = webhook("https://example.org/a", client=client)
        own = webhook("https://example.org/b", {"fixed": 1}, params={"q": "1"}, headers={"x-token": "t"}, client=client)
        for number, hook in enumerate((plain, own)):
            await manager.subscribe(Moved, hook, name=f"hook-{number}")
        await manager.send_event(Moved("Turin"))
        await eventually(lambda: manager.stats.handled() == 2)
    found = {request.url.path: request for request in posted}
    assert (found["/a"].headers["ce-type"], found["/a"].content) == ("baroque.moved", b'{"to":"Turin"}')
    assert (found["/b"].url.query, found["/b"].headers["x-token"]) == (b"q=1", "t")
    assert found["/b"].read().replace(b" ", b"") == b'{"fixed":1}'
    assert own.last_answer is not None
    assert (own.last_answer.status, own.last_answer.payload) == (200, {"taken": True})


def test_classes_are_loaded_by_their_dotted_path():
    manager = EventManager(
        LocalProvider(),
        configuration=EventConfiguration(pre_registered=(f"{__name__}.Moved", "aspyx_event.standard_events.Metric")),
    )
    assert manager.events.by_name("baroque.moved").type is Moved
    assert manager.events.by_name("aspyx-event.metric").type is Metric


def test_everything_is_imported_from_the_top():
    for name in (
        "EventManager",
        "event",
        "Topic",
        "GenericEvent",
        "EventConfiguration",
    ):
        assert name in aspyx_event.__all__  # type: ignore[attr-defined]
