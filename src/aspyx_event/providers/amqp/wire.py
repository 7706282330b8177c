"""One AMQP connection: proton's protocol engine, which does no I/O, on an asyncio transport.

Ownership rules, each of which keeps the process from a crash inside the C library:

* A handle (``pn_link``, ``pn_delivery``) is a bare pointer that keeps nothing alive. It belongs to one `Wire`, and is
  used only while that wire lives and its link is attached. The wrappers of connection, session, collector, transport
  and links are therefore kept as long as handles are used.
* Deliveries come from a pool shared by all links of a connection: settled ones are used again at the same address. A
  handle leaves every table before it is settled.
* All that is needed of an event is read before it is popped, and it is popped whatever happens.
* Everything runs on the loop's thread.

Set-up uses proton's documented classes; per message the functions of ``cproton`` are called which those classes call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

import cproton as pn
from proton import SASL, Collector, Connection, ProtonException, Terminus, Transport

from ...exceptions import ConnectionLostError
from ...safe_logger import SafeLogger
from ..settings import ConnectionSettings
from .errors import Condition, Stage, error_for, read_condition

logger = SafeLogger(logging.getLogger("aspyx.event.amqp"))

MAX_FRAME = 32 * 1024
#: Session window in frames of any size: with a small number, many small messages wait for the window.
WINDOW = 2048


class LinkEvents(Protocol):
    """The events that a wire passes to the owner of a link."""

    def on_delivery(self, handle: Any) -> None:
        """A message, or the outcome of a message. *handle* is valid until it is settled."""

    def on_flow(self) -> None:
        """Credit may have changed."""

    def on_attached(self) -> None:
        """The broker has attached the link."""

    def on_ended(self, condition: Condition) -> None:
        """The broker has refused or ended the link, which the wire has freed."""

    def on_lost(self) -> None:
        """The connection is gone, and every handle with it."""

    @property
    def error_marker(self) -> str:
        """Text by which the broker's error identifies an attaching link if it ends the whole connection because of it;
        "" if that does not happen.
        """


class Wire(asyncio.Protocol):
    """One connection, from `connection_made` to `connection_lost`; not reusable.

    Attributes:
        opened: Done when links can be attached; fails with the error of the broker or the network.
        closed: Done with the reason when the connection has ended.
        flush_due: A write is due, in the next iteration of the loop at the latest.
    """

    def __init__(self, settings: ConnectionSettings, container_id: str, mechanism: str) -> None:
        self._settings, self._container_id, self._mechanism = settings, container_id, mechanism
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[Exception] = self._loop.create_future()
        self.alive = False
        self._reason: Exception | None = None
        self._links: dict[Any, tuple[Any, LinkEvents]] = {}  # handle -> (wrapper, owner)
        self._io: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = self._dispatching = self.flush_due = False
        self._before_write: list[Callable[[], None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open connection and session; asyncio calls it after the TLS handshake."""
        self._io = transport  # type: ignore[assignment]
        settings = self._settings
        self._connection, self._collector, self._transport = Connection(), Collector(), Transport()
        self._connection.collect(self._collector)
        self._connection.container, self._connection.hostname = self._container_id, settings.host
        if self._mechanism == "PLAIN":
            self._connection.user, self._connection.password = settings.user, settings.password
        self._sasl = self._transport.sasl()
        # TLS is done by asyncio, so proton does not see it. ConnectionSettings.prepared guards the password.
        self._sasl.allow_insecure_mechs = True
        self._sasl.allowed_mechs(self._mechanism)
        self._transport.max_frame_size = MAX_FRAME
        if settings.heartbeat:
            # proton announces half of it to the broker and ends the connection after the whole.
            self._transport.idle_timeout = 2 * settings.heartbeat
        self._transport.bind(self._connection)
        self._connection.open()
        self.session = self._connection.session()
        self.session.incoming_capacity = WINDOW * MAX_FRAME
        self.session.open()
        self._t, self._c, self.alive = self._transport._impl, self._collector._impl, True
        self.flush()
        self._tick()

    def data_received(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and self.alive:
            capacity = pn.pn_transport_capacity(self._t)
            if capacity <= 0:
                break
            pushed = pn.pn_transport_push(self._t, data if not at and size <= capacity else data[at : at + capacity])
            if pushed < 0:
                break
            at += pushed
            self._dispatch()
        self.flush()

    def pause_writing(self) -> None:
        self._paused = True  # otherwise asyncio's buffer would hold a second copy of a large message

    def resume_writing(self) -> None:
        self._paused = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.alive:
            self._dispatch()  # a refusal read together with the end of the stream
            self.alive = False
            if self._timer is not None:
                self._timer.cancel()
        reason = self._reason or self._error(Condition("", str(exc or "the broker closed the connection")))
        links, self._links = list(self._links.values()), {}
        for _, owner in links:
            owner.on_lost()
        try:
            self._transport.unbind()
        except ProtonException as error:
            logger.debug("unbinding a lost connection: %s", error)
        self._collector.release()
        self._connection.free()
        if not self.opened.done():
            self.opened.set_exception(reason)
            self.opened.exception()  # marks it as retrieved: maybe nobody waits for it any more
        if not self.closed.done():
            self.closed.set_result(reason)

    def attach(self, link: Any, owner: LinkEvents) -> Any:
        """Open *link*, a new link of `session`, and return its handle."""
        handle = link._impl
        self._links[handle] = (link, owner)
        link.open()
        self.wake()
        return handle

    def detach(self, handle: Any) -> asyncio.Future[Condition]:
        """Close a link. The future is done when the broker has answered, or the connection is gone."""
        link, _ = self._links[handle]
        closing = ClosingLink(handle, self._loop.create_future())
        self._links[handle] = (link, closing)
        link.close()
        self.wake()
        return closing.done

    def abort(self, reason: Exception) -> None:
        """End the connection at once; the first reason is reported."""
        self._reason = self._reason or reason
        if self._io is not None:
            self._io.abort()

    async def close(self, timeout: float) -> None:
        """Close the connection by the protocol, and by force after *timeout* seconds."""
        reason = ConnectionLostError(f"{self._settings.where}: the provider is stopped")
        if self.alive:
            self._reason = self._reason or reason
            self._connection.close()
            self.flush()
            await asyncio.wait([self.closed], timeout=timeout)
        self.abort(reason)
        if self._io is not None:
            await asyncio.wait([self.closed], timeout=timeout)

    def wake(self) -> None:
        """Schedule a write, preceded by the calls of `before_write`, once per iteration of the loop."""
        if not self.flush_due and self.alive:
            self.flush_due = True
            self._loop.call_soon(self.flush)

    def before_write(self, call: Callable[[], None]) -> None:
        """Make a call before the next write, for work that is due once per iteration; that write sends its output."""
        self._before_write.append(call)
        self.wake()

    def flush(self) -> None:
        """Pass the engine's output to asyncio."""
        self.flush_due = False
        self._dispatch()
        while self._before_write:
            self._before_write.pop()()
        io = self._io
        while self.alive and not self._paused and io is not None:
            size = pn.pn_transport_pending(self._t)
            if size <= 0:
                if size < 0:
                    io.close()  # the engine has ended its output
                return
            io.write(pn.pn_transport_peek(self._t, size)[1])
            pn.pn_transport_pop(self._t, size)

    def _tick(self) -> None:
        """Send heartbeats that are due; the engine ends the connection to a silent broker."""
        if self.alive:
            now = self._loop.time()
            due = self._transport.tick(now)
            self.flush()
            # Traffic moves the due time, so the engine is called at least once a second.
            self._timer = self._loop.call_later(min(max(due - now, 0.02), 1.0) if due else 1.0, self._tick)

    def _dispatch(self) -> None:
        if self._dispatching:  # called by an event's handler: the loop below handles the other events
            return
        self._dispatching = True
        collector, links = self._c, self._links
        try:
            while self.alive:
                if not (event := pn.pn_collector_peek(collector)):  # NULL is false
                    return
                kind = pn.pn_event_type(event)
                try:
                    if kind == pn.PN_DELIVERY:
                        delivery = pn.pn_event_delivery(event)
                        entry = links.get(pn.pn_delivery_link(delivery))
                        if entry is not None:
                            entry[1].on_delivery(delivery)
                    elif kind == pn.PN_LINK_FLOW:
                        entry = links.get(pn.pn_event_link(event))
                        if entry is not None:
                            entry[1].on_flow()
                    elif kind in _LINK_EVENTS:
                        self._on_link(kind, pn.pn_event_link(event))
                    elif kind in _CONNECTION_EVENTS:
                        self._on_connection(kind)
                except Exception:
                    logger.exception("an AMQP event of type %s failed", kind)
                finally:
                    pn.pn_collector_pop(collector)  # otherwise the loop would not end
        finally:
            self._dispatching = False

    def _error(self, condition: Condition) -> Exception:
        stage = Stage.CONNECTION if self.opened.done() else Stage.OPENING
        return error_for(stage, condition, self._settings.where)

    def _on_connection(self, kind: int) -> None:
        if kind == pn.PN_SESSION_REMOTE_OPEN:
            # Not the connection's open: Artemis answers it and refuses an anonymous user only after that.
            if not self.opened.done():
                self.opened.set_result(None)
        elif kind == pn.PN_CONNECTION_REMOTE_CLOSE:
            condition = read_condition(self._connection.remote_condition)
            self._end_culprits(condition)
            self._reason = self._reason or self._error(condition)
            self._connection.close()
            # A stopping broker does not close the socket itself; call_soon, so that our answer is written first.
            self._loop.call_soon(self._close_socket)
        elif kind == pn.PN_SESSION_REMOTE_CLOSE:
            condition = read_condition(self.session.remote_condition)
            self._end_culprits(condition)
            self.abort(self._error(condition))
        else:
            condition = read_condition(self._transport.condition)
            if self._sasl.outcome not in (None, SASL.OK):
                condition = Condition("amqp:unauthorized-access", condition.description)
            self.abort(self._error(condition))

    def _end_culprits(self, condition: Condition) -> None:
        """End the attaching link that made the broker end the connection, or its next attach would do the same."""
        for handle, (_, owner) in list(self._links.items()):
            if owner.error_marker and owner.error_marker in condition.description:
                del self._links[handle]
                owner.on_ended(condition)

    def _close_socket(self) -> None:
        self.flush()
        if self._io is not None:
            self._io.close()

    def _on_link(self, kind: int, handle: Any) -> None:
        link, owner = self._links.get(handle, (None, None))
        if link is None or owner is None:
            return
        if kind == pn.PN_LINK_REMOTE_OPEN:
            peer = link.remote_target if link.is_sender else link.remote_source
            # A refusal is an attach without a terminus, followed by a detach that names the reason.
            if peer.type != Terminus.UNSPECIFIED:
                owner.on_attached()
            return
        del self._links[handle]
        condition = read_condition(link.remote_condition)
        link.close()
        owner.on_ended(condition)
        link.free()


class ClosingLink:
    """A link whose close the broker has not answered yet. Drops the messages that still arrive, or they would fill the
    session's window.
    """

    error_marker = ""

    def __init__(self, handle: Any, done: asyncio.Future[Condition]) -> None:
        self._handle = handle
        #: Done with the condition of the broker's answer.
        self.done = done

    def on_delivery(self, handle: Any) -> None:
        if pn.pn_delivery_readable(handle):
            size = pn.pn_delivery_pending(handle)
            if size:
                pn.pn_link_recv(self._handle, size)
            if not pn.pn_delivery_partial(handle):
                pn.pn_link_advance(self._handle)
                pn.pn_delivery_settle(handle)

    def on_flow(self) -> None:
        """Ignored: nothing is sent any more."""

    def on_attached(self) -> None:
        """Ignored: closed before the broker had answered the attach."""

    def on_ended(self, condition: Condition) -> None:
        if not self.done.done():
            self.done.set_result(condition)

    def on_lost(self) -> None:
        self.on_ended(Condition())


_LINK_EVENTS = frozenset({pn.PN_LINK_REMOTE_OPEN, pn.PN_LINK_REMOTE_CLOSE, pn.PN_LINK_REMOTE_DETACH})
_CONNECTION_EVENTS = frozenset(
    {pn.PN_SESSION_REMOTE_OPEN, pn.PN_SESSION_REMOTE_CLOSE, pn.PN_CONNECTION_REMOTE_CLOSE, pn.PN_TRANSPORT_ERROR}
)
