"""STOMP subscriptions: deliveries, acknowledgement and release, pausing, and subscribing again after a reconnect."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ...exceptions import ConnectionLostError, ProviderError
from ...futures import TaskSet
from ...safe_logger import SafeLogger
from ..base import AddressKind, Binding, Consume, Consumer, Delivery
from ..content_mode import received_envelope
from .frames import acknowledgement
from .headers import read_headers
from .queues import is_exclusive, is_shared_volatile, queue_clash_error, subscribe_headers

if TYPE_CHECKING:
    from .client import StompClient
    from .frames import Frame
    from .queues import QueueAdmin
    from .wire import StompWire

logger = SafeLogger(logging.getLogger("aspyx.event.stomp"))

# Size in bytes that is assumed for a message when a number of messages is converted to a window.
_MESSAGE_SIZE = 1024
# Artemis adds the window to a consumer's credit, which starts at 0: a negative window means that nothing is ever sent.
# Special values: 0 means a single message, -1 no limit (StompSession.addSubscription, ServerConsumerImpl.receiveCredits).
_NO_MESSAGES = "-2"
# Seconds before a released message is delivered again, so that a consumer that releases everything does not spin.
_RELEASE_PAUSE = 0.1


def window_size(prefetch: int) -> int:
    """Return the `consumer-window-size` for a number of messages, in bytes.

    Artemis sends while the bytes of unacknowledged frames are fewer than the window, so 1 lets through a single message at
    a time, of any size. Further messages count as a kilobyte each: of smaller messages more arrive and wait here,
    of larger ones fewer arrive. The window is kept small because messages that wait here when the process dies count
    as delivered, and after ten deliveries Artemis treats a message as poison.
    """
    return 1 + max(prefetch - 1, 0) * _MESSAGE_SIZE


class _Attachment:
    """A SUBSCRIBE on the current connection."""

    __slots__ = ("active", "id", "placeholder", "released", "unsettled", "waiting", "wire")

    def __init__(self, subscription: str, placeholder: bool) -> None:
        self.id = subscription
        #: Receives nothing; only keeps the queue of a paused consumer, which would vanish without consumers.
        self.placeholder = placeholder
        self.wire: StompWire | None = None
        #: An ACK would reach the broker. After UNSUBSCRIBE the broker would answer it with an ERROR.
        self.active = True
        self.unsettled: set[StompDelivery] = set()
        #: Frames that were not delivered yet, with their sequence numbers.
        self.waiting: deque[tuple[int, Frame]] = deque()
        #: Frames of released deliveries; a heap, oldest first.
        self.released: list[tuple[int, Frame]] = []

    def discard(self) -> None:
        self.active = False
        self.unsettled.clear()
        self.waiting.clear()
        self.released.clear()


class StompDelivery(Delivery):
    """A MESSAGE frame. Never answered with NACK, which Artemis treats as an acknowledgement."""

    __slots__ = ("_attachment", "_consumer", "_frame", "_open", "_sequence")

    def __init__(
        self, consumer: StompConsumer, attachment: _Attachment, sequence: int, frame: Frame, released: bool
    ) -> None:
        self.envelope = received_envelope(frame.body, read_headers(frame))
        self.redelivered = released or frame.get("redelivered") == "true"
        self._consumer, self._attachment, self._sequence, self._frame = consumer, attachment, sequence, frame
        self._open = True

    @property
    def stale(self) -> bool:
        return self._open and not self._attachment.active

    @property
    def oversized(self) -> str:
        return self._frame.oversized

    def ack(self) -> None:
        if self._open:
            self._open = False
            attachment = self._attachment
            if attachment.active and attachment.wire is not None:
                attachment.unsettled.discard(self)
                attachment.wire.put(acknowledgement(self._frame.get("ack")))
                self._consumer.on_settled(attachment)

    def release(self) -> None:
        if self._open:
            self._open = False
            attachment = self._attachment
            if attachment.active:
                attachment.unsettled.discard(self)
                heapq.heappush(attachment.released, (self._sequence, self._frame))
                self._consumer.on_released(attachment)


class StompConsumer(Consumer):
    """A subscription that is restored after each reconnect until it is closed.

    STOMP cannot hand back a single message, and can stop the flow only by UNSUBSCRIBE, after which nothing can be
    acknowledged. So a released message waits here and is delivered again before later ones; other consumers get it
    only when this consumer unsubscribes. `pause` unsubscribes as soon as all deliveries are settled.
    """

    def __init__(self, client: StompClient, queues: QueueAdmin, binding: Binding, consume: Consume) -> None:
        self.binding = binding
        self._client, self._queues, self._consume = client, queues, consume
        self._operation = f"subscribe {binding.label or binding.queue or binding.address!r} to {binding.address!r}"
        self._lock = asyncio.Lock()
        self._attachment: _Attachment | None = None
        self._paused = self._closed = self._delivering = self._verified = False
        self._release_timer: asyncio.TimerHandle | None = None
        self._sequence = 0
        self._tasks = TaskSet()
        #: Called once when it is closed.
        self.on_close: Callable[[StompConsumer], None] | None = None

    def __repr__(self) -> str:
        return f"<StompConsumer: {self._operation}>"

    @property
    def attached(self) -> bool:
        return self._attachment is not None and self._attachment.active

    async def attach(self) -> None:
        """Subscribe, unless the consumer is subscribed already, or is closed or paused.

        Raises:
            ConnectionLostError: try again when there is a connection.
            QueueClashError, PermissionDeniedError, ProviderError: as `Provider.subscribe`.
        """
        async with self._lock:
            placeholder = self._paused and is_shared_volatile(self.binding)
            required = not self._closed and (not self._paused or placeholder or is_exclusive(self.binding))
            if required and not self.attached:
                self._attachment = await self._subscribe(placeholder)
                if self.on_reattach is not None:
                    self.on_reattach()
        self._deliver_waiting()

    async def pause(self) -> None:
        if self._closed:
            return
        self._paused = True
        # An exclusive queue would vanish on UNSUBSCRIBE, and nobody else could take its messages.
        if not is_exclusive(self.binding):
            await asyncio.shield(self._spawn(self._detach_when_idle()))

    async def resume(self) -> None:
        if self._closed:
            return
        self._paused = False
        try:
            await self._replace_placeholder()
            await self.attach()
        except ConnectionLostError:
            logger.debug("%s: resumes with the next connection", self._operation)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.on_close is not None:
            self.on_close(self)
        if self._release_timer is not None:
            self._release_timer.cancel()
        # Completed even if the caller is cancelled: the broker would go on sending to a subscription without a reader.
        await asyncio.shield(self._spawn(self._detach()))

    def on_disconnected(self) -> None:
        """The connection ended: everything unacknowledged is back in the broker's queue."""
        if self._attachment is not None:
            self._client.set_receiver(self._attachment.id, None)
            self._attachment.discard()
            self._attachment = None

    def on_settled(self, attachment: _Attachment) -> None:
        if self._paused:
            if not attachment.unsettled:
                self._spawn(self._detach_when_idle())
        else:
            self._deliver_waiting()

    def on_released(self, attachment: _Attachment) -> None:
        if self._release_timer is None:
            self._release_timer = asyncio.get_running_loop().call_later(_RELEASE_PAUSE, self._end_release_pause)
        self.on_settled(attachment)

    def _end_release_pause(self) -> None:
        self._release_timer = None
        self._deliver_waiting()

    def _deliver_waiting(self) -> None:
        """Deliver waiting messages until `prefetch` of them are unsettled."""
        if self._delivering:  # consume() settled at once; the loop below continues
            return
        self._delivering = True
        try:
            while not (self._paused or self._closed or self._release_timer):
                attachment = self._attachment
                if attachment is None or not attachment.active or len(attachment.unsettled) >= self.binding.prefetch:
                    return
                released = bool(attachment.released)
                if released:
                    sequence, frame = heapq.heappop(attachment.released)
                elif attachment.waiting:
                    sequence, frame = attachment.waiting.popleft()
                else:
                    return
                try:
                    delivery = StompDelivery(self, attachment, sequence, frame, released)
                except Exception as error:
                    # Only closing the connection hands it back; the broker's delivery limit ends an endless loop.
                    logger.exception("%s: a message could not be read; closing the connection", self._operation)
                    if attachment.wire is not None:
                        attachment.wire.fail(ConnectionLostError(f"a message could not be read: {error}"))
                    return
                attachment.unsettled.add(delivery)
                self._consume(delivery)
        finally:
            self._delivering = False

    def _on_message(self, attachment: _Attachment, wire: StompWire, frame: Frame) -> None:
        attachment.wire = wire
        if not self._verified and self._is_from_other_address(frame):
            return
        self._sequence += 1
        attachment.waiting.append((self._sequence, frame))
        self._deliver_waiting()

    def _is_from_other_address(self, frame: Frame) -> bool:
        """Return whether the queue serves another address; if so, close the consumer without settling anything."""
        address, origin = self.binding.address, frame.get("destination").partition("::")[0]
        # A queue of kind QUEUE also receives moved messages, and a wildcard binding messages of many addresses.
        if self.binding.kind is AddressKind.QUEUE or origin == address or "*" in address or "#" in address:
            return False
        if not self._closed:
            logger.error("%s; the subscription is closed", queue_clash_error(self.binding, origin))
            self._spawn(self.close())
        return True

    async def _subscribe(self, placeholder: bool) -> _Attachment:
        if not (self._verified and self.binding.durable):
            self._verified = await self._queues.prepare(self.binding)
        attachment = _Attachment(self._client.next_id(), placeholder)
        headers = {
            **subscribe_headers(self.binding),
            "id": attachment.id,
            "ack": "client-individual",
            "consumer-window-size": _NO_MESSAGES if placeholder else str(window_size(self.binding.prefetch)),
        }
        self._client.set_receiver(attachment.id, lambda wire, frame: self._on_message(attachment, wire, frame))
        try:
            attachment.wire = wire = await self._client.execute("SUBSCRIBE", headers, self._operation)
            if wire is not self._client.wire:  # it ended before this task saw the receipt
                raise ConnectionLostError(f"{self._operation}: the connection was lost again")
            if self._verified and await self._queues.was_recreated(self.binding):
                await self._unsubscribe(attachment)
                await self._queues.remove(self.binding)
                raise ConnectionLostError(f"{self._operation}: the queue vanished meanwhile")
        except BaseException:
            self._client.set_receiver(attachment.id, None)
            attachment.discard()
            raise
        return attachment

    async def _unsubscribe(self, attachment: _Attachment) -> None:
        if not attachment.active:
            return
        attachment.discard()
        self._client.set_receiver(attachment.id, None)
        if attachment.wire is None or attachment.wire is not self._client.wire:
            return
        try:
            await self._client.execute("UNSUBSCRIBE", {"id": attachment.id}, f"un{self._operation}")
        except ProviderError as error:
            # Either the connection is gone and the subscription with it, or an ERROR ended both.
            logger.info("%s", error)

    async def _detach(self) -> None:
        async with self._lock:
            await self._detach_locked()

    async def _detach_locked(self) -> None:
        attachment, self._attachment = self._attachment, None
        if attachment is not None:
            await self._unsubscribe(attachment)

    async def _detach_when_idle(self) -> None:
        async with self._lock:
            attachment = self._attachment
            if not self._paused or self._closed or attachment is None or attachment.unsettled or attachment.placeholder:
                return
            try:
                if is_shared_volatile(self.binding):
                    # The queue must outlive the pause: a placeholder subscription, which receives nothing, keeps it.
                    self._attachment = await self._subscribe(placeholder=True)
                    await self._unsubscribe(attachment)
                else:
                    await self._detach_locked()
            except ConnectionLostError as error:
                logger.info("%s", error)

    async def _replace_placeholder(self) -> None:
        """Replace a placeholder by a subscription that receives messages."""
        async with self._lock:
            attachment = self._attachment
            if attachment is not None and attachment.active and attachment.placeholder and not self._paused:
                self._attachment = await self._subscribe(placeholder=False)
                await self._unsubscribe(attachment)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.spawn(coroutine, name=self._operation)
