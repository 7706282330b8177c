"""What the systems that this one takes over are weak at is not repeated: one test for each point."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import Recorder, eventually
from support_weak_points import Base, Checked, One, Two

from aspyx_event import (
    DeclarationError,
    EventConfiguration,
    EventManager,
    GenericEvent,
    LocalProvider,
    Retry,
    event,
    event_handler,
    want,
)
from aspyx_event.database import MemoryEventStore
from aspyx_event.exceptions import (
    EntryPointError,
    EventNotInTopicError,
    InvalidEventSchemaError,
    InvalidSchemaError,
    RequirementError,
    UnregisteredEventTypeError,
)

# Baroque


async def test_baroque_classes_in_a_topic_match_and_are_counted():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder()
        topic = manager.topics.new("weak.topic", [One, Two])
        await manager.subscribe(topic, seen, name="l")
        await manager.send_event(One(1), topic=topic)
        await manager.send_event(Two(2), topic=topic)
        await eventually(lambda: seen.handled == [One(1), Two(2)])
        assert (manager.stats.sent(One), manager.stats.sent(One(5)), manager.stats.sent()) == (1, 1, 2)


async def test_baroque_topics_validate_and_keep_the_same_rules_for_failures():
    async with EventManager(LocalProvider(), retry=Retry(attempts=2, delay=0.0)) as manager:
        seen = Recorder(failures=[ValueError("once")])
        topic = manager.topics.new("weak.topic", [Checked])
        await manager.subscribe(topic, seen, name="l")
        with pytest.raises(InvalidEventSchemaError):
            manager.send_event(Checked(""), topic=topic)
        await manager.send_event(Checked("a"), topic=topic)
        await eventually(lambda: seen.handled == [Checked("a")])


async def test_baroque_what_is_refused_is_not_counted_and_a_foreign_event_is_not_published_to_no_one():
    async with EventManager(LocalProvider()) as manager:
        topic = manager.topics.new("weak.topic", [Checked])
        with pytest.raises(EventNotInTopicError):
            manager.send_event(One(1), topic=topic)
        with pytest.raises(InvalidEventSchemaError):
            manager.send_event(Checked(""))
        with pytest.raises(UnregisteredEventTypeError):
            manager.send_event(object())
        assert manager.stats.sent() == 0


def test_baroque_a_part_of_a_configuration_is_enough_and_yaml_runs_no_code(tmp_path):
    path = tmp_path / "event.yml"
    path.write_text("events:\n  persist: false\n")
    assert EventConfiguration.from_yaml(path) == EventConfiguration()
    path.write_text("events: !!python/object/apply:os.system ['exit 1']\n")
    with pytest.raises(DeclarationError, match="is not YAML"):
        EventConfiguration.from_yaml(path)


def test_baroque_the_default_configuration_is_shared_by_nobody_and_cannot_be_changed():
    first = EventConfiguration()
    with pytest.raises(AttributeError):
        first.persist = True  # type: ignore[misc]
    EventManager(LocalProvider(), configuration=EventConfiguration(validate_schema=False))
    assert EventManager(LocalProvider()).configuration.validate_schema


async def test_baroque_hash_and_json_are_stable_and_json_is_not_nested_in_a_string():
    async with EventManager(LocalProvider()) as manager:
        one, two = (
            manager.send_event(GenericEvent("weak.json", payload)) for payload in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
        )
        await one
        await two
        assert one.record.content_hash == two.record.content_hash
        assert '"data":{"a":1,"b":2}' in one.record.json()


async def test_baroque_a_hierarchy_is_dispatched():
    async with EventManager(LocalProvider()) as manager:
        exact, all_of_them = Recorder(), Recorder()
        await manager.subscribe(One, exact, name="exact")
        await manager.subscribe(Base, all_of_them, name="base", subtypes=True)
        await manager.send_event(One(1))
        await manager.send_event(Two(2))
        await eventually(lambda: len(all_of_them.handled) == 2)
        assert exact.events == [One(1)]


async def test_baroque_conditions_are_keywords_so_no_chain_breaks():
    async with EventManager(LocalProvider()) as manager:
        one = await manager.subscribe(One, Recorder(), name="l", when=lambda event: event.number > 1)
        assert await one is one


def test_baroque_it_may_be_used_from_any_thread():
    manager = EventManager(LocalProvider())
    manager.subscribe(One, lambda event: None, name="l")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: manager.send_event(One(number)), range(200)))
    assert manager.stats.sent(One) == manager.stats.handled(One) == 200
    manager.stop()


def test_baroque_misuse_is_told_under_optimisation_too(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from aspyx_event import EventManager, LocalProvider, EventException\n"
        "manager = EventManager(LocalProvider())\n"
        "for wrong in (lambda: manager.subscribe(5, print), lambda: manager.send_event(None)):\n"
        "    try:\n        wrong()\n    except EventException as error:\n        print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-O", str(program)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("DeclarationError\nUnregisteredEventTypeError\n", "")


async def test_baroque_the_store_can_be_read_and_asked():
    async with EventManager(LocalProvider(), store=MemoryEventStore(), persist=True) as manager:
        await manager.send_event(One(1))
        assert [stored.type async for stored in manager.store.find(One)] == ["weak.one"]


def test_baroque_a_malformed_schema_is_told_where_it_is_declared():
    with pytest.raises(InvalidSchemaError):
        EventManager(LocalProvider()).events.add(event(name="weak.bad", schema="{")(dataclass(type("Bad", (), {}))))


# EvProc


def test_evproc_a_requirement_that_never_came_is_named():
    manager = EventManager(LocalProvider())
    manager.subscribe(One, lambda event: None, name="a", requires="nobody")
    with pytest.raises(RequirementError, match="'a' requires 'nobody'"):
        manager.process(One())


async def test_evproc_rings_are_found_before_the_first_event():
    ring = [event_handler(One, name=a, requires=b)(lambda event: None) for a, b in (("a", "b"), ("b", "a"))]
    with pytest.raises(RequirementError, match="ring"):
        await EventManager(LocalProvider(), listeners=ring).start()


def test_evproc_equals_keep_their_order_whatever_the_hash_seed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from aspyx_event import EventManager, GenericEvent, LocalProvider\n"
        "manager = EventManager(LocalProvider())\n"
        "for name in 'hgfedcba':\n"
        "    manager.subscribe('e', lambda event, name=name: print(name, end=''), name=name)\n"
        "manager.process(GenericEvent('e'))\n"
    )
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, timeout=60, env={"PYTHONHASHSEED": seed}
        )
        assert (done.stdout, done.stderr) == ("hgfedcba", "")


async def test_evproc_a_handler_that_fails_loses_nothing_that_was_sent():
    async with EventManager(LocalProvider()) as manager:
        seen, after = Recorder(), Recorder(failures=[ValueError("no")])
        await manager.subscribe(
            One, lambda event: [Two(event.number), Two(event.number + 1)], name="returns", required_by="fails"
        )
        await manager.subscribe(One, after, name="fails")
        await manager.subscribe(Two, seen, name="seen")
        await manager.send_event(One(1))
        await eventually(lambda: seen.handled == [Two(1), Two(2)])
        await eventually(lambda: manager.stats.dead_letters == 1)


async def test_evproc_handlers_are_async_and_can_be_taken_out_again():
    seen = Recorder()
    manager = EventManager(LocalProvider())
    one = await manager.subscribe(One, seen, name="l")
    await manager.process_async(One(1))
    assert await manager.unsubscribe(one)
    await manager.process_async(One(2))
    assert seen.events == [One(1)]
    await manager.stop()


async def test_evproc_an_endless_chain_of_returned_events_starves_nobody_and_ends_with_the_manager():
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder()
        endless = await manager.subscribe(One, lambda event: One(event.number + 1), name="endless", inline=True)
        await manager.subscribe(Two, seen, name="other")
        await manager.send_event(One(0))
        await eventually(lambda: endless.stats.count > 20)
        await manager.send_event(Two(1))
        await eventually(lambda: seen.handled)
    assert not manager.running


def test_evproc_a_broken_plug_in_is_an_error(tmp_path, monkeypatch):
    info = tmp_path / "weak_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: weak-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[weak.handlers]\nbroken = weak_plugin_that_is_not_there:handler\n")
    monkeypatch.syspath_prepend(tmp_path)
    manager = EventManager(LocalProvider())
    with pytest.raises(EntryPointError, match=r"'broken' .* of weak-plugin 1\.0"):
        manager.load_from("weak.handlers")
    assert manager.load_from("weak.handlers", strict=False) == []


def test_evproc_stacked_decorators_share_nothing_between_functions():
    def handler(event: Any) -> None:
        """Never called."""

    first = want("a")(handler)
    again = want("b")(handler)
    assert first is again is handler
    other = want("c")(lambda event: None)
    assert vars(other)["__aspyx_event_wants__"] != vars(handler)["__aspyx_event_wants__"]
    assert all(isinstance(vars(one)["__aspyx_event_wants__"], tuple) for one in (handler, other))
