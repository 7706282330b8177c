"""What an event manager tells about its events: a part of `EventManager`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..engine.engine import Engine
from ..events import EventDescriptor
from ..providers.base import Provider
from ..senders import sent_by

if TYPE_CHECKING:
    from .check import Contracts


class ContractMethods:
    """Base of `EventManager`."""

    _engine: Engine
    provider: Provider

    @property
    def validate_schema(self) -> bool:
        """Whether sent events are checked against the JSON Schema of their ``@event(schema=...)``."""
        return self._engine.factory.schemas.enabled

    @validate_schema.setter
    def validate_schema(self, on: bool) -> None:
        self._engine.factory.schemas.enabled = on

    def check_event(self, event: Any) -> None:
        """Raise what `send_event` would raise of *event* itself; nothing is sent.

        Raises:
            UnregisteredEventTypeError: its class is not declared with ``@event``.
            CodecError: it cannot be written, or its data is not what its class or schema says.
            HeaderError: an attribute cannot be sent.
        """
        events = self._engine.events
        self._engine.factory.check(event, events.of(event))

    def schema_of(self, event_type: type | str) -> dict[str, Any]:
        """Return the JSON Schema of an event's payload, given its class or its name.

        Raises:
            UnregisteredEventTypeError: it is no event, or no event of this name is known here.
            DeclarationError: its class has fields that JSON Schema cannot tell.
        """
        events = self._engine.events
        return (events.by_name(event_type) if isinstance(event_type, str) else events.add(event_type)).schema

    @property
    def contracts(self) -> Contracts:
        """The events that this manager knows, sends or listens to, to be recorded and checked. Starts nothing."""
        from ..asyncapi.channels import events_of
        from .check import contracts_of

        engine = self._engine
        listening = [one for one, _ in engine.listening()]
        _senders(engine, set(), ())
        known = list(engine.events)
        pairs = [
            (event.name, one.name) for one in listening for source in one.routes for event in events_of(source, known)
        ]
        return contracts_of(known, pairs)

    def asyncapi(
        self, *, title: str = "", version: str = "1.0.0", description: str = "", sends: Iterable[type] = ()
    ) -> dict[str, Any]:
        """Return the AsyncAPI 3.0 document of this application. Starts nothing and builds no listener.

        It receives what its listeners and handlers listen to. It sends what ``@sends`` says, what is given here, and
        those events known to the manager that nobody listens to, such as those it has sent.

        Args:
            title: Name of the application; "" takes that of the module class.
            version: Of the application.
            description: CommonMark; "" takes the docstring of the module class.
            sends: Event classes that are sent, besides those that the classes tell.

        Raises:
            DeclarationError: an event's class has fields that JSON Schema cannot tell, or a listener's event is not
                known.
        """
        from ..asyncapi.document import Application, document_of

        engine = self._engine
        listening = engine.listening()
        routes = [source for one, _ in listening for source in one.routes]
        heard = {source.address for source in routes}
        heard.update(one.name for source in routes if source.topic is not None for one in source.topic.descriptors)
        owner = engine.environment.type if engine.environment is not None else None
        return document_of(
            Application(
                title=title or (_spoken(owner.__name__) if owner is not None else "Events"),
                version=version,
                description=description or (_docstring(owner) if owner is not None else ""),
                servers=self.provider.servers,
                listeners=[one for one, _ in listening],
                queues=[queue for _, queue in listening],
                senders=_senders(engine, heard, sends),
                topics=list(engine.topics),
                content_type=engine.codec.content_type,
            )
        )


def _senders(engine: Engine, heard: set[str], more: Iterable[type]) -> dict[EventDescriptor, list[str]]:
    found: dict[EventDescriptor, list[str]] = {}
    for sender in engine.senders():
        for event in sent_by(sender):
            names = found.setdefault(engine.events.add(event), [])
            name = sender.__qualname__.rpartition("<locals>.")[2]
            if name not in names:
                names.append(name)
    for event in more:
        found.setdefault(engine.events.add(event), [])
    for descriptor in engine.events:
        if descriptor.name not in heard:
            found.setdefault(descriptor, [])
    return found


def _docstring(cls: type) -> str:
    return inspect.cleandoc(cls.__dict__.get("__doc__") or "")


def _spoken(name: str) -> str:
    """Return ``ShopOrdersModule`` as "Shop Orders"."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", name.removesuffix("Module") or name)
    return " ".join(word.strip("_") for word in words) or name
