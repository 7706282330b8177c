"""One STOMP connection over TCP or TLS as an asyncio protocol. Imports stomp.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from stomp.utils import calculate_heartbeats

from ...exceptions import ConnectError, ConnectionLostError, EventException
from ..connection import ConnectionSettings
from .errors import ProtocolError, connect_error, reason_of
from .frames import Frame, FrameParser, encode

logger = logging.getLogger("aspyx.event.stomp")

Receive = Callable[["StompWire", Frame], None]

# Bytes that are read at once; what is more waits in the socket.
_READ = 32 * 1024
# Bytes that may wait here for the next write; what is more waits with the sender.
_ROOM = 256 * 1024
# Seconds that a closing connection may take to send what it holds before it is cut off.
_LINGER = 2.0


class StompWire(asyncio.BufferedProtocol):
    """Gathers the writes of one turn of the loop, beats, and notices silence.

    It reads into one small buffer: what a broker sends in one go waits in the socket and not in memory.

    Attributes:
        closed: Done with the reason as soon as the connection is unusable. Never fails.
        gone: Done when the socket is closed.
        confirmed: The broker has confirmed something on this connection.
        on_room: Called when there is room again; see `full`.
    """

    transport: asyncio.Transport

    def __init__(self, receive: Receive, wanted: Callable[[str], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._parser = FrameParser(wanted=wanted)
        self._in = memoryview(bytearray(_READ))
        self._out: list[bytes] = []
        self._waiting = 0
        self.on_room: Callable[[], None] = _nothing
        self._scheduled = self._blocked = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_in = self._last_out = self._loop.time()
        self.closed: asyncio.Future[Exception] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.confirmed = False

    @property
    def usable(self) -> bool:
        return not self.closed.done()

    @property
    def writing(self) -> bool:
        """There are bytes that the peer did not take yet."""
        return bool(self._out) or self.transport.get_write_buffer_size() > 0

    @property
    def full(self) -> bool:
        """The peer does not take what is sent, or does not take it fast enough: large things had better wait."""
        return self._blocked or self._waiting > _ROOM

    def put(self, data: bytes) -> None:
        """Send *data* at the end of this turn of the loop; dropped on a closed connection."""
        if self.closed.done():
            return
        self._out.append(data)
        self._waiting += len(data)
        if not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def beat(self, send: float, expect: float) -> None:
        """Start to promise traffic every *send* seconds and to expect it every *expect* seconds; 0 means never."""
        if send or expect:
            pause = min(seconds for seconds in (send, expect) if seconds) / 4
            self._schedule_beat(send, expect, pause)

    def fail(self, reason: Exception, alive: bool = True) -> None:
        """End the connection.

        Args:
            reason: Becomes the result of `closed`.
            alive: The peer is expected to answer: say good-bye with FIN. An RST keeps Artemis waiting for the close
                of a channel, at the cost of other connections.
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

    async def close(self, reason: Exception) -> None:
        """End the connection and wait until the socket is closed."""
        self.fail(reason)
        await asyncio.shield(self.gone)

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._in

    def buffer_updated(self, nbytes: int) -> None:
        self._last_in = self._loop.time()
        try:
            for frame in self._parser.feed(bytes(self._in[:nbytes])):
                if self.closed.done():
                    return
                self._receive(self, frame)
        except EventException as error:
            self.fail(error)
        except Exception as error:
            logger.exception("a frame could not be handled; the connection is given up")
            self.fail(error)

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionLostError("closed by the broker"))
        if not self.gone.done():
            self.gone.set_result(None)

    # end of asyncio.BufferedProtocol

    def _flush(self) -> None:
        self._scheduled = False
        if self._out and not self._blocked and not self.transport.is_closing():
            data, self._last_out = b"".join(self._out), self._loop.time()
            self._out.clear()
            self._waiting = 0
            self.transport.write(data)
        if not self._blocked:
            self.on_room()

    def _end(self, reason: Exception) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.closed.done():
            self.closed.set_result(reason)
        self._out.clear()

    def _schedule_beat(self, send: float, expect: float, pause: float) -> None:
        due = self._loop.time() + pause
        self._timer = self._loop.call_at(due, self._beat, send, expect, pause, due)

    def _beat(self, send: float, expect: float, pause: float, due: float) -> None:
        now = self._loop.time()
        # A loop that was held up has not read what the peer sent meanwhile: give it one more turn.
        punctual = now - due < pause
        if expect and punctual and now - self._last_in > 2 * expect:
            self.fail(ConnectionLostError(f"nothing heard for {now - self._last_in:.1f} s"), alive=False)
            return
        # Beats are sent at 0.75 of the promise at the latest, because this runs every quarter of it.
        if send and now - self._last_out >= send / 2:
            self.put(b"\n")
        self._schedule_beat(send, expect, pause)


