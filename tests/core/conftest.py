"""What every test of the core does."""

from __future__ import annotations

import functools

import pytest

from aspyx_event import EventManager


@pytest.fixture(autouse=True)
def _no_loop_is_left_behind(monkeypatch):
    """Stop the managers that got a loop of their own: its end would be logged in the middle of another test."""
    made: list[EventManager] = []
    original = EventManager.__init__

    @functools.wraps(original)
    def remembering(self, *arguments, **keywords):
        original(self, *arguments, **keywords)
        made.append(self)

    monkeypatch.setattr(EventManager, "__init__", remembering)
    yield
    for manager in made:
        if manager.running and manager._runner._loop.owns_loop:
            manager.stop()
