"""The events of the tests of weak points."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event


@dataclass
class Base:
    number: int = 0


@event(name="weak.one")
@dataclass
class One(Base):
    pass


@event(name="weak.two")
@dataclass
class Two(Base):
    pass


@event(name="weak.schema", schema={"properties": {"name": {"minLength": 1}}})
@dataclass
class Checked:
    name: str
