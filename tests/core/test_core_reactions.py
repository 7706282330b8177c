"""Counters, ready-made handlers and events, topics, configuration: what users of Baroque know, rows BQ of the features."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import Recorder, eventually, run_program, settle

import aspyx_event
from aspyx_event import (
    ANY,
    DataOperation,
    DeclarationError,
    EventConfiguration,
    EventManager,
    ForeignEventError,
    GenericEvent,
    LocalProvider,
    MemoryEventStore,
    Metric,
    StateTransition,
    Topic,
    UnregisteredEventTypeError,
    UnregisteredTopicError,
    event,
)
from aspyx_event.exceptions import ConfigurationError, InvalidEventSchemaError
from aspyx_event.reactions import call, log_event, stdout
from aspyx_event.store.memory import MemoryEventStore as Backend


@event(name="reactions.born", schema={"type": "object", "required": ["name"], "properties": {"name": {"minLength": 1}}})
@dataclass
class Born:
    name: str


@event(name="reactions.grown")
@dataclass
class Grown:
    years: int


async def test_bq_01_bq_10_a_manager_without_configuration_has_the_defaults():
    configuration = EventConfiguration()
    assert configuration == EventConfiguration.from_mapping(None) == EventConfiguration.from_mapping({})
    assert configuration.ignore_unregistered
    assert configuration.validate_schema
    assert configuration.propagate_exceptions
    assert configuration.register_topics_on_binding
    assert not configuration.persist
    assert configuration.pre_registered == ()


YAML = """
event:
  eventtypes:
    ignore_unregistered: false
    pre_registered:
      - aspyx_event.Metric
  events:
    validate_schema: false
    persist: true
    persistence_backend: memory
  listeners:
    propagate_exceptions: false
  topics:
    register_on_binding: false
