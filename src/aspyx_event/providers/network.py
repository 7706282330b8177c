"""`NetworkProvider`: the common base of the AMQP and the STOMP provider."""

from __future__ import annotations

import asyncio
import hashlib
import ssl as ssl_module
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Generic, Protocol, TypedDict, TypeVar

from typing_extensions import Unpack

from ..exceptions import ConnectError, ConnectionLostError
from ..futures import failed
from ..policies import QueueNaming
from .base import Binding, Capabilities, Consume, Consumer, Outgoing, Provider, ServerDescription
from .content_mode import ContentMode, sends_structured
from .settings import ConnectionSettings


class ConnectionKeywords(TypedDict, total=False):
    """The keywords of every `NetworkProvider` as types; `ConnectionSettings` says what they mean."""

    ssl: ssl_module.SSLContext | bool | None
    require_tls: bool
    heartbeat: float
    connect_timeout: float
    start_timeout: float
    confirm_timeout: float
    max_unconfirmed: int
    max_unconfirmed_bytes: int
    max_message_size: int
    backoff: tuple[float, float]
    failover: Sequence[str]
    max_retries: int | None
    secret: str


@lru_cache(maxsize=16)
def _derived_key(kind: str, text: str) -> bytes:
    """Return a key that takes some 50 ms to derive, so that signatures do not help to guess a password."""
    return hashlib.scrypt(text.encode(), salt=f"aspyx-event {kind}".encode(), n=1 << 14, r=8, p=1, dklen=32)


class NetworkClient(Protocol):
    """The client of a protocol; exists from the start of its provider to the stop."""

    @property
    def connected(self) -> bool: ...

    @property
    def reconnect_exhausted(self) -> bool: ...

    @property
    def reconnects(self) -> int: ...

    @property
    def unconfirmed(self) -> int: ...

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer: ...

    async def queue_exists(self, name: str) -> bool: ...


ClientT = TypeVar("ClientT", bound=NetworkClient)


class NetworkProvider(Provider, Generic[ClientT]):
    """A provider that connects to a broker.

    Args:
        host: Host name or IP address.
        port: Of an acceptor of the protocol.
        user: "" for none.
        password: Of *user*. Never part of a message, a log line or a repr.
        server_name, queue_naming: See `Provider`.
        content_mode: How events are sent; both modes are understood on receive.
        keywords: The fields of `ConnectionSettings` from `ssl` to `max_retries`.

    Raises:
        DeclarationError: an option is not understood.
        TypeError: a keyword is not known.
    """

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
    protocol_version: ClassVar[str]

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        server_name: str,
        queue_naming: QueueNaming,
        content_mode: ContentMode,
        **keywords: Unpack[ConnectionKeywords],
    ) -> None:
        self.server_name, self.queue_naming = server_name, queue_naming
        self._structured = sends_structured(content_mode)
        unknown = keywords.keys() - ConnectionKeywords.__annotations__.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {min(unknown)!r}")
        self._settings = ConnectionSettings(
            protocol=self.name.upper(), host=host, port=port, user=user, password=password, **keywords
        )
        self.confirm_timeout = self._settings.confirm_timeout
        self._settings.endpoints()  # reports errors in `failover` at once
        #: None while the provider is stopped.
        self._client: ClientT | None = None

    @property
    def _security(self) -> str:
        """See `ServerDescription.security`."""
        return ""

    @property
    def servers(self) -> tuple[ServerDescription, ...]:
        return self._settings.servers(self.protocol_version, self._security)

    @property
    def signing_key(self) -> bytes:
        settings = self._settings
        if settings.secret:
            return _derived_key("secret", settings.secret)
        return _derived_key("password", f"{settings.user}:{settings.password}") if settings.password else b""

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.connected

    @property
    def reconnect_exhausted(self) -> bool:
        return self._client is not None and self._client.reconnect_exhausted

    @property
    def reconnects(self) -> int:
        return self._client.reconnects if self._client is not None else 0

    @property
    def unconfirmed(self) -> int:
        return self._client.unconfirmed if self._client is not None else 0

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        if self._client is None:
            raise ConnectError(f"subscribe to {binding.address!r}: {self._not_started}")
        return await self._client.subscribe(binding, consume)

    async def queue_exists(self, name: str) -> bool:
        return self._client is None or await self._client.queue_exists(name)

    def _publish_not_started(self, message: Outgoing) -> asyncio.Future[None]:
        return failed(ConnectionLostError(f"publish to {message.address!r}: {self._not_started}"))

    @property
    def _not_started(self) -> str:
        return f"the provider for the {self._settings.where} is not started"
