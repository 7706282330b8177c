"""Interceptors found by their environment, with dependencies of their own."""

from __future__ import annotations

from apps_events import current_session

from aspyx_event import AbstractEnvelopePipeline, envelope_pipeline

from .services import Ledger


class Named(AbstractEnvelopePipeline):
    name = ""

    async def send(self, envelope, event_descriptor):
        envelope.set("route", envelope.get("route") + self.name)
        await self.proceed_send(envelope, event_descriptor)


@envelope_pipeline()
class DeclaredFirst(Named):
    name = "1"


@envelope_pipeline()
class DeclaredLast(Named):
    name = "2"


@envelope_pipeline(order=10)
class Inner(Named):
    name = "i"


@envelope_pipeline(order=-10)
class SessionPipeline(Named):
    name = "s"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    async def handle(self, envelope, event_listener_descriptor):
        token = current_session.set(envelope.get("session"))
        self.ledger.write("session", event_listener_descriptor.name)
        try:
            await self.proceed_handle(envelope, event_listener_descriptor)
        finally:
            current_session.reset(token)
