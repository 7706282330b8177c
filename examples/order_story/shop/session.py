"""The session: added to events when they are sent, and restored when they are handled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aspyx_event import AbstractEnvelopePipeline, Envelope, EventDescriptor, EventListenerDescriptor, envelope_pipeline

current_session: ContextVar[str] = ContextVar("current_session", default="nobody")


@contextmanager
def session(name: str) -> Iterator[None]:
    """Use the session *name* inside the block."""
    token = current_session.set(name)
    try:
        yield
    finally:
        current_session.reset(token)


@envelope_pipeline()
class SessionPipeline(AbstractEnvelopePipeline):
    """Writes the session into a header of sent events, and into a context variable for received events."""

    async def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        envelope.set("session", current_session.get())
        await self.proceed_send(envelope, event_descriptor)

    async def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        with session(envelope.get("session")):
            await self.proceed_handle(envelope, event_listener_descriptor)
