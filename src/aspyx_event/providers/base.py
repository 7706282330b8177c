"""The port to a transport: what the engine asks of a provider, and what a provider promises.

Everything here is called on the manager's event loop and calls back on it. A provider knows nothing of listeners,
codecs or retries: it moves envelopes from addresses to queues and settles what it handed out.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from ..clock import Clock, SystemClock
from ..envelope import Envelope
from ..policies import QueueNaming


class AddressKind(Enum):
    """How an address hands its messages to its queues."""

    #: Every queue of the address gets every message.
    TOPIC = "topic"
    #: The address is one queue of the same name, which keeps messages that nobody consumes yet.
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do. The engine refuses at start what a provider does not claim; the conformance suite
    tests all that it claims.

    Attributes:
        durable: Queues and persistent messages outlive consumers, and the broker's restart where there is a broker.
        competing: Several consumers share one queue.
        per_process: Queues that belong to one consumer and vanish with it.
        delay: A message can be held back by the transport until its time.
        ttl: A message that waited too long is not delivered.
        priority: Waiting messages of a higher priority go first.
        ordered_keys: Messages of one key go to one consumer at a time, in order.
        require_route: A message for an address without a queue can be refused instead of dropped.
        deduplicates: A second message of one `dedup_id` for one address is confirmed and dropped.
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
    """What is told of a provider's connection. Called on the manager's loop, sync or async; what a hook raises is logged.

    Attributes:
        on_connect: Called without arguments when a connection is there, the first time and after each loss.
        on_disconnect: Called with the reason when it was lost.
        on_error: Called with each error of an attempt to connect; while the same one repeats itself, once.
    """

    on_connect: Callable[[], Any] | None = None
    on_disconnect: Callable[[Exception], Any] | None = None
    on_error: Callable[[Exception], Any] | None = None


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """One message for one address.

    Attributes:
        address: Where to: the event name, or a queue name with `AddressKind.QUEUE`.
        envelope: Headers and body. The provider does not change it.
        kind: TOPIC or QUEUE.
        only: Put it into the queue of this binding alone, which is bound to the address, instead of into all.
        durable: The broker stores it before it confirms.
        dedup_id: A broker that can tell drops a second message of this id; resends carry the same id. Never empty.
        key: Messages of one key are handled one after the other; None has no such bond.
        delay: Seconds until it may be delivered.
        ttl: Seconds after which it is not delivered any more; None keeps it for ever.
        priority: 0 (lowest) to 9, None for the broker's default (4).
        require_route: Fail with `NoRouteError` if no queue is bound to the address.
        wait_handled: Asked of an in-process transport only: confirm after all handlers are done with it.
    """

    address: str
    envelope: Envelope
    dedup_id: str
    kind: AddressKind = AddressKind.TOPIC
    only: Binding | None = None
    durable: bool = False
    key: str | None = None
    delay: float = 0.0
    ttl: float | None = None
    priority: int | None = None
    require_route: bool = False
    wait_handled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The queue that a subscription consumes, created by the provider if it is missing.

    Attributes:
        address: The event name, a pattern of names (`names.pattern_matches`) or a topic (TOPIC), or the queue (QUEUE).
        queue: Name of the queue; None for one that belongs to this consumer alone and vanishes with it.
        kind: TOPIC or QUEUE.
        durable: The queue outlives its consumers and keeps messages for them; otherwise it vanishes with the last.
        prefetch: Deliveries handed over and not yet settled, at most.
        crashes: Deaths of a process with one message in hand that the consumer itself counts, before it gives the
            message up; 0 counts none. A broker that gives up earlier is warned of.
        label: Names the subscription in errors and logs.
        selector: Header names with the values of which a message must have one; given only for a queue that belongs
            to this consumer alone. A provider that cannot have the broker look ignores it: the engine looks, too.
    """

    address: str
    queue: str | None
    kind: AddressKind = AddressKind.TOPIC
    durable: bool = False
    prefetch: int = 100
    crashes: int = 0
    label: str = ""
    selector: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """A broker as documents name it: never with user or password.

    Attributes:
        host: Host and port.
        protocol: In the words of AsyncAPI: "amqp", "amqps", "stomp", "stomps", ...
        protocol_version: Of the protocol.
        security: How a client shows who it is, a type of AsyncAPI's security schemes: "plain", "userPassword", "X509";
            "" where it need not.
    """

    host: str
    protocol: str
    protocol_version: str
    security: str = ""


