"""`Deduplicate`: the inbox as an interceptor. A handled event that is delivered again does not reach its subscription."""

from __future__ import annotations

import asyncio
import logging

from ..context import current_context
from ..envelope import CE_SOURCE, REPLAY_RUN, Envelope
from ..listener_descriptors import EventListenerDescriptor
from ..log_fields import log_fields
from ..pipeline import AbstractEnvelopePipeline
from ..printable import printable
from ..safe_logger import SafeLogger
from .base import InboxStore
from .memory import MemoryInboxStore

logger = SafeLogger(logging.getLogger("aspyx.event.inbox"))


class Deduplicate(AbstractEnvelopePipeline):
    """Acknowledges events that a subscription has already handled, without calling the subscription.

    An event is recorded per subscription, by its source and id, after its handler succeeded: a failed event is retried
    and replayed as usual. The inbox commits beside the effect of the handler, not with it: after a crash between the two, the
    event is handled again. Events replayed by `StoredEvents.replay` are handled again, once per replay. Events without an
    id always pass. Use it as ``EventManager(provider, pipelines=[Deduplicate()])``, or derive a class and decorate it
    with ``@envelope_pipeline()``.

    Args:
        store: Records the handled events; None is a `MemoryInboxStore`.
    """

    def __init__(self, store: InboxStore | None = None) -> None:
        super().__init__()
        # Compared with None, because an empty store may be falsy.
        self.store = store if store is not None else MemoryInboxStore()
        self._in_progress: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        event_id = envelope.id
        if not event_id:
            await self.proceed_handle(envelope, event_listener_descriptor)
            return
        name = event_listener_descriptor.consumer_name
        if (
            name != event_listener_descriptor.name
        ):  # handlers of one chain may share a group, and each has its own effect
            name = f"{name}.{event_listener_descriptor.name}"
        application = event_listener_descriptor.application
        name = f"{application}.{name}" if application else name
        run = envelope.get(REPLAY_RUN)
        source = envelope.get(CE_SOURCE)  # an id is unique within its source
        event = f"{source}|{event_id}" if source else event_id
        key = (f"{event_listener_descriptor.event.name}.{name}", f"{event}|{run}" if run else event)
        # A second delivery waits for the outcome of the first.
        while (other := self._in_progress.get(key)) is not None:
            await asyncio.wait({other})
        if await self.store.contains(*key):
            logger.info(
                "event %s was already handled by %s",
                printable(event_id),
                key[0],
                extra=log_fields(envelope, event_listener_descriptor.name),
            )
            context = current_context()
            if context is not None:
                context.completed = True  # handlers that require this one may run
            return
        done = self._in_progress[key] = asyncio.get_running_loop().create_future()
        try:
            await self.proceed_handle(envelope, event_listener_descriptor)
            await self.store.add(*key)
        finally:
            del self._in_progress[key]
            done.set_result(None)
