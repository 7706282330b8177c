"""What a handler is told about the delivery it handles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .envelope import CE_KEY, CE_SOURCE, CE_TIME, CE_TYPE, Envelope
from .exceptions import StateError
from .shared import Shared

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .listeners import EventListenerDescriptor


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
        #: The worker thread of a sync handler, while it is called; used by the engine for time limits.
        self.thread: Future[Any] | None = None
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
    def headers(self) -> dict[str, str]:
        return self.envelope.headers

    @property
    def event_id(self) -> str:
        """The same at every attempt and in every listener: the value to deduplicate by."""
        return self.envelope.id

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
        return f"<EventContext {self.event_name} id={self.event_id} to {self.listener.name!r} attempt={self.attempt}>"


_current: ContextVar[EventContext | None] = ContextVar("aspyx_event_context", default=None)


def current_context() -> EventContext | None:
    """Return the context of the delivery being handled here, also in its worker thread and its exception handlers."""
    return _current.get()
