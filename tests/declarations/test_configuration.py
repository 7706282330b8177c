"""The configuration of a manager: files, defaults, and what its switches do; what users of Baroque know, rows BQ of the features."""

from __future__ import annotations

from typing import Any

import pytest
from support_core import Recorder, run_program
from support_reactions import Born, Grown

from aspyx_event import EventConfiguration, EventManager, GenericEvent, LocalProvider, Topic
from aspyx_event.database import MemoryEventStore
from aspyx_event.exceptions import (
    ConfigurationError,
    InvalidEventSchemaError,
    UnregisteredEventTypeError,
    UnregisteredTopicError,
)
from aspyx_event.standard_events import Metric


async def test_a_manager_without_configuration_has_the_defaults():
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
      - aspyx_event.standard_events.Metric
  events:
    validate_schema: false
    persist: true
    persistence_backend: memory
  listeners:
    propagate_exceptions: false
  topics:
    register_on_binding: false
"""


async def test_a_yaml_file_configures_a_manager(tmp_path):
    path = tmp_path / "event.yml"
    path.write_text(YAML)
    manager = EventManager(LocalProvider(), configuration=EventConfiguration.from_yaml(path))
    assert manager.events.by_name("aspyx-event.metric").type is Metric
    assert not manager.configuration.validate_schema
    assert isinstance(manager.store.backend, MemoryEventStore)
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
def test_partial_and_empty_files_fall_back_to_the_defaults(tmp_path, text):
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
        ("events:\n  persist: [\n", r"event\.yml, line 3: this is not YAML"),
        ("other: 1\n", r"line 1: unknown key 'other'"),
        ("- a\n- b\n", "is not a mapping"),
        ("event: 5\n", "is not a mapping"),
        ("eventtypes:\n  pre_registered: text\n", "line 2: .*is no list of dotted paths"),
        ("events:\n  persistence_backend: 5\n", "is not a str"),
        ("\x00", "this is not YAML"),
    ],
)
def test_a_broken_file_names_line_and_key(tmp_path, text, words):
    path = tmp_path / "event.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        EventConfiguration.from_yaml(path)


def test_a_missing_file_is_named(tmp_path):
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
def test_broken_dotted_paths_are_named(values, words):
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

        print(Environment(ConfiguredModule).get(EventManager).configuration.validate_schema)
        """,
        tmp_path,
    )
    assert result.stdout.splitlines()[-1] == "False", result.stderr


async def test_events_are_checked_on_every_way_of_sending_unless_that_is_switched_off():
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
    await manager.stop()
    manager = EventManager(LocalProvider(), configuration=EventConfiguration(validate_schema=False))
    await manager.send_event(Born(""))
    assert manager.process(Born("")) is None
    await manager.stop()


def test_what_a_handler_raises_reaches_the_caller_of_process_or_the_log(caplog):
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
        manager.stop()  # type: ignore[unused-coroutine]
