"""`StompProvider`: the provider for brokers that speak STOMP 1.2, primarily Apache ActiveMQ Artemis."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Unpack

from ...exceptions import MissingDriverError
from ...policies import QueueNaming
from ..base import AddressKind, Outgoing
from ..content_mode import ContentMode, structured
from ..network import ConnectionKeywords, NetworkProvider

if TYPE_CHECKING:
    from .session import StompSession


class StompProvider(NetworkProvider["StompSession"]):
    """Events over STOMP 1.2.

    The broker's RECEIPT confirms a message. Until then it is sent again over each new connection, and the broker drops
    duplicates by the message's `dedup_id`. Artemis treats NACK as an acknowledgement, so it is never sent: a released
    message stays with this consumer until the consumer unsubscribes.

    Limits of STOMP: `pause` gives waiting messages back when all deliveries are settled, not before; `delay` starts
    when the broker receives the message; `ttl` is measured against the broker's clock.

    Args:
        host: Name or address of the broker.
        port: Its STOMP acceptor; with Artemis 61616 (all protocols) or 61613.
        user: "" for none.
        password: Never shown in messages, logs or `repr`.
        server_name: Names this process in the queues of `per_process` listeners.
        vhost: The virtual host of CONNECT; None sends *host*. RabbitMQ's is "/".
        queue_naming: How the queues of listeners are named.
        content_mode: How events are sent: "binary", with the attributes as headers, or "structured", with all of them
            in the body. Both are understood on receive.
        keywords: TLS, timeouts, limits and reconnecting: the fields of `ConnectionSettings` from `ssl` to `secret`.

    Raises:
        DeclarationError: an option is invalid.
        TypeError: a keyword is unknown.
    """

    name: ClassVar[str] = "stomp"
    protocol_version: ClassVar[str] = "1.2"

    def __init__(
        self,
        host: str = "localhost",
        port: int = 61616,
        user: str = "",
        password: str = "",
        *,
        server_name: str = "",
        vhost: str | None = None,
        queue_naming: QueueNaming = QueueNaming.LISTENER,
        content_mode: ContentMode = "binary",
        **keywords: Unpack[ConnectionKeywords],
    ) -> None:
        super().__init__(
            host,
            port,
            user,
            password,
            server_name=server_name,
            queue_naming=queue_naming,
            content_mode=content_mode,
            **keywords,
        )
        self._vhost = vhost
        self._starting = asyncio.Lock()

    def __repr__(self) -> str:
        tls = ", TLS" if self._settings.ssl else ""
        return f"<StompProvider {self._settings.host}:{self._settings.port}{tls}, user {self._settings.user!r}>"

    @property
    def _security(self) -> str:
        return "userPassword" if self._settings.user else ""

    async def start(self) -> None:
        async with self._starting:
            if self._client is not None:
                return
            settings = self._settings.prepared(self.hooks)
            # In a thread, because stomp.py resolves this machine's host names when it is imported.
            module = await asyncio.get_running_loop().run_in_executor(None, _load)
            session: StompSession = module.StompSession(settings, self._vhost)
            await session.start()
            self._client = session

    async def stop(self) -> None:
        async with self._starting:
            session = self._client
            if session is not None:
                await session.stop()
                self._client = None

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        session = self._client
        if session is None:
            return self._publish_not_started(message)
        if self._structured:
            message = structured(message)
        if message.options.require_route and (message.kind is AddressKind.TOPIC or "::" in message.address):
            return session.publish_if_routed(message)
        return session.client.send(message)


def _load() -> Any:
    try:
        import stomp  # noqa: F401
    except ImportError as error:
        raise MissingDriverError(
            "StompProvider needs stomp.py, which is not installed: pip install 'aspyx-event[stomp]'"
        ) from error
    return importlib.import_module(".session", __package__)
