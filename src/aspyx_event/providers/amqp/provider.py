"""`AMQPProvider`: events over AMQP 1.0. The driver is imported at the start of the provider."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import Unpack

from ...exceptions import DeclarationError, MissingDriverError
from ...policies import QueueNaming
from ..artemis import destination
from ..base import Outgoing
from ..content_mode import ContentMode, structured
from ..network import ConnectionKeywords, NetworkProvider
from .sections import encode

if TYPE_CHECKING:
    from .client import Client

_MISSING = (
    "the AMQP provider needs the driver python-qpid-proton: pip install 'aspyx-event[amqp]'. pip compiles it, which requires "
    "a C compiler and the Python headers (Debian and Ubuntu: apt-get install gcc libc6-dev python3-dev). The STOMP "
    "provider needs no compiler"
)
_MECHANISMS = ("PLAIN", "ANONYMOUS", "EXTERNAL")


class AMQPProvider(NetworkProvider["Client"]):
    """Events over AMQP 1.0; made for Apache ActiveMQ Artemis.

    Args:
        server_name: Names this process: part of `per_process` queue names and of the connection's name on the broker.
        host: Host name or IP address of the broker.
        port: Port of an AMQP acceptor; Artemis serves all protocols at 61616, and only AMQP at 5672.
        user: "" connects anonymously.
        password: Of *user*. Never part of a message or repr.
        mechanism: SASL mechanism. None means PLAIN with a user, ANONYMOUS without; "EXTERNAL" authenticates by the
            client certificate of the ssl context.
        queue_naming: How the queues of listeners are named.
        content_mode: How events are sent: "binary", the attributes as application properties, or "structured", all in the
            body. Both are understood on receive.
        keywords: TLS, timeouts, limits and reconnecting: the fields of `ConnectionSettings` from `ssl` to `secret`.

    Raises:
        DeclarationError: *server_name* is empty or not a str, or an option is not understood.
        TypeError: a keyword is not known.
    """

    name: ClassVar[str] = "amqp"
    protocol_version: ClassVar[str] = "1.0"

    def __init__(
        self,
        server_name: str,
        host: str = "localhost",
        port: int = 61616,
        user: str = "",
        password: str = "",
        *,
        mechanism: str | None = None,
        queue_naming: QueueNaming = QueueNaming.LISTENER,
        content_mode: ContentMode = "binary",
        **keywords: Unpack[ConnectionKeywords],
    ) -> None:
        _check(server_name, mechanism, keywords.get("ssl"))
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
        self._mechanism = mechanism or ("PLAIN" if user else "ANONYMOUS")

    def __repr__(self) -> str:
        return f"<AMQPProvider {self.server_name!r} at {self._settings.host}:{self._settings.port}>"

    @property
    def _security(self) -> str:
        return {"PLAIN": "plain", "EXTERNAL": "X509"}.get(self._mechanism, "")

    async def start(self) -> None:
        client = self._client
        if client is None:
            settings = self._settings.prepared(self.hooks)
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
        """See `Provider.publish`; a message that cannot be encoded raises `EncodeError` or `HeaderError` at once."""
        client = self._client
        if client is None:
            return self._publish_not_started(message)
        if self._structured:
            message = structured(message)
        address = message.address if message.only is None else destination(message)
        return client.publish(address, message.kind, encode(message), require_route=message.options.require_route)


def _check(server_name: object, mechanism: str | None, ssl: object) -> None:
    if not isinstance(server_name, str) or not server_name:
        raise DeclarationError(f"AMQPProvider(server_name={server_name!r}): give this process a name, a non-empty str")
    if mechanism is not None and mechanism not in _MECHANISMS:
        raise DeclarationError(f"AMQPProvider(mechanism={mechanism!r}): must be one of {', '.join(_MECHANISMS)}")
    if mechanism == "EXTERNAL" and not ssl:
        raise DeclarationError(
            "AMQPProvider(mechanism='EXTERNAL') authenticates with a client certificate: pass an ssl context that has a certificate"
        )


def _client_class() -> type[Client]:
    try:
        from .client import Client
    except ImportError as error:
        if (error.name or "").partition(".")[0] in {"proton", "cproton", "cproton_ffi"}:
            raise MissingDriverError(_MISSING) from error
        raise
    return Client
