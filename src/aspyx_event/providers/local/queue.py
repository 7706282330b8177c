"""A queue in memory with its consumers: priorities, expiry, ordering keys, prefetch and unsettled deliveries."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable

from ...clock import Clock
from ...envelope import Envelope
from ...log_fields import log_fields
from ...safe_logger import SafeLogger
from ..base import Consume, Consumer, Delivery

logger = SafeLogger(logging.getLogger("aspyx.event.local"))


class Completion:
    """Resolves a future when all copies of an event are handled."""

    __slots__ = ("_handled", "_open")

    def __init__(self, handled: asyncio.Future[None]) -> None:
        self._handled, self._open = handled, 1

    def add_copy(self) -> None:
        self._open += 1

    def finish(self) -> None:
        """Called once for each copy, and once after all copies were created."""
        self._open -= 1
        if not self._open and not self._handled.done():
            self._handled.set_result(None)


#: Priority of a message that specifies none.
DEFAULT_PRIORITY = 4


class Message:
    """A message in a queue. Sorts by priority, then by age.

    Attributes:
        envelope: Shared by all copies of the message in all queues; never changed.
    """

    __slots__ = ("completion", "envelope", "expires", "key", "priority", "redelivered", "sequence")

    def __init__(
        self,
        envelope: Envelope,
        sequence: int,
        priority: int,
        expires: float | None,
        key: str | None,
        completion: Completion | None,
    ) -> None:
        self.envelope, self.sequence, self.priority, self.expires = envelope, sequence, priority, expires
        self.key, self.redelivered, self.completion = key, False, completion
        if completion is not None:
            completion.add_copy()

    def __lt__(self, other: Message) -> bool:
        if self.priority != other.priority:
            return self.priority > other.priority
        return self.sequence < other.sequence

    def release_sender(self) -> None:
        """End the sender's wait for this copy."""
        completion, self.completion = self.completion, None
        if completion is not None:
            completion.finish()


class LocalQueue:
    """The messages of a subscription, delivered to its consumers in turn, each up to its prefetch.

    Args:
        name: Name of the queue.
        address: The event it is bound to.
        durable: It outlives its last consumer.
        clock: Times expiry.
        on_removed: Called when the queue vanishes.
    """

    def __init__(
        self, name: str, address: str, durable: bool, clock: Clock, on_removed: Callable[[LocalQueue], None]
    ) -> None:
        self.name, self.address, self.durable = name, address, durable
        self._clock, self._on_removed = clock, on_removed
        #: Messages of default priority that were never delivered, in order of arrival; and a heap of all others.
        self._new: deque[Message] = deque()
        self._others: list[Message] = []
        self._consumers: deque[LocalConsumer] = deque()
        #: True if a consumer may have pinned messages.
        self.has_pinned = False
        #: Keys with unsettled or pinned messages: their consumer, and the number of these messages.
        self._key_owners: dict[str, tuple[LocalConsumer, int]] = {}
        #: `_full`: no consumer can take a message; `put` then skips `pump`.
        self._pumping = self._full = False

    @property
    def has_active_consumer(self) -> bool:
        """True if a consumer is attached and not paused."""
        return any(not consumer.paused for consumer in self._consumers)

    @property
    def depth(self) -> int:
        waiting = len(self._new) + len(self._others)
        return waiting + sum(len(consumer.unsettled) + len(consumer.pinned) for consumer in self._consumers)

    def put(self, message: Message) -> None:
        """Add a message that is younger than all that were added before."""
        if message.priority == DEFAULT_PRIORITY:
            self._new.append(message)
        else:
            heapq.heappush(self._others, message)
        if not self._full:
            self.pump()

    def put_back(self, message: Message) -> None:
        """Return a delivered message to its place by priority and age, without delivering it."""
        heapq.heappush(self._others, message)

    def attach(self, consume: Consume, prefetch: int, on_closed: Callable[[LocalConsumer], None]) -> LocalConsumer:
        consumer = LocalConsumer(self, consume, prefetch, on_closed)
        self._consumers.append(consumer)
        self.pump()
        return consumer

    def detach(self, consumer: LocalConsumer) -> None:
        self._consumers.remove(consumer)
        for message in list(consumer.unsettled):
            message.redelivered = True
            message.release_sender()
            self.put_back(message)
        consumer.unsettled.clear()
        self.take_back(consumer)
        if not self._consumers and not self.durable:
            for message in (*self._new, *self._others):
                message.release_sender()
            self._new.clear()
            self._others.clear()
            self._on_removed(self)
        self.pump()

    def take_back(self, consumer: LocalConsumer) -> None:
        """Take pinned messages, and keys without unsettled messages, from a consumer that closes or pauses."""
        for key in [key for key, (owner, _) in self._key_owners.items() if owner is consumer]:
            unsettled = sum(message.key == key for message in consumer.unsettled)
            if unsettled:
                # Other consumers may own the key only after this consumer has settled its messages.
                self._key_owners[key] = (consumer, unsettled)
            else:
                del self._key_owners[key]
        for message in consumer.pinned:
            message.release_sender()
            self.put_back(message)
        consumer.pinned.clear()

    def pump(self) -> None:
        """Deliver messages as long as a consumer can take them."""
        self._full = False
        if self._pumping:  # a consumer settled during its call: the loop below continues
            return
        self._pumping = True
        try:
            if self.has_pinned:
                for consumer in [consumer for consumer in self._consumers if consumer.pinned]:
                    consumer.deliver_pinned()
                self.has_pinned = any(consumer.pinned for consumer in self._consumers)
            while not self._full and (self._new or self._others):
                self._deliver_first()
        finally:
            self._pumping = False

    def on_settled(self, message: Message, consumer: LocalConsumer) -> None:
        """Free the key of a message after the last unsettled message with this key."""
        if message.key is None:
            return
        owner, count = self._key_owners.get(message.key, (None, 0))
        if owner is consumer:
            if count > 1:
                self._key_owners[message.key] = (owner, count - 1)
            else:
                del self._key_owners[message.key]

    def expired(self, message: Message) -> bool:
        if message.expires is None or message.expires > self._clock.time():
            return False
        logger.debug("an event in queue %s expired", self.name, extra=log_fields(message.envelope))
        message.release_sender()
        return True

    def _deliver_first(self) -> None:
        """Deliver the first message, or drop it if it has expired, or set `_full` if no consumer can take it."""
        new, others = self._new, self._others
        is_new = not others or (bool(new) and new[0] < others[0])
        message = new[0] if is_new else others[0]
        if message.expires is not None and self.expired(message):
            self._remove_first(is_new)
            return
        if message.key is not None and message.key in self._key_owners:
            consumer, count = self._key_owners[message.key]
        else:
            free = self._free_consumer()
            if free is None:
                self._full = True
                return
            consumer, count = free, 0
        self._remove_first(is_new)
        if message.key is not None:
            self._key_owners[message.key] = (consumer, count + 1)
            if not consumer.free:
                consumer.pinned.append(message)
                self.has_pinned = True
                return
        if len(self._consumers) > 1:  # the next message goes to the next consumer
            self._consumers.rotate(-1)
            consumer.deliver(message)
        else:
            consumer.deliver(message)
            self._full = len(consumer.unsettled) >= consumer.prefetch

    def _remove_first(self, is_new: bool) -> None:
        if is_new:
            self._new.popleft()
        else:
            heapq.heappop(self._others)

    def _free_consumer(self) -> LocalConsumer | None:
        for consumer in self._consumers:
            if consumer.free:
                return consumer
        return None


