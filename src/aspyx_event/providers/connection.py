"""What every networked provider shares: its connection settings, and the supervisor that keeps a connection up."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import socket
import ssl as ssl_module
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ..exceptions import AuthenticationError, ConnectError, ConnectionLostError, ProviderError

logger = logging.getLogger("aspyx.event.connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Where the broker is and how patient to be. Times in seconds.

    Attributes:
        protocol: "AMQP" or "STOMP", for messages.
        ssl: None for plain TCP, or the context of the TLS connection; its verification settings are the caller's.
        require_tls: Refuse to connect without TLS.
        heartbeat: Promise of traffic in both directions; a peer silent for twice as long is given up. 0 turns it off.
        connect_timeout: Limit of one attempt, up to the broker's greeting.
        start_timeout: How long `start` tries again before it raises, because a broker may come up later than we do.
        confirm_timeout: How long a publish waits for its confirmation, reconnects included.
        max_unconfirmed: Published messages that may wait for a confirmation.
        backoff: First and largest wait between two attempts to reconnect; doubles, with jitter.
    """

    protocol: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    ssl: ssl_module.SSLContext | None = None
    require_tls: bool = False
    heartbeat: float = 10.0
    connect_timeout: float = 5.0
    start_timeout: float = 5.0
    confirm_timeout: float = 30.0
    max_unconfirmed: int = 10_000
    backoff: tuple[float, float] = (0.05, 1.0)

    @property
    def where(self) -> str:
        return f"{self.protocol} broker at {self.host}:{self.port}"

    def check(self) -> None:
        """Raise for settings that would leak a password, or warn.

        Raises:
            ConnectError: `require_tls` is set and there is no TLS.
        """
        if self.ssl is not None:
            return
        if self.require_tls:
            raise ConnectError(
                f"{self.where}: require_tls=True and no ssl context was given; pass ssl=True or a context"
            )
        if self.password and not _is_loopback(self.host):
            logger.warning(
                "the password for the %s crosses the network unencrypted; pass ssl=True, or require_tls=True to refuse",
                self.where,
            )

    def connect_error(self, error: BaseException) -> ConnectError:
        """Map what an attempt to connect raised to a `ConnectError` that says what to look at."""
        if isinstance(error, ConnectError):
            return error
        if isinstance(error, asyncio.TimeoutError):
            reason = f"no {self.protocol} answer within {self.connect_timeout:g} s; is this the right port and is TLS set on both sides?"
        elif isinstance(error, socket.gaierror):
            reason = f"host name {self.host!r} is unknown; check host="
        elif isinstance(error, ConnectionRefusedError):
            reason = "nobody listens there; is the broker running, is port= right?"
        elif isinstance(error, ssl_module.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {error.verify_message}; give the ssl context its CA"
        elif isinstance(error, ssl_module.SSLError):
            reason = f"TLS failed: {error.reason or error}; does the port speak TLS?"
        else:
            reason = str(error) or type(error).__name__
        return ConnectError(f"{self.where}: {reason}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Wire(Protocol):
    """One open connection."""

    #: Done with the reason when the connection has ended, for whatever cause. Never fails.
    closed: asyncio.Future[Exception]


W = TypeVar("W", bound=Wire)


class Supervisor(Generic[W]):
    """Opens a connection, and opens it again whenever it ends, until it is stopped.

    Args:
        settings: Where and how patiently.
        connect: Opens one connection; raises what `ConnectionSettings.connect_error` maps.
        up: Called with each new connection; attaches links and resends what is unconfirmed.
        down: Called with the reason whenever a connection ended.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        connect: Callable[[], Awaitable[W]],
        up: Callable[[W], None],
        down: Callable[[Exception], None],
    ) -> None:
        self.settings = settings
        self._connect, self._up, self._down = connect, up, down
        self.wire: W | None = None
        #: Connections opened after the first one.
        self.reconnects = 0
        #: Why there is no connection now; None while there is one.
        self.error: Exception | None = None
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect for the first time, trying for `start_timeout`.

        Raises:
            ConnectError: the last attempt's error; an `AuthenticationError` at once.
        """
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + self.settings.start_timeout, self.settings.backoff[0]
        while True:
            try:
                wire = await self._attempt()
                break
            except AuthenticationError:
                raise
            except ConnectError as error:
                if loop.time() + pause >= end:
                    raise
                logger.info("%s; trying again", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.settings.backoff[1])
        self._opened(wire)
        self._task = loop.create_task(self._supervise(wire), name=f"supervise {self.settings.where}")

    async def stop(self) -> W | None:
        """Stop reconnecting; return the connection that is open, for the caller to close."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        wire, self.wire = self.wire, None
        self._is_up.clear()
        return wire

    async def connected(self, timeout: float) -> W:
        """Return the open connection, waiting for one if need be.

        Raises:
            ConnectError: none within *timeout* seconds.
        """
        try:
            await asyncio.wait_for(self._is_up.wait(), timeout)
        except asyncio.TimeoutError:
            raise ConnectError(f"{self.settings.where}: not connected for {timeout:g} s ({self.error})") from None
        if self.wire is None:
            raise ConnectionLostError(f"{self.settings.where}: the provider is stopped")
        return self.wire

    async def _attempt(self) -> W:
        try:
            return await asyncio.wait_for(self._connect(), self.settings.connect_timeout)
        except (OSError, asyncio.TimeoutError) as error:
            raise self.settings.connect_error(error) from error

    def _opened(self, wire: W) -> None:
        self.wire, self.error = wire, None
        self._up(wire)
        self._is_up.set()

    async def _supervise(self, wire: W) -> None:
        low, high = self.settings.backoff
        while True:
            reason = await asyncio.shield(wire.closed)
            self.wire, self.error = None, reason
            self._is_up.clear()
            logger.warning("connection to the %s lost: %s; reconnecting", self.settings.where, reason)
            self._down(reason)
            pause = low
            while True:
                # Jitter: the clients of a restarted broker must not all come back at the same moment.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                try:
                    wire = await self._attempt()
                    break
                except ProviderError as error:
                    self.error = error
                    logger.info("reconnect: %s", error)
                    pause = min(pause * 2, high)
            self.reconnects += 1
            logger.info("connected again to the %s", self.settings.where)
            self._opened(wire)
