"""A STOMP connection over TCP or TLS as an asyncio protocol. Imports stomp.py."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import cast

from stomp.utils import calculate_heartbeats

from ...exceptions import ConnectError, ConnectionLostError, EventException
from ...safe_logger import SafeLogger
from ..settings import ConnectionSettings
from .errors import ProtocolError, connect_error, error_reason
from .frames import Frame, FrameParser, encode

logger = SafeLogger(logging.getLogger("aspyx.event.stomp"))

# STOMP 1.2, "Heart-beating": two numbers of milliseconds. Nine digits are eleven days; a timer cannot take just any number.
_is_heartbeat = re.compile(r" *[0-9]{1,9} *, *[0-9]{1,9} *", re.ASCII).fullmatch

Receive = Callable[["StompWire", Frame], None]

# Bytes read at once; the rest waits in the socket.
_READ_SIZE = 32 * 1024
# Bytes that may wait here for the next write; above that, senders wait.
_MAX_QUEUED = 256 * 1024
# Seconds in which a closing connection may send its buffer before it is aborted.
_LINGER = 2.0


class StompWire(asyncio.BufferedProtocol):
    """Collects the writes of a loop iteration, sends heart-beats, and detects a silent peer.

    It reads into a small buffer, so that a burst from the broker waits in the socket and not in memory.

    Attributes:
        closed: Resolves to the reason as soon as the connection is unusable. Never fails.
        socket_closed: Done when the socket is closed.
        confirmed: The broker has confirmed something on this connection.
        on_writable: Called when `full` may have become False.
    """

    transport: asyncio.Transport

    def __init__(self, receive: Receive, needs_header: Callable[[str], bool], max_size: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._parser = FrameParser(max_size, needs_header)
        self._read_buffer = memoryview(bytearray(_READ_SIZE))
        self._write_queue: list[bytes] = []
        self._queued_bytes = 0
        self.on_writable: Callable[[], None] = _ignore
        self._flush_scheduled = self._write_paused = False
        #: For the next heart-beat; of a closing connection, for its abort.
        self._timer: asyncio.TimerHandle | None = None
        self._last_read = self._last_write = self._loop.time()
        self.closed: asyncio.Future[Exception] = self._loop.create_future()
        self.socket_closed: asyncio.Future[None] = self._loop.create_future()
        self.confirmed = False

    @property
    def usable(self) -> bool:
        return not self.closed.done()

    @property
    def has_unsent(self) -> bool:
        """True while there are bytes that the peer has not taken yet."""
        return bool(self._write_queue) or self.transport.get_write_buffer_size() > 0

    @property
    def full(self) -> bool:
        """True while the peer reads more slowly than we write: large frames should wait for `on_writable`."""
        return self._write_paused or self._queued_bytes > _MAX_QUEUED

    def put(self, data: bytes) -> None:
        """Send *data* at the end of this loop iteration; dropped on a closed connection."""
        if self.closed.done():
            return
        self._write_queue.append(data)
        self._queued_bytes += len(data)
        if not self._flush_scheduled and not self._write_paused:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def start_heartbeats(self, send: float, expect: float) -> None:
        """Send traffic at least every *send* seconds and expect it every *expect* seconds; 0 means never."""
        if send or expect:
            interval = min(seconds for seconds in (send, expect) if seconds) / 4
            self._schedule_heartbeat(send, expect, interval)

    def fail(self, reason: Exception, alive: bool = True) -> None:
        """End the connection.

        Args:
            reason: Becomes the result of `closed`.
            alive: The peer is expected to answer: close with a FIN. After an RST, Artemis waits for the close of a
                channel, at the cost of other connections.
        """
        if self.closed.done():
            return
        self._flush()
        self._end(reason)
        if alive:
            self.transport.close()
            self._timer = self._loop.call_later(_LINGER, self.transport.abort)
        else:
            self.transport.abort()

    def abort(self, reason: Exception) -> None:
        """End the connection at once; the first reason is reported."""
        self.fail(reason, alive=False)

    async def close(self, reason: Exception) -> None:
        """End the connection and wait until the socket is closed."""
        self.fail(reason)
        await asyncio.shield(self.socket_closed)

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._last_read = self._loop.time()
        try:
            for frame in self._parser.feed(bytes(self._read_buffer[:nbytes])):
                if self.closed.done():
                    return
                self._receive(self, frame)
        except EventException as error:
            self.fail(error)
        except Exception as error:
            logger.exception("a frame could not be handled; closing the connection")
            self.fail(error)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionLostError("closed by the broker"))
        if not self.socket_closed.done():
            self.socket_closed.set_result(None)

    # end of asyncio.BufferedProtocol

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._write_queue and not self._write_paused and not self.transport.is_closing():
            data, self._last_write = b"".join(self._write_queue), self._loop.time()
            self._write_queue.clear()
            self._queued_bytes = 0
            self.transport.write(data)
        if not self._write_paused:
            self.on_writable()

    def _end(self, reason: Exception) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.closed.done():
            self.closed.set_result(reason)
        self._write_queue.clear()

    def _schedule_heartbeat(self, send: float, expect: float, interval: float) -> None:
        due = self._loop.time() + interval
        self._timer = self._loop.call_at(due, self._heartbeat, send, expect, interval, due)

    def _heartbeat(self, send: float, expect: float, interval: float, due: float) -> None:
        now = self._loop.time()
        # A blocked loop has not yet read what the peer sent meanwhile: give it another iteration.
        punctual = now - due < interval
        if expect and punctual and now - self._last_read > 2 * expect:
            self.fail(ConnectionLostError(f"no data received for {now - self._last_read:.1f} s"), alive=False)
            return
        # This runs every quarter of the promised interval, so a heart-beat goes out after three quarters at the latest.
        if send and now - self._last_write >= send / 2:
            self.put(b"\n")
        self._schedule_heartbeat(send, expect, interval)


def _ignore() -> None:
    """The initial `on_writable`."""


async def open_wire(
    settings: ConnectionSettings,
    vhost: str | None,
    receive: Receive,
    needs_header: Callable[[str], bool] = lambda _: True,
) -> StompWire:
    """Open a connection, up to the broker's CONNECTED, with heart-beats running. The caller sets the time limit.

    Args:
        settings: The broker's address and the connection's options.
        vhost: The `host` header; None sends the host's name.
        receive: Called with each later frame.
        needs_header: Returns whether *receive* reads the header of this name in a MESSAGE.

    Raises:
        ConnectError: the peer is not a STOMP 1.2 broker, or it refused.
        AuthenticationError: it refused the user.
        OSError: there is no connection.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Frame] = loop.create_future()

    def receive_answer_first(wire: StompWire, frame: Frame) -> None:
        if answer.done():
            receive(wire, frame)
        else:
            answer.set_result(frame)

    milliseconds = int(settings.heartbeat * 1000)
    headers = {"accept-version": "1.2", "host": vhost or settings.host, "heart-beat": f"{milliseconds},{milliseconds}"}
    if settings.user or settings.password:
        headers.update(login=settings.user, passcode=settings.password)
    try:
        data = encode("CONNECT", headers)
        _, wire = await loop.create_connection(
            lambda: StompWire(receive_answer_first, needs_header, settings.max_message_size),
            settings.host,
            settings.port,
            ssl=settings.ssl,
        )
    except (EventException, UnicodeError) as error:
        raise ConnectError(f"{settings.where}: {error}") from error
    try:
        wire.put(data)
        await asyncio.wait((answer, wire.closed), return_when=asyncio.FIRST_COMPLETED)
        send, expect = _negotiated_heartbeats(settings, wire, answer)
    except BaseException:
        # Also when the time limit cancels us: the socket must not outlive the attempt.
        wire.fail(ConnectionLostError("the handshake failed"), alive=False)
        raise
    wire.start_heartbeats(send, expect)
    return wire


def _negotiated_heartbeats(
    settings: ConnectionSettings, wire: StompWire, answer: asyncio.Future[Frame]
) -> tuple[float, float]:
    """Check the answer to CONNECT; return the seconds between heart-beats to send and to expect."""
    if not answer.done():
        reason = wire.closed.result()
        if isinstance(reason, ProtocolError):
            raise ConnectError(f"{settings.where}: {reason}; is this the right port?") from reason
        raise settings.connect_error(reason) from reason
    frame = answer.result()
    if frame.cmd == "ERROR":
        raise connect_error(settings.where, error_reason(frame.headers, frame.body))
    if frame.cmd != "CONNECTED" or frame.headers.get("version") != "1.2":
        raise ConnectError(
            f"{settings.where}: it answered {frame.cmd} {frame.headers.get('version', '')}, not STOMP 1.2"
        )
    offered = frame.headers.get("heart-beat", "0,0")
    if not _is_heartbeat(offered):
        raise ConnectError(f"{settings.where}: the broker offers heart-beat {offered[:40]!r}, not two short numbers")
    milliseconds = int(settings.heartbeat * 1000)
    send, expect = calculate_heartbeats(tuple(offered.split(",")), (milliseconds, milliseconds))
    return send / 1000, expect / 1000
