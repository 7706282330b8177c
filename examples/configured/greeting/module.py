"""A package of listeners, like a library: it has no provider."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from aspyx.di import module

from aspyx_event import EventListener, EventModule, event, event_listener


@event(name="greetings.hello", durable=True)
@dataclass
class Hello:
    name: str


@event_listener(Hello, name="greeter")
class Greeter(EventListener[Hello]):
    def __init__(self) -> None:
        self.greeted = threading.Event()

    def on(self, event: Hello) -> None:
        print(f"Hello, {event.name}!", flush=True)
        self.greeted.set()


@module(imports=[EventModule])
class GreetingModule:
    """Imported by the module of the application."""
