"""Descriptions of a listener: `EventListenerDescriptor`, and the `Declaration` that it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .events import EventDescriptor
from .options import SubscriptionOptions
from .ordering import Requirement
from .targets import Route, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class EventListenerDescriptor:
    """A listener or handler bound to an event. The `handle` of interceptors gets it.

    Attributes:
        type: The listener class, or the handler's function.
        event: Descriptor of the event; for a pattern or a topic, a descriptor with its name.
        name: Name of the listener.
        options: All keywords of the declaration.
        routes: The consumed addresses; the first is that of `event`.
        qualified: The queue name carries the event name, because the plain name belongs to another event of the
            same listener class.
        application: Name of the manager's application; "" if it has none.
        scope: The application if queues and dead letters are named after it (`QueueNaming.APPLICATION`), else "".
    """

    type: Any
    event: EventDescriptor
    name: str
    options: SubscriptionOptions
    routes: tuple[Route, ...] = ()
    qualified: bool = False
    application: str = ""
    scope: str = ""

    @property
    def consumer_name(self) -> str:
        """The name in the queue name: the group if there is one, else the name."""
        return self.options.group or self.name

    @property
    def group(self) -> str:
        return self.options.group

    @property
    def per_process(self) -> bool:
        return self.options.per_process or any(route.descriptor.broadcast for route in self.routes)

    @property
    def requires(self) -> tuple[Requirement, ...]:
        return self.options.requires or ()

    @property
    def required_by(self) -> tuple[Requirement, ...]:
        return self.options.required_by or ()


class Declaration(NamedTuple):
    """A use of a decorator on a class, a function or a method."""

    target: Target
    options: SubscriptionOptions
    qualified: bool = False

    def describe(self, type_: Any, routes: tuple[Route, ...]) -> EventListenerDescriptor:
        return EventListenerDescriptor(
            type=type_,
            event=routes[0].descriptor,
            name=self.options.name,
            options=self.options,
            routes=routes,
            qualified=self.qualified,
        )
