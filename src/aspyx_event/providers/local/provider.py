"""`LocalProvider`: the provider whose broker is a `LocalBroker`."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from ...clock import Clock
from ...envelope import Envelope
from ...exceptions import ConnectError, ConnectionLostError, DeclarationError, NoRouteError
from ...futures import failed
from ...policies import QueueNaming
from ..base import Binding, Capabilities, Consume, Consumer, Outgoing, Provider
from .broker import LocalBroker
from .queue import LocalConsumer


class LocalProvider(Provider):
    """Delivers within the process, by the rules of a broker: queues, acknowledgement, redelivery, delays, expiry.

    Args:
        copy: True delivers events decoded from bytes, as a broker does, so that code that works here works there.
            False passes the same object to all listeners and encodes nothing, unless an interceptor reads the body.
        broker: The queues; None creates a broker. Several providers may share a broker.
        clock: Times delays, expiry and retries; a `ManualClock` stands still until a test advances it.
        server_name: Names this "process" in queues of resumable `per_process` listeners.
        queue_naming: How queues are named.

    Raises:
        DeclarationError: both a broker and a clock are given.
    """

    name: ClassVar[str] = "local"
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
    )

    def __init__(
        self,
        *,
        copy: bool = True,
        broker: LocalBroker | None = None,
        clock: Clock | None = None,
        server_name: str = "local",
        queue_naming: QueueNaming = QueueNaming.LISTENER,
    ) -> None:
        if broker is not None and clock is not None:
            raise DeclarationError(
                "LocalProvider(broker=, clock=): the clock belongs to the broker, LocalBroker(clock)"
            )
        self.broker = broker or LocalBroker(clock)
        self.clock = self.broker.clock
        self.server_name, self.queue_naming, self.passes_objects = server_name, queue_naming, not copy
        #: In the order of subscribing, so that a stop is deterministic.
        self._consumers: dict[LocalConsumer, None] = {}
        self._running = False

    @property
    def signing_key(self) -> bytes:
        return self.broker.signing_key

    async def start(self) -> None:
        if not self._running:
            self.broker.add_provider()
        self._running = True
        self._loop = asyncio.get_running_loop()
        # The result of every publish that is accepted at once.
        self._accepted = self._loop.create_future()
        self._accepted.set_result(None)

    async def stop(self) -> None:
        was_running, self._running = self._running, False
        for consumer in list(self._consumers):
            await consumer.close()
        if was_running:
            self.broker.remove_provider()

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        if not self._running:
            return failed(ConnectionLostError(f"publish to {message.address!r}: the local provider is not started"))
        envelope, body = message.envelope, message.envelope.encoded_body
        if body is None and self.passes_objects:
            envelope = envelope.fork()
        else:
            # The receiving side sees bytes and headers, as with a broker.
            envelope = Envelope(envelope.body if body is None else body, envelope.headers.copy())
        handled = self._loop.create_future() if message.options.wait_handled else None
        try:
            self.broker.publish(message, envelope, handled)
        except NoRouteError as error:
            return failed(error)
        return self._accepted if handled is None else handled

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        if not self._running:
            raise ConnectError(f"subscribe to {binding.address!r}: the local provider is not started")
        consumer = self.broker.declare(binding).attach(consume, binding.prefetch, self._remove)
        self._consumers[consumer] = None
        return consumer

    def _remove(self, consumer: LocalConsumer) -> None:
        self._consumers.pop(consumer, None)
