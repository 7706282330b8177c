"""The port to a transport: `Provider` and the types that the engine exchanges with it.

All methods are called on the manager's event loop, and callbacks are made there. A provider does not know listeners,
codecs or retries: it moves envelopes from addresses to queues and settles the deliveries that it handed out.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from ..clock import Clock, SystemClock
from ..envelope import NO_OPTIONS, Envelope, SendOptions
from ..policies import QueueNaming


class AddressKind(Enum):
    """How an address distributes its messages to its queues."""

    #: Every queue of the address gets every message.
    TOPIC = "topic"
    #: The address is a single queue of the same name, which keeps messages until they are consumed.
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The features of a provider. The engine refuses at start to use a feature that is not declared; the conformance
    suite tests every declared feature.

    Attributes:
        durable: Queues and persistent messages outlive consumers, and a restart of the broker if there is a broker.
        competing: Several consumers share a queue.
        per_process: Queues that belong to a single consumer and vanish with it.
        delay: The transport can hold a message back until its time.
        ttl: A message that waited too long is not delivered.
        priority: Waiting messages of a higher priority are delivered first.
        ordered_keys: Messages with the same key go to a single consumer at a time, in order.
        require_route: A message for an address without a queue can be refused instead of dropped.
        deduplicates: A second message with the same `dedup_id` for the same address is confirmed and dropped.
        headers: Headers travel unchanged.
        patterns: A queue can be bound to a pattern of addresses.
        remote: Messages reach other processes.
    """

    durable: bool = False
    competing: bool = False
    per_process: bool = False
    delay: bool = False
    ttl: bool = False
    priority: bool = False
    ordered_keys: bool = False
    require_route: bool = False
    deduplicates: bool = False
    headers: bool = True
    patterns: bool = False
    remote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionHooks:
    """Callbacks for a provider's connection. Called on the manager's loop, sync or async; exceptions are logged.

    Attributes:
        on_connect: Called without arguments when the connection is opened, the first time and after each loss.
        on_disconnect: Called with the reason when the connection was lost.
        on_error: Called with each error of an attempt to connect; a repeated error is reported once.
        on_give_up: Called with the reason when the provider has stopped reconnecting for good.
    """

    on_connect: Callable[[], Any] | None = None
    on_disconnect: Callable[[Exception], Any] | None = None
    on_error: Callable[[Exception], Any] | None = None
    on_give_up: Callable[[Exception], Any] | None = None


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """A message for an address.

    Attributes:
        address: The event name, or a queue name with `AddressKind.QUEUE`.
        envelope: Headers and body. The provider does not change it.
        kind: TOPIC or QUEUE.
        only: Deliver it to the queue of this binding alone, which is bound to the address, instead of to all queues.
        durable: The broker stores it before it confirms.
        dedup_id: A broker with duplicate detection drops a second message with this id; resends carry the same id.
            Never empty.
        options: Key, delay, time to live, priority, `require_route` and `wait_handled`. A provider ignores its `address`
            and `durable`: those of the message already take them into account.
    """

    address: str
    envelope: Envelope
    dedup_id: str
    kind: AddressKind = AddressKind.TOPIC
    only: Binding | None = None
    durable: bool = False
    options: SendOptions = NO_OPTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The queue of a subscription; the provider creates it if it is missing.

    Attributes:
        address: The event name, a pattern of names (`names.pattern_matches`) or a topic (TOPIC), or the queue (QUEUE).
        queue: Name of the queue; None for a queue that belongs to this consumer alone and vanishes with it.
        kind: TOPIC or QUEUE.
        durable: The queue outlives its consumers and keeps messages for them; otherwise it vanishes with the last.
        prefetch: Maximum number of deliveries handed over and not yet settled.
        max_crashes: Number of process crashes during the handling of a message after which the consumer makes it a
            dead letter; 0 if crashes are not counted. For a warning if the broker gives up earlier.
        label: Names the subscription in errors and logs.
        selector: Header names, each with the accepted values; only for a queue that belongs to this consumer alone.
            A provider whose broker cannot filter ignores it, because the engine filters as well.
    """

    address: str
    queue: str | None
    kind: AddressKind = AddressKind.TOPIC
    durable: bool = False
    prefetch: int = 100
    max_crashes: int = 0
    label: str = ""
    selector: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """A broker as described in documents: never with user or password.

    Attributes:
        host: Host and port.
        protocol: As named in AsyncAPI: "amqp", "amqps", "stomp", "stomps", ...
        protocol_version: Of the protocol.
        security: How a client authenticates, as a type of AsyncAPI's security schemes: "plain", "userPassword", "X509";
            "" for no authentication.
    """

    host: str
    protocol: str
    protocol_version: str
    security: str = ""


class Delivery(ABC):
    """A message handed to a subscription. The first call of `ack` or `release` settles it; later calls do nothing.

    Settling a delivery whose connection was lost in the meantime does nothing: the broker delivers the message again.

    Attributes:
        envelope: Headers and body of this delivery alone; the consumer may change it.
        redelivered: The transport reports an earlier delivery of the message.
        binding: Set by the engine if it must know from which of its queues the delivery came.
    """

    __slots__ = ("binding", "envelope", "redelivered")

    envelope: Envelope
    redelivered: bool
    binding: Binding

    @property
    def received(self) -> Envelope:
        """The received envelope, read-only; cheaper than `envelope` if that is a copy."""
        return self.envelope

    def replace_headers(self, headers: dict[str, str]) -> None:
        """Replace the headers of this delivery alone: a later delivery of the message has those that were sent."""
        self.envelope.headers = headers

    @property
    def stale(self) -> bool:
        """True once nobody can settle it any more, although nobody did: its connection or its consumer is gone.

        The broker delivers the message again, so a stale delivery is not handled.
        """
        return False

    @property
    def oversized(self) -> str:
        """Why the body of the message was dropped on arrival; "" if it was not.

        Such a message becomes a dead letter without its body, and no handler sees it.
        """
        return ""

    @abstractmethod
    def ack(self) -> None:
        """Acknowledge the message: the transport removes it from the queue."""

    @abstractmethod
    def release(self) -> None:
        """Return the message unhandled: it is delivered again, to this or to another consumer, at the latest when
        this consumer closes.
        """


Consume = Callable[[Delivery], None]


class Consumer(ABC):
    """An attached subscription. All methods are idempotent.

    Attributes:
        on_reattach: Called when the queue is attached again, as after a reconnect, on the loop that the provider was
            started on. Set by the caller of `subscribe`.
    """

    on_reattach: Callable[[], None] | None = None

    @property
    def attached(self) -> bool:
        """True while the queue is attached; False between the loss of a connection and its return."""
        return True

    @abstractmethod
    async def pause(self) -> None:
        """Stop taking deliveries, and return those that were prefetched but not handed over.

        Deliveries handed over before stay valid and must be settled. Other consumers of the queue get the returned
        ones, at the latest when that is done.
        """

    @abstractmethod
    async def resume(self) -> None:
        """Take deliveries again."""

    @abstractmethod
    async def close(self) -> None:
        """Detach for good. Unsettled deliveries return to the queue; a queue that is not durable vanishes with its
        last consumer.
        """


class Provider(ABC):
    """A transport. Constructors do no I/O; `start` opens, `stop` closes, both are idempotent.

    Attributes:
        name: For logs and errors: "local", "amqp", "stomp".
        server_name: Names this process in `per_process` queues; "" for none.
        queue_naming: How queues are named.
        hooks: Called when the connection is opened or lost; set before `start`.
        clock: For the delays between attempts.
        passes_objects: Envelopes may travel with their event object and without bytes.
        confirm_timeout: Seconds from a send to its confirmation; the limit of sends while the manager starts in the
            background.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    server_name: str = ""
    queue_naming: QueueNaming = QueueNaming.LISTENER
    hooks: ConnectionHooks = ConnectionHooks()
    clock: Clock = SystemClock()
    passes_objects: bool = False
    confirm_timeout: float = 30.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @property
    def connected(self) -> bool:
        """True while the connection is open."""
        return True

    @property
    def reconnect_exhausted(self) -> bool:
        """True if the connection was lost and all attempts to reconnect have failed: there will not be another."""
        return False

    @property
    def reconnects(self) -> int:
        """The number of reconnects since `start`."""
        return 0

    @property
    def unconfirmed(self) -> int:
        """The number of published messages that wait for their confirmation."""
        return 0

    @property
    def signing_key(self) -> bytes:
        """Key of the signatures by which the engine recognises the copies of events that it has sent to queues.

        The same in all processes of an application, and known to nobody else. With b"" anybody can sign.
        """
        return b""

    @property
    def servers(self) -> tuple[ServerDescription, ...]:
        """The brokers that may be connected to, for documents; empty for a transport without a broker."""
        return ()

    @abstractmethod
    async def start(self) -> None:
        """Connect; return when messages can be published.

        Raises:
            ConnectError: connection refused, wrong protocol, TLS failed, or no answer within the provider's time limit.
            AuthenticationError: credentials refused.
            MissingDriverError: the driver is not installed.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Wait for confirmations, within the provider's time limit, and disconnect. Never raises for a broker that
        is gone; messages that are still unconfirmed fail with `ConnectionLostError`.
        """

    @abstractmethod
    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        """Send *message*; never blocks.

        Returns:
            A future, done when the transport has confirmed the message. It fails with `ConfirmTimeoutError`,
            `NotAcceptedError`, `PermissionDeniedError`, `BufferFullError`, `LimitExceededError`, `NoRouteError` or
            `ConnectionLostError`.
            When it is cancelled before the message has left, the message is not sent; later, the broker may have it.
        """

    async def queue_exists(self, name: str) -> bool:
        """Return whether a queue of kind QUEUE exists, without creating it; True if that cannot be found out."""
        del name
        return True

    @abstractmethod
    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        """Attach to a queue; return when it exists and deliveries may arrive. Calls *consume* once per delivery, on
        the loop; *consume* must not block and must not raise.

        The consumer is attached again after each reconnect, until it is closed.

        Raises:
            PermissionDeniedError: the user may not create or consume the queue.
            QueueClashError: the queue exists for another address.
            UnsupportedError: the transport cannot provide such a queue.
            ConnectError: the provider is not started, or has no connection within its time limit.
        """
