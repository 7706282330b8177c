"""`Receipt`: what `send_event` returns."""

from __future__ import annotations

from dataclasses import replace

from ...database.stored_event import EventStatus, StoredEvent
from ...envelope import Envelope
from ...events import EventDescriptor
from ..runtime.operations import Completed, FutureLike, Operation, Report


class Receipt(Operation[None]):
    """The send of an event. Awaiting it waits until the provider has taken responsibility for the event."""

    __slots__ = ("_descriptor", "_envelope")

    def __init__(
        self,
        future: FutureLike[None] | Completed[None],
        report: Report | None,
        envelope: Envelope,
        descriptor: EventDescriptor,
    ) -> None:
        # Does not call the base class: that would cost a call for each event.
        self._future = future
        self._report, self._awaited = report, False
        self._envelope, self._descriptor = envelope, descriptor

    @property
    def id(self) -> str:
        """The id of the event, as its listeners see it."""
        return self._envelope.id

    @property
    def record(self) -> StoredEvent:
        """The event as a store would keep it: id, type, time, status, owner, tags, canonical JSON, content hash."""
        status = EventStatus.UNPUBLISHED
        if self._future.done() and not self._future.cancelled():
            status = EventStatus.REFUSED if self._future.exception() else EventStatus.PUBLISHED
        return replace(StoredEvent.of(self._envelope, self._descriptor), status=status)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if not self._future.done():
            state = "pending"
        elif self._future.cancelled():
            state = "cancelled"
        else:
            state = "failed" if self._future.exception() else "confirmed"
        return f"<Receipt {self.id} {state}>"