class Delivery(ABC):
    """One message handed to one subscription, to be settled exactly once by the first of the methods called.

    Settling a delivery whose connection was lost meanwhile does nothing: the broker delivers the message again.

    Attributes:
        envelope: Headers and body of this delivery alone; the consumer may change it.
        redelivered: The transport says that it was handed out before.
        binding: Set by the engine where it must know which of its queues a delivery came from.
    """

    __slots__ = ("binding", "envelope", "redelivered")

    envelope: Envelope
    redelivered: bool
    binding: Binding

    @property
    def received(self) -> Envelope:
        """What came, to be read and not changed; cheaper than `envelope` where that is a copy."""
        return self.envelope

    @abstractmethod
    def ack(self) -> None:
        """The message is done with; the transport forgets it."""

    @abstractmethod
    def release(self) -> None:
        """Hand the message back unhandled: it is delivered again, to this or to another consumer, at the latest
        when this consumer closes.
        """


Consume = Callable[[Delivery], None]


class Consumer(ABC):
    """An attached subscription. All methods may be called again without harm."""

    @property
    def attached(self) -> bool:
        """True while the queue is attached; False between the loss of a connection and its return."""
        return True

    @abstractmethod
    async def pause(self) -> None:
        """Take no further deliveries, and give back those the transport holds for us but has not handed over.

        Deliveries handed over before stay valid and are to be settled. Other consumers of the queue get the rest, at
        the latest when that is done.
        """

    @abstractmethod
    async def resume(self) -> None:
        """Take deliveries again."""

    @abstractmethod
    async def close(self) -> None:
        """Detach for good. What is unsettled goes back to the queue; a queue that is not durable vanishes with its
        last consumer.
        """


class Provider(ABC):
    """A transport. Constructors do no I/O; `start` opens, `stop` closes, both may be called again without harm.

    Attributes:
        name: What a user calls it in logs and errors: "local", "amqp", "stomp".
        server_name: Names this process in `per_process` queues; "" where none was given.
        queue_naming: How queues are named.
        hooks: Told of connections and their loss; set before `start`.
        clock: Times the waits between attempts.
        passes_objects: Envelopes may travel with their event object and without bytes.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    server_name: str = ""
    queue_naming: QueueNaming = QueueNaming.LISTENER
    hooks: ConnectionHooks = ConnectionHooks()
    clock: Clock = SystemClock()
    passes_objects: bool = False

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return True

    @property
    def reconnect_exhausted(self) -> bool:
        """True if there will be no connection any more, because it was lost and the attempts to reconnect are over."""
        return False

    @property
    def reconnects(self) -> int:
        """Connections opened after the first one, since `start`."""
        return 0

    @property
    def unconfirmed(self) -> int:
        """Published messages that wait for their confirmation."""
        return 0

    @property
    def servers(self) -> tuple[ServerDescription, ...]:
        """The brokers that may be connected to, for documents; none where there is no broker."""
        return ()

    @abstractmethod
    async def start(self) -> None:
        """Connect; return when messages can be published.

        Raises:
            ConnectError: nobody there, wrong protocol, TLS failed, or no answer within the provider's time limit.
            AuthenticationError: credentials refused.
            MissingDriverError: the driver is not installed.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Flush what is unconfirmed, within the provider's time limit, and disconnect. Never raises for a broker
        that is gone; unconfirmed messages fail with `ConnectionLostError`.
        """

    @abstractmethod
    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        """Take over *message*; never blocks.

        Returns:
            A future, done when the transport has taken responsibility. It fails with `ConfirmTimeoutError`,
            `NotAcceptedError`, `PermissionDeniedError`, `BufferFullError`, `NoRouteError` or `ConnectionLostError`.
            Cancelling it does not take the message back.
        """

    @abstractmethod
    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        """Attach to a queue; return when it is there and deliveries may come. Calls *consume* once per delivery, on
        the loop; *consume* does not block and does not raise.

        A consumer survives reconnects until it is closed.

        Raises:
            PermissionDeniedError: the user may not create or consume the queue.
            QueueClashError: the queue exists for another address.
            UnsupportedError: the transport cannot give such a queue.
            ConnectError: there is no connection within the provider's time limit.
        """
