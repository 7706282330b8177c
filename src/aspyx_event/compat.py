"""Names of the published package, aspyx_event 0.9, that this package does not use. All of them go in version 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from typing_extensions import deprecated

from .engine.subscribing.subscriptions import Subscription as _Subscription
from .envelope import Envelope as _Envelope
from .events import EventDescriptor as _EventDescriptor
from .listener_descriptors import EventListenerDescriptor as _EventListenerDescriptor
from .pipeline import EnvelopePipeline as _EnvelopePipeline
from .providers.base import Provider as _Provider

if TYPE_CHECKING:
    from .engine.operations.event_types import EventTypes


class PublishedNames:
    """Base of `EventManager`: what code written for 0.9 reads from the class or calls on a manager."""

    Envelope: TypeAlias = _Envelope
    EnvelopePipeline: TypeAlias = _EnvelopePipeline
    EventDescriptor: TypeAlias = _EventDescriptor
    EventListenerDescriptor: TypeAlias = _EventListenerDescriptor
    EventSubscription: TypeAlias = _Subscription
    Provider: TypeAlias = _Provider

    if TYPE_CHECKING:

        async def start(self) -> None: ...

        @property
        def events(self) -> EventTypes: ...

    @deprecated("setup() goes in 2.0; await start()")
    async def setup(self) -> None:
        """Earlier name of `EventManager.start`."""
        await self.start()

    @deprecated("get_event_descriptor() goes in 2.0; use events.add()")
    def get_event_descriptor(self, event_type: type) -> _EventDescriptor:
        """Earlier name of `EventTypes.add`."""
        return self.events.add(event_type)

    @deprecated("get_event_descriptor_by_name() goes in 2.0; use events.by_name()")
    def get_event_descriptor_by_name(self, name: str) -> _EventDescriptor:
        """Earlier name of `EventTypes.by_name`."""
        return self.events.by_name(name)
