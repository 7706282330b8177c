"""`StompProvider`: the port to brokers that speak STOMP 1.2, Apache ActiveMQ Artemis first."""

from __future__ import annotations

import asyncio
import importlib
import ssl as ssl_module
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...exceptions import ConnectionLostError, MissingDriverError
from ...policies import QueueNaming
from ..base import AddressKind, Binding, Capabilities, Consume, Consumer, Outgoing, Provider, ServerDescription
from ..connection import ConnectionSettings
from ..content_mode import ContentMode, sends_structured, structured

if TYPE_CHECKING:
    from .session import StompSession


class StompProvider(Provider):
    """Events over STOMP 1.2.

    A message is confirmed by the broker's RECEIPT, and sent again over the next connection until it is; the broker
    drops what it has already by the message's `dedup_id`. STOMP has no negative acknowledgement that Artemis honours,
    so none is ever sent: a released message stays with this consumer until the queue is left.

    What STOMP cannot do: `pause` gives waiting messages back as soon as all that was handed over is settled, not
    before; `delay` counts from the moment the broker takes the message; `ttl` is measured against the broker's clock.

    Args:
        host: Name or address of the broker.
        port: Its STOMP acceptor: 61616 (all protocols) or 61613 with Artemis.
        user: "" for none.
        password: Never shown in messages, logs or `repr`.
        server_name: Names this process in the queues of `per_process` listeners.
        vhost: The virtual host of CONNECT; None sends *host*. RabbitMQ's is "/".
        ssl: None for plain TCP, True for TLS against the system's certificate authorities, or a context.
        require_tls: Refuse to start without TLS.
        heartbeat: Seconds between two signs of life in both directions; twice as long a silence ends the connection.
            0 turns it off.
        connect_timeout: Seconds for one attempt to connect, up to the broker's CONNECTED.
        start_timeout: Seconds for `start` and `subscribe` to get a connection.
        confirm_timeout: Seconds from `publish` to the confirmation, reconnects included.
        max_unconfirmed: Messages that may wait for a confirmation; more fail with `BufferFullError`.
        max_unconfirmed_bytes: What these may take together.
        backoff: First and largest wait, in seconds, between two attempts to reconnect.
        failover: Further brokers as ``host:port``, tried in turn when one cannot be reached.
        max_retries: Attempts to reconnect before the connection is given up for good; None never gives up.
        queue_naming: How the queues of listeners are named.
        content_mode: How events are sent: "binary", the attributes as headers, or "structured", all in the
            body. Both are understood on receive.

    Raises:
        DeclarationError: an option is not understood.
    """

    name: ClassVar[str] = "stomp"
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
        host: str = "localhost",
        port: int = 61616,
        user: str = "",
        password: str = "",
        *,
        server_name: str = "",
        vhost: str | None = None,
        ssl: bool | ssl_module.SSLContext | None = None,
        require_tls: bool = False,
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
        self.server_name = server_name
        self.queue_naming = queue_naming
        self._structured = sends_structured(content_mode)
        self._vhost = vhost
        self._settings = ConnectionSettings(
            protocol="STOMP",
            host=host,
            port=port,
            user=user,
            password=password,
            ssl=None if isinstance(ssl, bool) else ssl,
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
        self._default_tls = ssl is True
        self._session: StompSession | None = None
        self._starting = asyncio.Lock()

    def __repr__(self) -> str:
        tls = ", TLS" if self._default_tls or self._settings.ssl is not None else ""
        return f"<StompProvider {self._settings.host}:{self._settings.port}{tls}, user {self._settings.user!r}>"

    @property
    def servers(self) -> tuple[ServerDescription, ...]:
        tls = self._default_tls or self._settings.ssl is not None
        return self._settings.servers("1.2", "userPassword" if self._settings.user else "", tls=tls)

    async def start(self) -> None:
        async with self._starting:
            if self._session is not None:
                return
            settings = replace(self._settings, hooks=self.hooks)
            if self._default_tls:
                settings = replace(settings, ssl=ssl_module.create_default_context())
            settings.check()
            # In a thread, because stomp.py asks the name service for this machine's names when it is imported.
            module = await asyncio.get_running_loop().run_in_executor(None, _load)
            session: StompSession = module.StompSession(settings, self._vhost)
            await session.start()
            self._session = session

    async def stop(self) -> None:
        async with self._starting:
            session = self._session
            if session is not None:
                await session.stop()
                self._session = None

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        if self._session is None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(ConnectionLostError(f"publish to {message.address!r}: the provider is not started"))
            return future
        if self._structured:
            message = structured(message)
        if message.require_route and (message.kind is AddressKind.TOPIC or "::" in message.address):
            return self._session.publish_if_routed(message)
        return self._session.client.send(message)

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        if self._session is None:
            raise ConnectionLostError(f"subscribe to {binding.address!r}: the provider is not started")
        return await self._session.subscribe(binding, consume)

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.client.wire is not None

    @property
    def given_up(self) -> bool:
        return self._session is not None and self._session.client.given_up

    @property
    def reconnects(self) -> int:
        return self._session.client.reconnects if self._session is not None else 0

    @property
    def unconfirmed(self) -> int:
        return self._session.client.unconfirmed if self._session is not None else 0


def _load() -> Any:
    try:
        import stomp  # noqa: F401
    except ImportError as error:
        raise MissingDriverError(
            "StompProvider needs stomp.py, which is not installed: pip install 'aspyx-event[stomp]'"
        ) from error
    return importlib.import_module(".session", __package__)