def _nothing() -> None:
    """Nobody waits for room."""


async def open_wire(
    settings: ConnectionSettings, vhost: str | None, receive: Receive, wanted: Callable[[str], bool] = lambda _: True
) -> StompWire:
    """Connect up to the broker's CONNECTED, with heart-beats running. The caller sets the time limit.

    Args:
        settings: Where.
        vhost: The `host` header; None sends the host's name.
        receive: Called with each later frame.
        wanted: Tells of a header's name whether *receive* looks at it in a MESSAGE.

    Raises:
        ConnectError: the peer is no STOMP 1.2 broker, or it refused.
        AuthenticationError: it refused the user.
        OSError: there is no connection.
    """
    loop = asyncio.get_running_loop()
    greeting: asyncio.Future[Frame] = loop.create_future()

    def greet(wire: StompWire, frame: Frame) -> None:
        if greeting.done():
            receive(wire, frame)
        else:
            greeting.set_result(frame)

    milliseconds = int(settings.heartbeat * 1000)
    hello = {"accept-version": "1.2", "host": vhost or settings.host, "heart-beat": f"{milliseconds},{milliseconds}"}
    if settings.user or settings.password:
        hello.update(login=settings.user, passcode=settings.password)
    try:
        data = encode("CONNECT", hello)
        _, wire = await loop.create_connection(
            lambda: StompWire(greet, wanted), settings.host, settings.port, ssl=settings.ssl
        )
    except (EventException, UnicodeError) as error:
        raise ConnectError(f"{settings.where}: {error}") from error
    try:
        wire.put(data)
        await asyncio.wait((greeting, wire.closed), return_when=asyncio.FIRST_COMPLETED)
        beats = _greeted(settings, wire, greeting)
    except BaseException:
        # Also when the time limit cancels us: the socket must not outlive the attempt.
        wire.fail(ConnectionLostError("not greeted"), alive=False)
        raise
    wire.beat(*beats)
    return wire


def _greeted(settings: ConnectionSettings, wire: StompWire, greeting: asyncio.Future[Frame]) -> tuple[float, float]:
    """Check the broker's greeting; return the seconds between heart-beats to send and to expect."""
    if not greeting.done():
        reason = wire.closed.result()
        if isinstance(reason, ProtocolError):
            raise ConnectError(f"{settings.where}: {reason}; is this the right port?") from reason
        raise settings.connect_error(reason) from reason
    frame = greeting.result()
    if frame.cmd == "ERROR":
        raise connect_error(settings.where, reason_of(frame.headers, frame.body))
    if frame.cmd != "CONNECTED" or frame.headers.get("version") != "1.2":
        raise ConnectError(
            f"{settings.where}: it answered {frame.cmd} {frame.headers.get('version', '')}, not STOMP 1.2"
        )
    offered = tuple(frame.headers.get("heart-beat", "0,0").split(","))
    milliseconds = int(settings.heartbeat * 1000)
    try:
        send, expect = calculate_heartbeats(offered, (milliseconds, milliseconds))
    except ValueError as error:
        raise ConnectError(f"{settings.where}: heart-beat {offered!r}") from error
    return send / 1000, expect / 1000
