"""What every networked provider shares: its connection settings, and the supervisor that keeps a connection up."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import logging
import random
import socket
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from ..exceptions import AuthenticationError, ConnectError, ConnectionLostError, DeclarationError, ProviderError
from .base import ConnectionHooks, ServerDescription
from .options import check_options

logger = logging.getLogger("aspyx.event.connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Where the broker is and how patient to be. Times in seconds.

    Attributes:
        protocol: "AMQP" or "STOMP", for messages.
        ssl: None or False for plain TCP, True for TLS with the system's certificate authorities, or a context, whose
            verification settings are the caller's.
        require_tls: Refuse to connect without TLS.
        heartbeat: Interval of traffic promised in both directions; a broker silent for twice as long is given up.
            0 turns it off.
        connect_timeout: Limit of one attempt to connect, TLS and login included.
        start_timeout: How long `start` tries again before it raises, because a broker may come up later than we do.
        confirm_timeout: Limit from a publish to its confirmation, reconnects included.
        max_unconfirmed: Published messages that may wait for their confirmation; more fail with `BufferFullError`.
        max_unconfirmed_bytes: The size of these together.
        backoff: First and largest wait between two attempts to reconnect; doubles, with jitter.
        failover: Further brokers as ``host:port``, tried in turn when one cannot be reached.
        max_retries: Attempts to reconnect before the connection is given up for good; None never gives up.
        hooks: Called when the connection is opened or lost.
    """

    protocol: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    ssl: ssl_module.SSLContext | bool | None = None
    require_tls: bool = False
    heartbeat: float = 10.0
    connect_timeout: float = 5.0
    start_timeout: float = 5.0
    confirm_timeout: float = 30.0
    max_unconfirmed: int = 10_000
    max_unconfirmed_bytes: int = 64 * 1024 * 1024
    backoff: tuple[float, float] = (0.05, 1.0)
    failover: Sequence[str] = ()
    max_retries: int | None = None
    hooks: ConnectionHooks = field(default_factory=ConnectionHooks)
    #: What was warned of; shared with copies of these settings.
    _warned: set[str] = field(default_factory=set, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "failover", tuple(self.failover))
        check_options(self)

    @property
    def where(self) -> str:
        return f"{self.protocol} broker at {self.host}:{self.port}"

    def endpoints(self) -> list[ConnectionSettings]:
        """Return these settings for each broker that may be connected to, this one first.

        Raises:
            DeclarationError: an entry of `failover` is not ``host:port``, or the host is a URL.
        """
        # Hosts are in every message and log line, and URLs may hold a password.
        if not _is_host(self.host):
            raise DeclarationError(
                f"host={_without_credentials(self.host)!r}: give the name or address alone, and port, user, password "
                "and ssl as arguments of their own"
            )
        found = [self]
        for entry in self.failover:
            host, colon, port = entry.rpartition(":")
            if not colon or not host or not port.isdigit() or not _is_host(host):
                raise DeclarationError(
                    f"failover={_without_credentials(entry)!r}: write each further broker as 'host:port'"
                )
            found.append(replace(self, host=host.strip("[]"), port=int(port), failover=()))
        return found

    def servers(self, version: str, security: str) -> tuple[ServerDescription, ...]:
        """Return the descriptions of these brokers."""
        protocol = self.protocol.lower() + ("s" if self.ssl else "")
        return tuple(
            ServerDescription(
                host=f"[{one.host}]:{one.port}" if ":" in one.host else f"{one.host}:{one.port}",
                protocol=protocol,
                protocol_version=version,
                security=security,
            )
            for one in self.endpoints()
        )

    def prepared(self, hooks: ConnectionHooks) -> ConnectionSettings:
        """Return these settings ready to connect: with *hooks* and a TLS context in place of True.

        Raises:
            ConnectError: `require_tls` is set and there is no TLS.
        """
        self.check()
        return replace(
            self, hooks=hooks, ssl=ssl_module.create_default_context() if self.ssl is True else self.ssl or None
        )

    def check(self) -> None:
        """Raise for settings that would leak a password, or warn, once for each broker.

        Raises:
            ConnectError: `require_tls` is set and there is no TLS.
        """
        if self.ssl:
            return
        if self.require_tls:
            raise ConnectError(
                f"{self.where}: require_tls=True and no ssl context was given; pass ssl=True or a context"
            )
        for endpoint in self.endpoints() if self.password else ():
            if not _is_loopback(endpoint.host) and endpoint.where not in self._warned:
                self._warned.add(endpoint.where)
                logger.warning(
                    "the password for the %s crosses the network unencrypted; pass ssl=True, or require_tls=True to refuse",
                    endpoint.where,
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


def _is_host(text: str) -> bool:
    return not any(sign in text for sign in "@/ ")


def _without_credentials(text: str) -> str:
    _, at, rest = text.rpartition("@")
    return f"...@{rest}" if at else text


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
        connect: Opens one connection to the broker it is told; raises what `ConnectionSettings.connect_error` maps.
        up: Called with each new connection; attaches links and resends what is unconfirmed.
        down: Called with the reason whenever a connection ended.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        connect: Callable[[ConnectionSettings], Awaitable[W]],
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
        #: True once `max_retries` attempts to reconnect have failed: there will be no connection any more.
        self.reconnect_exhausted = False
        self._endpoints = settings.endpoints()
        self._hook_tasks: set[asyncio.Future[Any]] = set()
        self._complaint = ""
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> ConnectionSettings:
        """The settings of the broker it is connected to, or tries next."""
        return self._endpoints[0]

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
                self._complain(error)
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
        endpoint = self._endpoints[0]
        try:
            return await asyncio.wait_for(self._connect(endpoint), endpoint.connect_timeout)
        except (OSError, asyncio.TimeoutError) as error:
            self._endpoints.append(self._endpoints.pop(0))
            raise endpoint.connect_error(error) from error
        except ConnectError:
            self._endpoints.append(self._endpoints.pop(0))
            raise

    def _opened(self, wire: W) -> None:
        self.wire, self.error, self._complaint = wire, None, ""
        self._up(wire)
        self._is_up.set()
        self._tell(self.settings.hooks.on_connect)

    def _complain(self, error: Exception) -> None:
        """Tell the hook of an error; of one that repeats itself, once."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            self._tell(self.settings.hooks.on_error, error)

    def _tell(self, hook: Callable[..., Any] | None, *arguments: Any) -> None:
        if hook is None:
            return
        try:
            answer = hook(*arguments)
        except Exception:  # a hook may only observe: the connection must not depend on it
            logger.exception("a connection hook failed")
            return
        if inspect.isawaitable(answer):
            task = asyncio.ensure_future(answer)
            self._hook_tasks.add(task)
            task.add_done_callback(self._hook_done)

    def _hook_done(self, task: asyncio.Future[Any]) -> None:
        self._hook_tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a connection hook failed", exc_info=task.exception())

    async def _supervise(self, wire: W) -> None:
        low, high = self.settings.backoff
        while True:
            reason = await asyncio.shield(wire.closed)
            self.wire, self.error = None, reason
            self._is_up.clear()
            logger.warning("connection to the %s lost: %s; reconnecting", self.settings.where, reason)
            self._down(reason)
            self._tell(self.settings.hooks.on_disconnect, reason)
            pause, failed = low, 0
            while True:
                # Jitter: the clients of a restarted broker must not all come back at the same moment.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                try:
                    wire = await self._attempt()
                    break
                except ProviderError as error:
                    self.error = error
                    logger.info("reconnect: %s", error)
                    self._complain(error)
                    failed += 1
                    if self.settings.max_retries is not None and failed >= self.settings.max_retries:
                        self.reconnect_exhausted = True
                        logger.error("the %s is given up after %d attempts: %s", self.settings.where, failed, error)
                        return
                    pause = min(pause * 2, high)
            self.reconnects += 1
            logger.info("connected again to the %s", self.settings.where)
            self._opened(wire)