"""


async def test_bq_02_a_yaml_file_configures_a_manager(tmp_path):
    path = tmp_path / "event.yml"
    path.write_text(YAML)
    manager = EventManager(LocalProvider(), configuration=EventConfiguration.from_yaml(path))
    assert manager.get_event_descriptor_by_name("aspyx-event.metric").type is Metric
    assert not manager.validate_schema
    assert isinstance(manager.store, MemoryEventStore)
    await manager.send_event(Metric("t", 1, 2))
    assert [stored.type async for stored in manager.store.find()] == ["aspyx-event.metric"]
    with pytest.raises(
        UnregisteredEventTypeError, match=r"No event found with name 'unknown'; known: aspyx-event\.metric"
    ):
        manager.send_event(GenericEvent("unknown"))
    with pytest.raises(UnregisteredEventTypeError):
        manager.subscribe("unknown", Recorder())
    with pytest.raises(UnregisteredTopicError, match="not registered"):
        manager.subscribe(Topic("t", (Born,)), Recorder())
    assert manager.stats.sent() == 1, "what is refused is not counted"
    await manager.stop()


@pytest.mark.parametrize(
    "text", ["", "\n# nothing\n", "event:\n", "event:\n  events:\n", "events:\n  persist: false\n"]
)
def test_bq_02_partial_and_empty_files_fall_back_to_the_defaults(tmp_path, text):
    path = tmp_path / "event.yml"
    path.write_text(text)
    assert EventConfiguration.from_yaml(path) == EventConfiguration()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "event:\n  events:\n    persits: true\n",
            r"event\.yml, line 3: unknown key 'event\.events\.persits'; known: .*events\.persist",
        ),
        (
            "event:\n  events:\n    persist: maybe\n",
            r"line 3: event\.events\.persist: 'maybe' is neither true nor false",
        ),
        ("events:\n  persist: [\n", r"event\.yml, line 3: this is no YAML"),
        ("other: 1\n", r"line 1: unknown key 'other'"),
        ("- a\n- b\n", "is no mapping"),
        ("event: 5\n", "is no mapping"),
        ("eventtypes:\n  pre_registered: text\n", "line 2: .*is no list of dotted paths"),
        ("events:\n  persistence_backend: 5\n", "is no str"),
        ("\x00", "this is no YAML"),
    ],
)
def test_bq_02_a_broken_file_names_line_and_key(tmp_path, text, words):
    path = tmp_path / "event.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        EventConfiguration.from_yaml(path)


def test_bq_02_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yml: cannot be read: No such file"):
        EventConfiguration.from_yaml(tmp_path / "nowhere.yml")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pre_registered": ("nowhere.Class",)}, "'nowhere.Class' cannot be loaded: No module named 'nowhere'"),
        ({"pre_registered": ("aspyx_event.Nothing",)}, "cannot be loaded"),
        ({"pre_registered": ("aspyx_event.EventManager",)}, "is not an event"),
        ({"pre_registered": ("text",)}, "cannot be loaded"),
        ({"persist": True, "persistence_backend": "aspyx_event.EventManager"}, "does not derive from EventStore"),
        ({"persist": True, "persistence_backend": "no.where.Store"}, "cannot be loaded"),
    ],
)
def test_bq_11_bq_14_broken_dotted_paths_are_named(values, words):
    with pytest.raises(ConfigurationError, match=words):
        EventManager(LocalProvider(), configuration=EventConfiguration(**values))


def test_the_configuration_of_the_container_is_read(tmp_path):
    result = run_program(
        """
        from aspyx.di import Environment, create, module
        from aspyx.di.configuration import ConfigurationManager, ConfigurationSource
        from aspyx_event import EventConfiguration, EventManager, EventModule, LocalProvider

        class Source(ConfigurationSource):
            def load(self) -> dict:
                return {"event": {"events": {"validate_schema": False}}}

        @module(imports=[EventModule])
        class ConfiguredModule:
            @create()
            def create_manager(self, configuration: ConfigurationManager) -> EventManager:
                configuration.load_source(Source())
                return EventManager(LocalProvider(), configuration=EventConfiguration.of(configuration))

        print(Environment(ConfiguredModule).get(EventManager).validate_schema)
        """,
        tmp_path,
    )
    assert result.stdout.splitlines()[-1] == "False", result.stderr


async def test_bq_12_bq_52_events_are_checked_on_every_way_of_sending_unless_that_is_switched_off():
    manager = EventManager(LocalProvider())
    topic = manager.topics.new("family", [Born])
    await manager.subscribe(topic, Recorder(), name="l")
    for send in (
        lambda: manager.send_event(Born("")),
        lambda: manager.send_event(Born(""), topic=topic),
        lambda: manager.process(Born("")),
    ):
        with pytest.raises(InvalidEventSchemaError, match="name"):
            send()
    assert manager.stats.sent() == 0
    manager.validate_schema = False
    await manager.send_event(Born(""))
    assert manager.process(Born("")) is None
    await manager.stop()


def test_bq_15_what_a_handler_raises_reaches_the_caller_of_process_or_the_log(caplog):
    def fails(event: Any) -> None:
        raise ValueError("no")

    for propagates in (True, False):
        notes: list[Any] = []
        configuration = EventConfiguration(propagate_exceptions=propagates)
        manager = EventManager(LocalProvider(), configuration=configuration)
        manager.subscribe(Grown, fails)
        manager.subscribe(Grown, notes.append, name="after")
        if propagates:
            with pytest.raises(ValueError, match="no"):
                manager.process(Grown(1))
        else:
            manager.process(Grown(1))
            assert "listener 'fails' failed" in caplog.text
        assert notes == ([] if propagates else [Grown(1)])
        manager.stop()


async def test_bq_20_bq_22_one_subscription_to_a_class_and_one_to_any():
    seen, everything = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Grown, seen, name="grown")
        await manager.subscribe(ANY, everything, name="any")
        await manager.send_event(Grown(1))
        await manager.send_event(Born("a"))
        await eventually(lambda: len(everything.handled) == 2 and seen.handled)
        assert seen.events == [Grown(1)]


async def test_bq_25_bq_63_what_was_sent_and_handled_is_counted_by_class_event_and_name():
    seen = Recorder(failures=[ValueError("once")])
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe((Grown, Born), seen, name="l")
        assert (subscription.stats.last_event_id, subscription.stats.last_time) == ("", None)
        receipts = [manager.send_event(one) for one in (Grown(1), Born("a"), Grown(2))]
        for receipt in receipts:
            await receipt
        await eventually(lambda: manager.stats.handled() == 2)
        stats = manager.stats
        assert (stats.sent(), stats.sent(Grown), stats.sent(Born("x")), stats.sent("reactions.grown")) == (3, 2, 1, 2)
        assert stats.sent("never") == 0
        assert (stats.handled(Grown), stats.handled(Born), stats.failures, stats.dead_letters) == (1, 1, 1, 1)
        assert stats.last_event_id == receipts[-1].id
        assert stats.last_time is not None
        assert subscription.stats.handled == {"reactions.grown": 1, "reactions.born": 1}
        stats.reset()
        assert (stats.sent(), stats.handled(), stats.failures, stats.last_event_id, stats.last_time) == (
            0,
            0,
            0,
            "",
            None,
        )
        assert subscription.stats.last_time is None


async def test_bq_28_a_subscription_is_counted_found_and_cancelled():
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Grown, Recorder(), name="l")
        assert manager.list_subscriptions("reactions.grown") == [subscription]
        assert await subscription.cancel()
        assert manager.list_subscriptions() == []


async def test_bq_41_bq_44_bq_45_the_metadata_of_a_sent_event_is_at_hand_on_both_sides():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Grown, seen, name="l")
        receipt = manager.send_event(Grown(3))
        await receipt
        await eventually(lambda: seen.handled)
        record, sent = seen.contexts[0].record, receipt.record
    assert (record.id, record.type, record.body) == (receipt.id, "reactions.grown", b'{"years":3}')
    assert record.time.tzinfo is not None
    assert sent.content_hash == record.content_hash
    assert sent.status is aspyx_event.EventStatus.PUBLISHED
    assert '"data":{"years":3}' in record.json()


def test_bq_55_bq_56_bq_57_bq_58_ready_made_events():
    manager = EventManager(LocalProvider())
    seen: list[Any] = []
    manager.subscribe(ANY, seen.append, name="any")
    ready = [
        GenericEvent("anything", {"a": 1}),
        StateTransition("a", "b", "t"),
        DataOperation({"id": 1}, "create", "2026-01-01T00:00:00Z", {"by": "me"}),
        Metric("temperature", 21.5, 1_700_000_000),
    ]
    for one in ready:
        manager.process(one)
    assert seen == ready
    with pytest.raises(InvalidEventSchemaError, match="operation"):
        manager.send_event(DataOperation({}, None, "now"))  # type: ignore[arg-type]
    manager.stop()


async def test_bq_64_bq_65_bq_66_ready_made_handlers(caplog):
    class Box:
        def __init__(self) -> None:
            self.marks: list[Any] = []

        def mark(self, *arguments: Any, **keywords: Any) -> None:
            self.marks.append((arguments, keywords))

        async def mark_later(self) -> None:
            await asyncio.sleep(0)
            self.marks.append("later")

    box, stream = Box(), io.StringIO()
    caplog.set_level(logging.INFO, "reactions")
    async with EventManager(LocalProvider()) as manager:
        for reaction in (
            stdout(stream),
            call(box, "mark", 1, key="x"),
            call(box, "mark_later"),
            log_event(logging.getLogger("reactions"), logging.WARNING),
        ):
            await manager.subscribe(Grown, reaction)
        await manager.send_event(Grown(5))
        await eventually(lambda: manager.stats.handled() == 4)
    assert stream.getvalue() == "Grown(years=5)\n"
    assert sorted(box.marks, key=str) == [((1,), {"key": "x"}), "later"]
    assert ("reactions", logging.WARNING, "Grown(years=5)") in caplog.record_tuples


@pytest.mark.parametrize(
    "make", [lambda: call(object(), "missing"), lambda: call(object(), 5), lambda: log_event("no logger")]
)
def test_bq_65_bq_66_misuse_of_ready_made_handlers_is_told_at_once(make):
    with pytest.raises(DeclarationError):
        make()


def test_bq_70_bq_71_bq_72_bq_73_topics_are_registered_found_and_removed():
    topics = EventManager(LocalProvider()).topics
    family = topics.new("family", [Born, Grown], "what happens in it", owner="me", tags={"home", "people"})
    other = topics.register(Topic("other", (Born,), owner="me"))
    assert topics.register(other) is other
    assert (len(topics), list(topics), family in topics, "other" in topics, "x" in topics) == (
        2,
        [family, other],
        True,
        True,
        False,
    )
    assert (topics.with_name("family"), topics.with_id(other.id), topics.with_name("Family")) == (family, other, None)
    assert topics.of("me") == [family, other]
    assert topics.with_tags(["home"]) == topics.with_tags({"home", "people"}) == [family]
    assert topics.with_tags([]) == topics.with_tags(["home", "x"]) == []
    topics.remove("other")
    assert list(topics) == [family]
    for wrong, error, words in (
        (lambda: topics.remove(other), UnregisteredTopicError, "'other' is not registered"),
        (lambda: topics.with_tags("home"), DeclarationError, "not one str"),
        (lambda: topics.register("family"), DeclarationError, "is no Topic"),
        (lambda: topics.new("family", [Born]), DeclarationError, "another topic called 'family'"),
        (lambda: Topic("t", ()), DeclarationError, "carries no event class"),
        (lambda: Topic("t", (str,)), UnregisteredEventTypeError, "str is not an event"),
        (lambda: Topic("t", (Born,), tags="text"), DeclarationError, "is one str"),
        (lambda: Topic("a*b", (Born,)), DeclarationError, r"a\*b"),
    ):
        with pytest.raises(error, match=words):
            wrong()


def test_bq_53_bq_70_what_topics_and_events_say_is_json_with_a_hash_that_depends_on_nothing_else():
    one, two = Topic("t", (Born, Grown), tags={"a", "b"}), Topic("t", (Grown, Born), tags={"b", "a"})
    assert (one.id != two.id, one.content_hash == two.content_hash) == (True, True)
    assert json.loads(one.json())["name"] == "t"
    assert one.content_hash != Topic("t", (Born,)).content_hash
    descriptor = EventManager(LocalProvider()).get_event_descriptor(Born)
    assert json.loads(descriptor.json())["schema"]["required"] == ["name"]
    other = EventManager(LocalProvider()).get_event_descriptor(Grown)
    assert descriptor.content_hash != other.content_hash


async def test_bq_74_bq_75_a_topic_and_the_classes_own_listeners_are_apart():
    on_topic, on_class = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        topic = Topic("family", (Born,))
        await manager.subscribe(topic, on_topic, name="topic")
        await manager.subscribe(Born, on_class, name="class")
        assert topic in manager.topics, "it is registered by that"
        await manager.send_event(Born("on the topic"), topic="family")
        await manager.send_event(Born("to the class"))
        await eventually(lambda: on_topic.handled and on_class.handled)
        await settle()
        assert (on_topic.events, on_class.events) == ([Born("on the topic")], [Born("to the class")])
        with pytest.raises(ForeignEventError, match=r"carries reactions\.born, not Grown; nothing was sent"):
            manager.send_event(Grown(1), topic=topic)
        with pytest.raises(UnregisteredTopicError, match="topic 'unknown' is not registered"):
            manager.send_event(Born("x"), topic="unknown")
        assert manager.stats.sent() == 2


async def test_bq_76_a_topic_has_several_consumers():
    first, second = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        topic = manager.topics.new("family", Born)
        await manager.subscribe(topic, first, name="first")
        await manager.subscribe(topic, second, name="second")
        await manager.send_event(Born("a"), topic=topic)
        await eventually(lambda: first.handled and second.handled)


async def test_bq_80_bq_82_what_is_sent_is_stored_and_found_again():
    store = Backend()
    async with EventManager(LocalProvider(), store=store, persist=True) as manager:
        receipt = manager.send_event(Born("a"))
        await receipt
        assert (await manager.store.read(receipt.id)).type == "reactions.born"
