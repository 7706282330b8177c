"""Handlers that installed distributions offer: rows EP-22 and EP-23 of the features."""

from __future__ import annotations

import logging
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import eventually

from aspyx_event import ANY, EventManager, LocalProvider, event
from aspyx_event.exceptions import EntryPointError

GROUP = "entries.handlers"


@event(name="entries.started")
@dataclass
class Started:
    number: int = 0


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Any) -> None:
        self.folder, self.modules = folder, []

    def install(self, name: str, entries: dict[str, str], **modules: str) -> None:
        info = self.folder / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = "".join(f"{entry} = {value}\n" for entry, value in entries.items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        for module, source in modules.items():
            (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
            self.modules.append(module)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    made = Site(tmp_path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


NOTES = "notes = __import__('builtins').__dict__.setdefault('entry_notes', [])\n"


@pytest.fixture
def notes():
    import builtins

    builtins.entry_notes = []  # type: ignore[attr-defined]
    yield builtins.entry_notes  # type: ignore[attr-defined]
    del builtins.entry_notes  # type: ignore[attr-defined]


def test_two_distributions_contribute_to_one_group(site, notes):
    site.install(
        "first-app",
        {"test_prepare": "entries_first:test_prepare", "test_run": "entries_first:run"},
        entries_first="""
        import builtins
        from aspyx_event import ANY, event_handler

        def test_prepare(event):
            builtins.entry_notes.append("prepare")

        @event_handler(ANY, requires=["test_prepare", "test_auxiliary"])
        def run(event):
            builtins.entry_notes.append("run")
        """,
    )
    site.install(
        "second-app",
        {"test_auxiliary": "entries_second:auxiliary"},
        entries_second="""
        import builtins
        from aspyx_event import ANY, event_handler

        @event_handler(ANY, required_by="test_run", requires="test_prepare")
        def auxiliary(event):
            builtins.entry_notes.append("auxiliary")
        """,
    )
    manager = EventManager(LocalProvider())
    loaded = manager.load_from(GROUP)
    assert [one.name for one in loaded] == ["test_auxiliary", "test_prepare", "test_run"]
    manager.process(Started())
    assert notes == ["prepare", "auxiliary", "run"]


async def test_listener_classes_instances_and_modules_may_be_offered(site, notes):
    site.install(
        "third-app",
        {"a-class": "entries_third:Audit", "b-module": "entries_fourth", "c-instance": "entries_third:audit"},
        entries_third="""
        import builtins
        from aspyx_event import EventListener, event_listener

        @event_listener("entries.started")
        class Audit(EventListener):
            def on(self, event):
                builtins.entry_notes.append(type(self).__name__)

        @event_listener("entries.started", name="Second")
        class Second(Audit):
            pass

        audit = Second()
        """,
        entries_fourth="""
        import builtins
        from aspyx_event import event_handler, want
        from entries_third import Audit

        @event_handler("entries.started")
        def in_module(event):
            builtins.entry_notes.append("module")

        def unmarked(event):
            builtins.entry_notes.append("never")
        """,
    )
    async with EventManager(LocalProvider()) as manager:
        for subscription in manager.load_from(GROUP):
            await subscription
        await manager.send_event(Started(1))
        await eventually(lambda: len(notes) == 3)
        assert sorted(notes) == ["Audit", "Second", "module"]


def test_a_group_that_nobody_offers_anything_under_gives_nothing():
    assert EventManager(LocalProvider()).load_from("entries.nobody") == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("entries_missing:handler", "No module named 'entries_missing'"),
        ("entries_broken:missing", "has no attribute 'missing'"),
        ("entries_broken:number", "has no handler|has no handler"),
        ("entries_broken:wrong", "signature does not allow"),
        ("entries_broken:Plain", "has no handler"),
        ("entries_raising:handler", "cannot be imported"),
    ],
)
def test_a_broken_entry_is_named_with_its_distribution_and_harms_no_other_where_that_is_asked_for(
    site, notes, caplog, value, words
):
    site.install(
        "broken-app",
        {"broken": value, "sound": "entries_broken:sound"},
        entries_broken="""
        import builtins
        number = 5

        class Plain:
            pass

        def wrong():
            pass

        def sound(event):
            builtins.entry_notes.append("sound")
        """,
        entries_raising="raise RuntimeError('cannot be imported')",
    )
    manager = EventManager(LocalProvider())
    with pytest.raises(
        EntryPointError, match=rf"'broken' = '{value}' of broken-app 1\.2 in group '{GROUP}'.*({words})"
    ):
        manager.load_from(GROUP)
    assert manager.list_subscriptions() == []
    with caplog.at_level(logging.ERROR, "aspyx.event"):
        [sound] = manager.load_from(GROUP, strict=False)
    assert "broken-app 1.2" in caplog.text
    assert (sound.name, sound.event_name) == ("sound", ANY)
    manager.process(Started())
    assert notes == ["sound"]