class LocalConsumer(Consumer):
    """A consumer of a local queue."""

    def __init__(
        self, queue: LocalQueue, consume: Consume, prefetch: int, on_closed: Callable[[LocalConsumer], None]
    ) -> None:
        self._queue, self._consume, self.prefetch, self._on_closed = queue, consume, prefetch, on_closed
        self.unsettled: dict[Message, None] = {}
        #: Messages whose keys this consumer owns and that exceed its prefetch.
        self.pinned: deque[Message] = deque()
        self.paused = self._closed = False

    @property
    def free(self) -> bool:
        return not self.paused and len(self.unsettled) < self.prefetch

    def deliver_pinned(self) -> None:
        while self.pinned and self.free:
            message = self.pinned.popleft()
            if self._queue.expired(message):
                self._queue.on_settled(message, self)
            else:
                self.deliver(message)

    def deliver(self, message: Message) -> None:
        self.unsettled[message] = None
        self._consume(LocalDelivery(self, message))

    def settle(self, message: Message, *, handled: bool) -> None:
        """Settle a delivery: remove its message, or return it to the queue. Does nothing after `close`."""
        if message not in self.unsettled:
            return
        del self.unsettled[message]
        if message.completion is not None:
            message.release_sender()
        if handled and message.key is None and not self.paused:
            self._queue.pump()
            return
        if not handled and message.key is not None and not self.paused:
            # Before the pinned messages of its key, to keep their order.
            message.redelivered = True
            self.pinned.appendleft(message)
            self._queue.has_pinned = True
            self._queue.pump()
            return
        self._queue.on_settled(message, self)
        if self.paused:
            self._queue.take_back(self)
        if handled:
            self._queue.pump()
        else:
            message.redelivered = True
            self._queue.put_back(message)
            self._queue.pump()

    async def pause(self) -> None:
        self.paused = True
        self._queue.take_back(self)
        self._queue.pump()

    async def resume(self) -> None:
        self.paused = False
        self._queue.pump()

    async def close(self) -> None:
        if not self._closed:
            self._closed = self.paused = True
            self._queue.detach(self)
            self._on_closed(self)


class LocalDelivery(Delivery):
    """A message delivered to a local consumer."""

    __slots__ = ("_consumer", "_copy", "_message", "_settled", "received")

    received: Envelope

    def __init__(self, consumer: LocalConsumer, message: Message) -> None:
        self._consumer, self._message = consumer, message
        self.received = message.envelope
        self._copy: Envelope | None = None
        self.redelivered = message.redelivered
        # Kept here and not on the message: after a release, the message may already have another, unsettled delivery.
        self._settled = False

    @property
    def envelope(self) -> Envelope:  # type: ignore[override]
        # A redelivery must not show what the first consumer changed.
        if self._copy is None:
            self._copy = self.received.fork()
        return self._copy

    def replace_headers(self, headers: dict[str, str]) -> None:
        # The envelope of the message is shared.
        self._copy, self.received = None, self.received.fork()
        self.received.headers = headers

    @property
    def stale(self) -> bool:
        return not self._settled and self._message not in self._consumer.unsettled

    def ack(self) -> None:
        if not self._settled:
            self._settled = True
            self._consumer.settle(self._message, handled=True)

    def release(self) -> None:
        if not self._settled:
            self._settled = True
            self._consumer.settle(self._message, handled=False)
