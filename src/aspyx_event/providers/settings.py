"""`ConnectionSettings`: where a broker is, the time limits and the send limits; checked when they are constructed."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl as ssl_module
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..error_text import printable_message
from ..exceptions import ConnectError, DeclarationError
from ..masking import masked_url
from ..safe_logger import SafeLogger
from .base import ConnectionHooks, ServerDescription

logger = SafeLogger(logging.getLogger("aspyx.event.connection"))

#: Bytes. Four times the default of `Limits.body`, which the engine checks: what exceeds only that is kept in a dead letter.
DEFAULT_MAX_MESSAGE_SIZE = 64 * 1024 * 1024

#: The minimum of each number; `max_retries` may also be None.
_MINIMUM = {
    "port": 1,
    "heartbeat": 0,
    "connect_timeout": 0.001,
    "start_timeout": 0,
    "confirm_timeout": 0.001,
    "max_unconfirmed": 1,
    "max_unconfirmed_bytes": 1,
    "max_message_size": 1024,
    "max_retries": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Where the broker is, and the limits of the connection. Times in seconds.

    Attributes:
        protocol: "AMQP" or "STOMP", for messages.
        host: Host name or IP address.
        port: TCP port.
        user: "" for none.
        password: Of *user*.
        ssl: None or False for plain TCP, True for TLS with the system's certificate authorities, or a context, whose
            verification settings are the caller's.
        require_tls: Refuse to connect without TLS.
        heartbeat: Interval of traffic promised in both directions; a broker silent for twice as long is disconnected.
            0 turns it off.
        connect_timeout: Limit of an attempt to connect, TLS and login included.
        start_timeout: How long `start` retries before it raises, because a broker may come up later than the process.
        confirm_timeout: Limit from a publish to its confirmation, reconnects included.
        max_unconfirmed: Published messages that may wait for their confirmation; more fail with `BufferFullError`.
        max_unconfirmed_bytes: The size of these together.
        max_message_size: Bytes of a message, sent or received. A larger message is not sent; on receive, it never
            occupies more memory than this.
        backoff: First and largest wait between two attempts to reconnect; doubles, with jitter.
        failover: Further brokers as ``host:port``, tried in turn when a broker cannot be reached.
        max_retries: Attempts to reconnect before the provider stops reconnecting for good; None for no limit.
        secret: Signs the copies of events that the engine sends to queues (retries, dead letters, replays); the same in all
            processes of the application. "" derives the key from user and password.
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
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    backoff: tuple[float, float] = (0.05, 1.0)
    failover: Sequence[str] = ()
    max_retries: int | None = None
    secret: str = field(default="", repr=False)
    hooks: ConnectionHooks = field(default_factory=ConnectionHooks)
    #: Brokers about which a warning was logged; shared with copies of these settings.
    _warned: set[str] = field(default_factory=set, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "failover", tuple(self.failover))
        check_connection_options(self)

    @property
    def where(self) -> str:
        return f"{self.protocol} broker at {self.host}:{self.port}"

    def endpoints(self) -> list[ConnectionSettings]:
        """Return these settings for each broker that may be connected to, this broker first.

        Raises:
            DeclarationError: an entry of `failover` is not ``host:port``, or the host is a URL.
        """
        # Messages and log lines name the host, and a URL may contain a password.
        if not _is_host(self.host):
            raise DeclarationError(
                f"host={masked_url(self.host)!r}: give the name or address alone, and port, user, password "
                "and ssl as arguments of their own"
            )
        endpoints = [self]
        for entry in self.failover:
            host, colon, port = entry.rpartition(":")
            if not colon or not host or not port.isdigit() or not _is_host(host):
                raise DeclarationError(f"failover={masked_url(entry)!r}: write each further broker as 'host:port'")
            endpoints.append(replace(self, host=host.strip("[]"), port=int(port), failover=()))
        return endpoints

    def servers(self, version: str, security: str) -> tuple[ServerDescription, ...]:
        """Return the descriptions of these brokers."""
        protocol = self.protocol.lower() + ("s" if self.ssl else "")
        return tuple(
            ServerDescription(
                host=f"[{endpoint.host}]:{endpoint.port}"
                if ":" in endpoint.host
                else f"{endpoint.host}:{endpoint.port}",
                protocol=protocol,
                protocol_version=version,
                security=security,
            )
            for endpoint in self.endpoints()
        )

    def prepared(self, hooks: ConnectionHooks) -> ConnectionSettings:
        """Return these settings ready to connect: with *hooks*, and with a TLS context in place of True.

        Logs a warning, once for each broker, if the password would cross a network unencrypted, and once if TLS is used
        without anything from which a signing key could be derived.

        Raises:
            ConnectError: `require_tls` is set and there is no TLS.
        """
        if not self.ssl:
            self._check_plain_tcp()
        elif not self.password and not self.secret and "secret" not in self._warned:
            self._warned.add("secret")
            logger.warning(
                "%s: without password and secret=, copies of events that other senders forge (retries, dead letters, "
                "replays) cannot be told from those of the application; pass the same secret= in all its processes",
                self.where,
            )
        ssl = ssl_module.create_default_context() if self.ssl is True else self.ssl or None
        return replace(self, hooks=hooks, ssl=ssl)

    def _check_plain_tcp(self) -> None:
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
        """Return the `ConnectError` for what an attempt to connect raised; its message says what to check."""
        if isinstance(error, ConnectError):
            return error
        if isinstance(error, asyncio.TimeoutError):
            reason = f"no {self.protocol} answer within {self.connect_timeout:g} s; is this the right port and is TLS set on both sides?"
        elif isinstance(error, socket.gaierror):
            reason = f"host name {self.host!r} is unknown; check host="
        elif isinstance(error, ConnectionRefusedError):
            reason = "connection refused; is the broker running, is port= right?"
        elif isinstance(error, ssl_module.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {error.verify_message}; give the ssl context its CA"
        elif isinstance(error, ssl_module.SSLError):
            reason = f"TLS failed: {error.reason or error}; does the port speak TLS?"
        else:
            reason = printable_message(error) or type(error).__name__
        return ConnectError(f"{self.where}: {reason}")


def check_connection_options(settings: ConnectionSettings) -> None:
    """Check the types and ranges of *settings*.

    Raises:
        DeclarationError: names the option and its valid values.
    """
    if settings.ssl is not None and not isinstance(settings.ssl, (bool, ssl_module.SSLContext)):
        raise DeclarationError(
            f"ssl={settings.ssl!r} is not understood: None for plain TCP, True to trust the system's authorities, or an "
            "ssl.SSLContext"
        )
    if not isinstance(settings.secret, str):
        raise DeclarationError(f"secret= is {type(settings.secret).__name__}: a str, the same in all processes")
    for name, minimum in _MINIMUM.items():
        value = getattr(settings, name)
        if value is None and name == "max_retries":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= minimum:
            raise DeclarationError(f"{name}={value!r} is not understood: a number, at least {minimum}")
    if not isinstance(settings.max_message_size, int):
        raise DeclarationError(f"max_message_size={settings.max_message_size!r} is not understood: a number of bytes")
    if not _is_backoff(settings.backoff):
        raise DeclarationError(
            f"backoff={settings.backoff!r} is not understood: the first and the largest wait, in seconds"
        )


def _is_backoff(waits: Any) -> bool:
    try:
        first, largest = waits
        return 0 < float(first) <= float(largest)
    except (TypeError, ValueError):
        return False


def _is_host(text: str) -> bool:
    return not any(character in text for character in "@/ ")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
