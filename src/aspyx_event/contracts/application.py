"""`EventManager.contracts`: records, checks and documents the events of an application."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from ..asyncapi.channels import events_of
from ..asyncapi.document import Application, document_of
from ..engine.engine import Engine
from ..events import EventDescriptor
from ..providers.base import Provider
from ..senders import sent_by
from .check import Contracts, contracts_of


class ApplicationContracts(Contracts):
    """The contracts of a manager's application. Creating it starts nothing and builds no listener.

    Args:
        engine: Has the events, the listeners and the environment.
        provider: Describes the brokers.
    """

    __slots__ = ("_engine", "_provider")

    def __init__(self, engine: Engine, provider: Provider) -> None:
        self._engine, self._provider = engine, provider
        listening = [descriptor for descriptor, _ in engine.listeners()]
        _senders(engine, set(), ())
        known = list(engine.events)
        pairs = [
            (event.name, descriptor.name)
            for descriptor in listening
            for route in descriptor.routes
            for event in events_of(route, known)
        ]
        contracts = contracts_of(known, pairs)
        super().__init__(contracts.events, contracts.listeners)

    def asyncapi(
        self, *, title: str = "", version: str = "1.0.0", description: str = "", sends: Iterable[type] = ()
    ) -> dict[str, Any]:
        """Return the AsyncAPI 3.0 document of this application.

        The application receives the events of its listeners and handlers. It sends the events named by ``@sends``, the
        events in *sends*, and all events known to the manager that have no listener, such as events already sent.

        Args:
            title: Name of the application; "" uses the name of the module class.
            version: Version of the application.
            description: CommonMark; "" uses the docstring of the module class.
            sends: Event classes that are sent, in addition to those declared with ``@sends``.

        Raises:
            DeclarationError: an event class has fields that JSON Schema cannot express, or the event of a listener is
                not known.
        """
        engine = self._engine
        listening = engine.listeners()
        routes = [route for descriptor, _ in listening for route in descriptor.routes]
        consumed = {route.address for route in routes}
        consumed.update(event.name for route in routes if route.topic is not None for event in route.topic.descriptors)
        owner = engine.environment.type if engine.environment is not None else None
        return document_of(
            Application(
                title=title or (_humanise(owner.__name__) if owner is not None else "Events"),
                version=version,
                description=description or (_docstring(owner) if owner is not None else ""),
                servers=self._provider.servers,
                listeners=[descriptor for descriptor, _ in listening],
                queues=[queue for _, queue in listening],
                senders=_senders(engine, consumed, sends),
                topics=list(engine.topics),
                content_type=engine.codec.content_type,
            )
        )


def _senders(engine: Engine, consumed: set[str], further: Iterable[type]) -> dict[EventDescriptor, list[str]]:
    """Return all sent events with the names of their senders. Registers their classes."""
    senders: dict[EventDescriptor, list[str]] = {}
    for sender in engine.senders():
        for event in sent_by(sender):
            names = senders.setdefault(engine.events.add(event), [])
            name = sender.__qualname__.rpartition("<locals>.")[2]
            if name not in names:
                names.append(name)
    for event in further:
        senders.setdefault(engine.events.add(event), [])
    for descriptor in engine.events:
        if descriptor.name not in consumed:
            senders.setdefault(descriptor, [])
    return senders


def _docstring(cls: type) -> str:
    return inspect.cleandoc(cls.__dict__.get("__doc__") or "")


def _humanise(name: str) -> str:
    """Return ``ShopOrdersModule`` as "Shop Orders"."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", name.removesuffix("Module") or name)
    return " ".join(word.strip("_") for word in words) or name
