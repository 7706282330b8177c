"""`EventContext`: the delivery that a handler handles, and the correlation of the events that it sends."""

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


class RunningCall(Protocol):
    """A call in a worker thread, or a task; calls back on the loop when it is done."""

    def done(self) -> bool: ...

    def add_done_callback(self, callback: Callable[[Any], None], /) -> None: ...


class EventContext:
    """The current delivery: second, optional argument of `on` and of handlers.

    Attributes:
        envelope: Headers and body after the interceptors.
        listener: Descriptor of the listener that handles the delivery.
        attempt: Number of the attempt, starting at 1.
        redelivered: The broker has delivered the message before, to this or to another consumer.
    """

    __slots__ = (
        "_ack",
        "_release",
        "_shared",
        "attempt",
        "call",
        "completed",
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
        #: Raises if the order between handlers cannot be kept; called by the engine before the handler.
        self.guard: Callable[[], None] | None = None
        #: What the handler returned or yielded, until the engine has sent it.
        self.returned: Any = None
        #: The event did not match the listener's conditions.
        self.skipped = False
        #: The handler returned; or an interceptor knows that it did in an earlier delivery of the event.
        self.completed = False
        #: The handler raised `StopProcessing`.
        self.stopped = False
        self._shared: Shared | None = None
        #: The call of a sync handler in its worker thread; used by the engine for time limits.
        self.thread: RunningCall | None = None
        self._ack: Callable[[], None] | None = None
        self._release: Callable[[], None] | None = None
        if settle is not None:
            self._ack, self._release = settle
        self.settled = False

    def ack(self) -> None:
        """Acknowledge the delivery, from the handler or later; for listeners with ``ack=AckPolicy.MANUAL``.

        Call it on the manager's event loop. Idempotent.

        Raises:
            StateError: the listener has another policy, so the framework settles.
        """
        self._settle(self._ack)

    def release(self) -> None:
        """Return the delivery to the queue: it is redelivered, to this or to another consumer. See `ack`."""
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
        """Data shared by the handlers of this delivery: ``context.shared.<namespace>.<name>``. It is not stored: a retry in
        another process begins without it.
        """
        if self._shared is None:
            self._shared = Shared()
        return self._shared

    @shared.setter
    def shared(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def record(self) -> StoredEvent:
        """The event as in an event store: id, type, time, owner, tags, canonical JSON, content hash."""
        # Imported on demand: declarations load neither `json` nor the store's package.
        from .database.stored_event import EventStatus, StoredEvent

        return replace(StoredEvent.of(self.envelope, self.listener.event), status=EventStatus.PUBLISHED)

    @property
    def headers(self) -> dict[str, str]:
        return self.envelope.headers

    @property
    def event_id(self) -> str:
        """Equal at every attempt and in every listener: the value to deduplicate by."""
        return self.envelope.id

    @property
    def correlation_id(self) -> str:
        """Equal in all events that were caused by each other; the event's own id if the sender set none."""
        return self.envelope.get(CE_CORRELATION) or self.envelope.id

    @property
    def causation_id(self) -> str:
        """Id of the event whose handler sent this event; "" if no handler sent it."""
        return self.envelope.get(CE_CAUSATION)

    @property
    def event_name(self) -> str:
        return self.envelope.get(CE_TYPE)

    @property
    def source(self) -> str:
        return self.envelope.get(CE_SOURCE)

    @property
    def time(self) -> str:
        """The time when the event was sent, as RFC 3339 text in UTC; "" if the sender set none."""
        return self.envelope.get(CE_TIME)

    @property
    def key(self) -> str:
        return self.envelope.get(CE_KEY)

    def __repr__(self) -> str:
        name, event_id = printable(self.event_name), printable(self.event_id)
        return f"<EventContext {name} id={event_id} to {self.listener.name!r} attempt={self.attempt}>"


_current: ContextVar[EventContext | None] = ContextVar("aspyx_event_context", default=None)


def current_context() -> EventContext | None:
    """Return the context of the current delivery, also in its worker thread and its exception handlers."""
    return _current.get()


#: Set by `correlated`, with the delivery current at that moment. Ignored while another delivery is being handled, so
#: workers started inside the block do not inherit it.
_correlation: ContextVar[tuple[EventContext | None, str] | None] = ContextVar("aspyx_event_correlation", default=None)


class correlated(ContextDecorator):  # noqa: N801  used like the functions of contextlib
    """Sets the correlation id of events sent inside the block, for example to that of the current HTTP request.

    Otherwise an event gets the correlation id of the event whose handler sends it, or else its own id.
    A class, because a generator with ``@contextmanager`` replaces errors that refuse the assignment of a traceback:
    https://github.com/python/cpython/issues/99856.

    Raises:
        DeclarationError: it is empty or not a str.
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
    handled, correlation = _current.get(), _correlation.get()
    if correlation is not None and correlation[0] is handled:
        return correlation[1], "" if handled is None else handled.event_id
    if handled is None:
        return event_id, ""
    return handled.correlation_id or event_id, handled.event_id
