"""The events of the tests of ready-made handlers, topics and configuration."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event


@event(name="reactions.born", schema={"type": "object", "required": ["name"], "properties": {"name": {"minLength": 1}}})
@dataclass
class Born:
    name: str


@event(name="reactions.grown")
@dataclass
class Grown:
    years: int
