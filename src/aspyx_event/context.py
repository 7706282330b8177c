"""What a handler is told about the delivery it handles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from .envelope import CE_CAUSATION, CE_CORRELATION, CE_KEY, CE_SOURCE, CE_TIME, CE_TYPE, Envelope
from .exceptions import DeclarationError, StateError
from .printable import printable
from .shared import Shared

if TYPE_CHECKING:
    from .database.stored_event import StoredEvent
    from .listener_descriptors import EventListenerDescriptor


class Running(Protocol):
    """Something under way that tells its end on the loop: a call in a worker thread, or a task."""

    def done(self) -> bool: ...

    def add_done_callback(self, told: Callable[[Any], None], /) -> None: ...


class EventContext:
    """The delivery under way: second, optional argument of `on` and of handlers.

    Attributes:
        envelope: Headers and body, as the interceptors left them.
        listener: Descriptor of the listener that handles.
        attempt: 1 at the first try, one more at each retry.
        redelivered: The broker says that the message was handed out before, to this or to another consumer.
    """

    __slots__ = (
        "_ack",
        "_release",
        "_shared",
        "attempt",
        "call",
        "envelope",
        "guard",
        "listener",
        "redelivered",
        "returned",
        "settled",
        "skipped",
        "stopped",
        "thread",
    )

    def __init__(
        self,
        envelope: Envelope,
        listener: EventListenerDescriptor,
        attempt: int = 1,
        redelivered: bool = False,
        call: Callable[[Envelope, EventContext], Awaitable[Any] | None] | None = None,
        settle: tuple[Callable[[], None], Callable[[], None]] | None = None,
    ) -> None:
        self.envelope, self.listener, self.attempt, self.redelivered = envelope, listener, attempt, redelivered
        #: Decodes, filters and calls the handler; used by the engine at the end of the interceptors.
        self.call = call
        #: Raises where the order between handlers cannot be kept; called by the engine before the handler.
        self.guard: Callable[[], None] | None = None
        #: What the handler returned or yielded, until the engine has sent it.
        self.returned: Any = None
        #: The listener's conditions did not want the event.
        self.skipped = False
        #: The handler raised `StopProcessing`.
        self.stopped = False
        self._shared: Shared | None = None
        #: The call of a sync handler in its worker thread; used by the engine for time limits.
        self.thread: Running | None = None
        self._ack: Callable[[], None] | None = None
        self._release: Callable[[], None] | None = None
        if settle is not None:
            self._ack, self._release = settle
        self.settled = False

    def ack(self) -> None:
        """Acknowledge the delivery, from the handler or later; for listeners with ``ack=AckPolicy.MANUAL``.

        To be called on the manager's event loop, once; again does nothing.

        Raises:
            StateError: the listener's policy is another one: the framework settles.
        """
        self._settle(self._ack)

    def release(self) -> None:
        """Hand the delivery back unhandled: it comes again, to this or to another consumer. See `ack`."""
        self._settle(self._release)

    def _settle(self, settle: Callable[[], None] | None) -> None:
        if settle is None:
            raise StateError(
                f"listener {self.listener.name!r} settles its deliveries itself only with ack=AckPolicy.MANUAL"
            )
        if not self.settled:
            self.settled = True
            settle()

    @property
    def shared(self) -> Shared:
        """What the handlers of this delivery leave for each other: ``context.shared.<namespace>.<name>``. It does not
        travel: a retry in another process begins without it.
        """
        if self._shared is None:
            self._shared = Shared()
        return self._shared

    @shared.setter
    def shared(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def record(self) -> StoredEvent:
        """The event as an event store keeps it: id, type, time, owner, tags, canonical JSON, content hash."""
        # Imported on demand: declarations load neither `json` nor the store's package.
        from .database.stored_event import EventStatus, StoredEvent

        return replace(StoredEvent.of(self.envelope, self.listener.event), status=EventStatus.PUBLISHED)

    @property
    def headers(self) -> dict[str, str]:
        return self.envelope.headers

    @property
    def event_id(self) -> str:
        """The same at every attempt and in every listener: the value to deduplicate by."""
        return self.envelope.id

    @property
    def correlation_id(self) -> str:
        """The same in all events that follow from one another; the event's own id where its sender gave none."""
        return self.envelope.get(CE_CORRELATION) or self.envelope.id

    @property
    def causation_id(self) -> str:
        """Id of the event in whose handling this one was sent; "" for one that no event caused."""
        return self.envelope.get(CE_CAUSATION)

    @property
    def event_name(self) -> str:
        return self.envelope.get(CE_TYPE)

    @property
    def source(self) -> str:
        return self.envelope.get(CE_SOURCE)

    @property
    def time(self) -> str:
        """When the event was sent: RFC 3339 text in UTC, "" where the sender gave none."""
        return self.envelope.get(CE_TIME)

    @property
    def key(self) -> str:
        return self.envelope.get(CE_KEY)

    def __repr__(self) -> str:
        name, event_id = printable(self.event_name), printable(self.event_id)
        return f"<EventContext {name} id={event_id} to {self.listener.name!r} attempt={self.attempt}>"


_current: ContextVar[EventContext | None] = ContextVar("aspyx_event_context", default=None)


def current_context() -> EventContext | None:
    """Return the context of the delivery being handled here, also in its worker thread and its exception handlers."""
    return _current.get()


#: An id given by `correlated`, and the delivery in whose handling it was: it is not for what is handled beneath, as by
#: the workers of a manager that is started in the block.
_correlation: ContextVar[tuple[EventContext | None, str] | None] = ContextVar("aspyx_event_correlation", default=None)


class correlated(ContextDecorator):  # noqa: N801  used like the functions of contextlib
    """Gives the events that are sent inside the block this correlation id, such as that of the HTTP request served.

    Without it an event takes the correlation id of the event in whose handling it is sent, and otherwise its own id.
    A class, because a generator with ``@contextmanager`` replaces errors that refuse the assignment of a traceback:
    https://github.com/python/cpython/issues/99856.

    Raises:
        DeclarationError: it is empty or no str.
    """

    def __init__(self, correlation_id: str) -> None:
        if not isinstance(correlation_id, str) or not correlation_id:
            raise DeclarationError(f"correlated({correlation_id!r}): give a str that is not empty")
        self._correlation_id = correlation_id
        self._token: Token[tuple[EventContext | None, str] | None]

    def _recreate_cm(self) -> correlated:
        return correlated(self._correlation_id)

    def __enter__(self) -> None:
        self._token = _correlation.set((_current.get(), self._correlation_id))

    def __exit__(self, *_: object) -> None:
        _correlation.reset(self._token)


def lineage(event_id: str) -> tuple[str, str]:
    """Return correlation id and causation id ("" for none) of an event that is sent here."""
    handled, given = _current.get(), _correlation.get()
    if given is not None and given[0] is handled:
        return given[1], "" if handled is None else handled.event_id
    if handled is None:
        return event_id, ""
    return handled.correlation_id or event_id, handled.event_id
