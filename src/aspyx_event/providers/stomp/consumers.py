"""Subscriptions: what was handed over, how a message goes back, and how a queue is left and joined again."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ...exceptions import ConnectionLostError, ProviderError
from ..base import AddressKind, Binding, Consume, Consumer, Delivery
from ..content_mode import received
from .frames import acknowledgement
from .headers import read_headers
from .queues import clash, is_own, is_shared_volatile, subscribe_headers

if TYPE_CHECKING:
    from .client import StompClient
    from .frames import Frame
    from .queues import QueueKeeper
    from .wire import StompWire

logger = logging.getLogger("aspyx.event.stomp")

# Bytes that a message is taken to have when a number of messages becomes a window.
_MESSAGE_SIZE = 1024
# Artemis adds the window to a consumer's credit, which is 0: below that nothing is ever sent. 0 itself means one message
# and -1 no limit (StompSession.addSubscription, ServerConsumerImpl.receiveCredits).
_NOTHING = "-2"
# Seconds before a message that was handed back is handed out again; a consumer that refuses all must not spin.
_RELEASE_PAUSE = 0.1


def window(prefetch: int) -> int:
    """Return the `consumer-window-size` for a number of messages, in bytes.

    Artemis sends while the bytes of unacknowledged frames are fewer than the window, so 1 lets one message through at
    a time, of whatever size. More than one are counted as a kilobyte each: small messages come in larger numbers and
    wait here, unhandled; of large ones fewer come. It is kept small because messages that wait here when the process
    dies count as delivered, and after ten deliveries Artemis takes a message for poison.
    """
    return 1 + max(prefetch - 1, 0) * _MESSAGE_SIZE


class _Attachment:
    """One SUBSCRIBE on one connection."""

    __slots__ = ("held", "id", "live", "placeholder", "returned", "waiting", "wire")

    def __init__(self, subscription: str, placeholder: bool) -> None:
        self.id = subscription
        #: Holds the place of a paused consumer in a queue that vanishes without consumers.
        self.placeholder = placeholder
        self.wire: StompWire | None = None
        #: An ACK would reach the broker. After UNSUBSCRIBE it would be an ERROR.
        self.live = True
        self.held: set[StompDelivery] = set()
        #: Frames that came and were not handed over, with their number.
        self.waiting: deque[tuple[int, Frame]] = deque()
        #: Frames that were handed back, the oldest first.
        self.returned: list[tuple[int, Frame]] = []

    def end(self) -> None:
        self.live = False
        self.held.clear()
        self.waiting.clear()
        self.returned.clear()


class StompDelivery(Delivery):
    """One MESSAGE frame. Never answered with NACK: Artemis takes that for an acknowledgement."""

    __slots__ = ("_attachment", "_consumer", "_frame", "_number", "_open")

    def __init__(
        self, consumer: StompConsumer, attachment: _Attachment, number: int, frame: Frame, returned: bool
    ) -> None:
        self.envelope = received(frame.body, read_headers(frame))
        self.redelivered = returned or frame.get("redelivered") == "true"
        self._consumer, self._attachment, self._number, self._frame = consumer, attachment, number, frame
        self._open = True

    def ack(self) -> None:
        if self._open:
            self._open = False
            attachment = self._attachment
            if attachment.live and attachment.wire is not None:
                attachment.held.discard(self)
                attachment.wire.put(acknowledgement(self._frame.get("ack")))
                self._consumer.settled(attachment)

    def release(self) -> None:
        if self._open:
            self._open = False
            attachment = self._attachment
            if attachment.live:
                attachment.held.discard(self)
                heapq.heappush(attachment.returned, (self._number, self._frame))
                self._consumer.returned(attachment)


class StompConsumer(Consumer):
    """A subscription that is made again after each reconnect until it is closed.

    STOMP has no way to hand one message back, and no way to stop the flow but UNSUBSCRIBE, after which nothing can be
    acknowledged. So a released message waits here and is handed out again, before later ones, and goes to others only
    when the queue is left. `pause` leaves the queue as soon as all that was handed over is settled.
    """

    def __init__(self, client: StompClient, keeper: QueueKeeper, binding: Binding, consume: Consume) -> None:
        self.binding = binding
        self._client, self._keeper, self._consume = client, keeper, consume
        self._what = f"subscribe {binding.label or binding.queue or binding.address!r} to {binding.address!r}"
        self._lock = asyncio.Lock()
        self._attachment: _Attachment | None = None
        self._paused = self._closed = self._pumping = self._verified = False
        self._cooling: asyncio.TimerHandle | None = None
        self._numbers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        #: Called once when it is closed.
        self.on_close: Callable[[StompConsumer], None] | None = None

    def __repr__(self) -> str:
        return f"<StompConsumer: {self._what}>"

    @property
    def attached(self) -> bool:
        return self._attachment is not None and self._attachment.live

    async def attach(self) -> None:
        """Join the queue unless that is done or not wanted.

        Raises:
            ConnectionLostError: try again when there is a connection.
            QueueClashError, PermissionDeniedError, ProviderError: as `Provider.subscribe`.
        """
        async with self._lock:
            placeholder = self._paused and is_shared_volatile(self.binding)
            wanted = not self._closed and (not self._paused or placeholder or is_own(self.binding))
            if wanted and not self.attached:
                self._attachment = await self._join(placeholder)
        self._pump()

    async def pause(self) -> None:
        if self._closed:
            return
        self._paused = True
        # A queue of our own vanishes when it is left, and nobody else could take what waits in it.
        if not is_own(self.binding):
            await asyncio.shield(self._spawn(self._leave_when_idle()))

    async def resume(self) -> None:
        if self._closed:
            return
        self._paused = False
        try:
            await self._take_place()
            await self.attach()
        except ConnectionLostError:
            logger.debug("%s: resumes with the next connection", self._what)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.on_close is not None:
            self.on_close(self)
        if self._cooling is not None:
            self._cooling.cancel()
        # To its end even if the caller is cancelled: the broker would go on to send to a subscription nobody reads.
        await asyncio.shield(self._spawn(self._leave_for_good()))

    def lost(self) -> None:
        """The connection is gone: the broker has everything back that is not acknowledged."""
        if self._attachment is not None:
            self._client.route(self._attachment.id, None)
            self._attachment.end()
            self._attachment = None

    def settled(self, attachment: _Attachment) -> None:
        if self._paused:
            if not attachment.held:
                self._spawn(self._leave_when_idle())
        else:
            self._pump()

    def returned(self, attachment: _Attachment) -> None:
        if self._cooling is None:
            self._cooling = asyncio.get_running_loop().call_later(_RELEASE_PAUSE, self._cooled)
        self.settled(attachment)

    def _cooled(self) -> None:
        self._cooling = None
        self._pump()

    def _pump(self) -> None:
        """Hand over what waits, as many as may be unsettled at once."""
        if self._pumping:  # consume() settled at once
            return
        self._pumping = True
        try:
            while not (self._paused or self._closed or self._cooling):
                attachment = self._attachment
                if attachment is None or not attachment.live or len(attachment.held) >= self.binding.prefetch:
                    return
                returned = bool(attachment.returned)
                if returned:
                    number, frame = heapq.heappop(attachment.returned)
                elif attachment.waiting:
                    number, frame = attachment.waiting.popleft()
                else:
                    return
                try:
                    delivery = StompDelivery(self, attachment, number, frame, returned)
                except Exception as error:
                    # The end of the connection is the only way to hand it back; the broker counts, and ends a loop.
                    logger.exception("%s: a message could not be read; the connection is given up", self._what)
                    if attachment.wire is not None:
                        attachment.wire.fail(ConnectionLostError(f"a message could not be read: {error}"))
                    return
                attachment.held.add(delivery)
                self._consume(delivery)
        finally:
            self._pumping = False

    def _arrived(self, attachment: _Attachment, wire: StompWire, frame: Frame) -> None:
        attachment.wire = wire
        if not self._verified and self._is_foreign(frame):
            return
        self._numbers += 1
        attachment.waiting.append((self._numbers, frame))
        self._pump()

    def _is_foreign(self, frame: Frame) -> bool:
        """Leave a queue that turns out to serve another address: its messages are not ours to take."""
        address, owner = self.binding.address, frame.get("destination").partition("::")[0]
        # Queues get what was moved to them too, and the addresses of wildcards are many.
        if self.binding.kind is AddressKind.QUEUE or owner == address or "*" in address or "#" in address:
            return False
        if not self._closed:
            logger.error("%s; the subscription is ended", clash(self.binding, owner))
            self._spawn(self.close())
        return True

    async def _join(self, placeholder: bool) -> _Attachment:
        if not (self._verified and self.binding.durable):
            self._verified = await self._keeper.prepare(self.binding)
        attachment = _Attachment(self._client.next_id(), placeholder)
        headers = {
            **subscribe_headers(self.binding),
            "id": attachment.id,
            "ack": "client-individual",
            "consumer-window-size": _NOTHING if placeholder else str(window(self.binding.prefetch)),
        }
        self._client.route(attachment.id, lambda wire, frame: self._arrived(attachment, wire, frame))
        try:
            attachment.wire = wire = await self._client.control("SUBSCRIBE", headers, self._what)
            if wire is not self._client.wire:  # it ended before this task was told of the receipt
                raise ConnectionLostError(f"{self._what}: the connection was lost again")
            if self._verified and await self._keeper.is_stray(self.binding):
                await self._unsubscribe(attachment)
                await self._keeper.remove(self.binding)
                raise ConnectionLostError(f"{self._what}: the queue vanished meanwhile")
        except BaseException:
            self._client.route(attachment.id, None)
            attachment.end()
            raise
        return attachment

    async def _leave_for_good(self) -> None:
        async with self._lock:
            await self._leave()

    async def _leave(self) -> None:
        attachment, self._attachment = self._attachment, None
        if attachment is not None:
            await self._unsubscribe(attachment)

    async def _unsubscribe(self, attachment: _Attachment) -> None:
        if not attachment.live:
            return
        attachment.end()
        self._client.route(attachment.id, None)
        if attachment.wire is None or attachment.wire is not self._client.wire:
            return
        try:
            await self._client.control("UNSUBSCRIBE", {"id": attachment.id}, f"un{self._what}")
        except ProviderError as error:
            # Either the connection is gone and the subscription with it, or an ERROR ended both.
            logger.info("%s", error)

    async def _leave_when_idle(self) -> None:
        async with self._lock:
            attachment = self._attachment
            if not self._paused or self._closed or attachment is None or attachment.held or attachment.placeholder:
                return
            try:
                if is_shared_volatile(self.binding):
                    # The queue must not vanish under a paused consumer: a second one, that takes nothing, holds its
                    # place.
                    self._attachment = await self._join(placeholder=True)
                    await self._unsubscribe(attachment)
                else:
                    await self._leave()
            except ConnectionLostError as error:
                logger.info("%s", error)

    async def _take_place(self) -> None:
        """Turn a placeholder into a full subscription."""
        async with self._lock:
            attachment = self._attachment
            if attachment is not None and attachment.live and attachment.placeholder and not self._paused:
                self._attachment = await self._join(placeholder=False)
                await self._unsubscribe(attachment)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=self._what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
