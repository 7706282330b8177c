"""The AMQP 1.0 provider: settings, and the door to the client, which needs the driver."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ...exceptions import ConnectError, ConnectionLostError, DeclarationError, MissingDriverError
from ...policies import QueueNaming
from ..artemis import target
from ..base import Binding, Capabilities, Consume, Consumer, Outgoing, Provider, ServerDescription
from ..connection import ConnectionSettings
from ..content_mode import ContentMode, sends_structured, structured
from .sections import encode

if TYPE_CHECKING:
    from .client import Client

_MISSING = (
    "the AMQP provider needs the driver python-qpid-proton: pip install 'aspyx-event[amqp]'. pip compiles it, which takes "
    "a C compiler and the headers of Python (Debian and Ubuntu: apt-get install gcc libc6-dev python3-dev). The STOMP "
    "provider needs no compiler"
)
_MECHANISMS = ("PLAIN", "ANONYMOUS", "EXTERNAL")


class AMQPProvider(Provider):
    """Events over AMQP 1.0; made for Apache ActiveMQ Artemis.

    Args:
        server_name: Names this process: part of `per_process` queue names and of the connection's name at the broker.
        host: Host name or IP address of the broker.
        port: Port of an AMQP acceptor; Artemis serves all its protocols at 61616 and AMQP alone at 5672.
        user: "" connects anonymously.
        password: Of *user*. Never part of a message or repr.
        ssl: None for plain TCP, True for a context that verifies against the system's CAs, or a context of your own.
        require_tls: Refuse to start without TLS.
        mechanism: SASL mechanism. None means PLAIN with a user, ANONYMOUS without; "EXTERNAL" authenticates by the
            client certificate of the ssl context.
        heartbeat: Seconds; a broker silent for twice as long is given up. 0 turns it off.
        connect_timeout: Seconds for one attempt to connect, TLS and login included.
        start_timeout: Seconds that `start` tries again, because the broker may come up later.
        confirm_timeout: Seconds from a publish to its confirmation, and for a subscription to be attached; reconnects
            included.
        max_unconfirmed: Publishes that may wait for their confirmation; more fail with `BufferFullError`.
        max_unconfirmed_bytes: What these may take together.
        backoff: First and largest wait, in seconds, between attempts to reconnect.
        failover: Further brokers as ``host:port``, tried in turn when one cannot be reached.
        max_retries: Attempts to reconnect before the connection is given up for good; None never gives up.
        queue_naming: How the queues of listeners are named.
        content_mode: How events are sent: "binary", the attributes as application properties, or "structured", all in the
            body. Both are understood on receive.

    Raises:
        DeclarationError: *server_name* is empty or no str, or an option is not understood.
    """

    name: ClassVar[str] = "amqp"
    capabilities: ClassVar[Capabilities] = Capabilities(
        durable=True,
        competing=True,
        per_process=True,
        delay=True,
        ttl=True,
        priority=True,
        ordered_keys=True,
        require_route=True,
        patterns=True,
        deduplicates=True,
        headers=True,
        remote=True,
    )

    def __init__(
        self,
        server_name: str,
        host: str = "localhost",
        port: int = 61616,
        user: str = "",
        password: str = "",
        *,
        ssl: ssl_module.SSLContext | Literal[True] | None = None,
        require_tls: bool = False,
        mechanism: str | None = None,
        heartbeat: float = 10.0,
        connect_timeout: float = 5.0,
        start_timeout: float = 5.0,
        confirm_timeout: float = 30.0,
        max_unconfirmed: int = 10_000,
        max_unconfirmed_bytes: int = 64 * 1024 * 1024,
        backoff: tuple[float, float] = (0.05, 1.0),
        failover: Sequence[str] = (),
        max_retries: int | None = None,
        queue_naming: QueueNaming = QueueNaming.LISTENER,
        content_mode: ContentMode = "binary",
    ) -> None:
        _check(server_name, mechanism, ssl)
        self.server_name, self.queue_naming = server_name, queue_naming
        self._structured = sends_structured(content_mode)
        self._mechanism = mechanism or ("PLAIN" if user else "ANONYMOUS")
        self._settings = ConnectionSettings(
            protocol="AMQP",
            host=host,
            port=port,
            user=user,
            password=password,
            ssl=ssl_module.create_default_context() if ssl is True else ssl,
            require_tls=require_tls,
            heartbeat=heartbeat,
            connect_timeout=connect_timeout,
            start_timeout=start_timeout,
            confirm_timeout=confirm_timeout,
            max_unconfirmed=max_unconfirmed,
            max_unconfirmed_bytes=max_unconfirmed_bytes,
            backoff=backoff,
            failover=tuple(failover),
            max_retries=max_retries,
        )
        self._settings.endpoints()  # says at once what is wrong with failover
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"<AMQPProvider {self.server_name!r} at {self._settings.host}:{self._settings.port}>"

    @property
    def servers(self) -> tuple[ServerDescription, ...]:
        security = {"PLAIN": "plain", "EXTERNAL": "X509"}.get(self._mechanism, "")
        return self._settings.servers("1.0", security, tls=self._settings.ssl is not None)

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.connected

    @property
    def given_up(self) -> bool:
        return self._client is not None and self._client.given_up

    @property
    def reconnects(self) -> int:
        return self._client.reconnects if self._client is not None else 0

    @property
    def unconfirmed(self) -> int:
        return self._client.unconfirmed if self._client is not None else 0

    async def start(self) -> None:
        client = self._client
        if client is None:
            self._settings.check()
            settings = replace(self._settings, hooks=self.hooks)
            client = self._client = _client_class()(settings, self._mechanism, self.server_name)
        try:
            await client.start()
        except BaseException:
            if self._client is client:
                self._client = None
            raise

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        """See `Provider.publish`; what the message itself cannot be (`EncodeError`, `HeaderError`) is raised at once."""
        client = self._client
        if client is None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(ConnectionLostError(f"{self._settings.where}: the provider is not started"))
            return future
        if self._structured:
            message = structured(message)
        address = message.address if message.only is None else target(message)
        return client.publish(address, message.kind, encode(message), require_route=message.require_route)

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        if self._client is None:
            raise ConnectError(f"{self._settings.where}: the provider is not started")
        return await self._client.subscribe(binding, consume)


def _check(server_name: object, mechanism: str | None, ssl: object) -> None:
    if not isinstance(server_name, str) or not server_name:
        raise DeclarationError(
            f"AMQPProvider(server_name={server_name!r}): give this process a name, a str that is not empty"
        )
    if mechanism is not None and mechanism not in _MECHANISMS:
        raise DeclarationError(f"AMQPProvider(mechanism={mechanism!r}): one of {', '.join(_MECHANISMS)}")
    if mechanism == "EXTERNAL" and ssl is None:
        raise DeclarationError(
            "AMQPProvider(mechanism='EXTERNAL') logs in by a client certificate: pass an ssl context that has one"
        )


def _client_class() -> type[Client]:
    try:
        from .client import Client
    except ImportError as error:
        if (error.name or "").partition(".")[0] in {"proton", "cproton", "cproton_ffi"}:
            raise MissingDriverError(_MISSING) from error
        raise
    return Client
