"""The inbox: an interceptor that lets an event reach each subscription once, although it may be delivered twice."""

from __future__ import annotations

import asyncio
import logging

from ..envelope import CE_SOURCE, REPLAY_RUN, Envelope
from ..listener_descriptors import EventListenerDescriptor
from ..log_fields import log_fields
from ..pipeline import AbstractEnvelopePipeline
from .base import InboxStore
from .memory import MemoryInboxStore

logger = logging.getLogger("aspyx.event.inbox")


class Deduplicate(AbstractEnvelopePipeline):
    """Acknowledges what a subscription has handled before, without calling it.

    An event is remembered per subscription, by its source and id, and after its handler succeeded: a failed one is retried and
    replayed as ever. What `StoredEvents.replay` brings from the store is handled again, once for each replay. Events
    without an id always pass. Hand it over as ``EventManager(provider,
    pipelines=[Deduplicate()])``, or derive a class and mark it with ``@envelope_pipeline()``.

    Args:
        store: What remembers; None is a `MemoryInboxStore`.
    """

    def __init__(self, store: InboxStore | None = None) -> None:
        super().__init__()
        # A store may have a length, and an empty one is a store too.
        self.store = store if store is not None else MemoryInboxStore()
        self._under_way: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        event_id = envelope.id
        if not event_id:
            await self.proceed_handle(envelope, event_listener_descriptor)
            return
        name = event_listener_descriptor.group or event_listener_descriptor.name
        run = envelope.get(REPLAY_RUN)
        source = envelope.get(CE_SOURCE)  # within which an id is unique
        event = f"{source}|{event_id}" if source else event_id
        key = (f"{event_listener_descriptor.event.name}.{name}", f"{event}|{run}" if run else event)
        # A second delivery while the first is being handled must wait for how that ends.
        while (other := self._under_way.get(key)) is not None:
            await asyncio.wait({other})
        if await self.store.contains(*key):
            logger.info(
                "event %s was handled by %s before",
                event_id,
                key[0],
                extra=log_fields(envelope, event_listener_descriptor.name),
            )
            return
        done = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            await self.proceed_handle(envelope, event_listener_descriptor)
            await self.store.add(*key)
        finally:
            del self._under_way[key]
            done.set_result(None)
