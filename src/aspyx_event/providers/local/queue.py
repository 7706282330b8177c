"""One queue in memory: priorities, expiry, keys, credit, and what is handed out and not settled yet."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable

from ...clock import Clock
from ...envelope import Envelope
from ...log_fields import log_fields
from ..base import Consume, Consumer, Delivery

logger = logging.getLogger("aspyx.event.local")


class Tracker:
    """Tells when all copies of one event are done with."""

    __slots__ = ("_done", "_open")

    def __init__(self, done: asyncio.Future[None]) -> None:
        self._done, self._open = done, 1

    def add(self) -> None:
        self._open += 1

    def close(self) -> None:
        """One copy fewer; also called once when all copies were made."""
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)


#: Priority of a message that was given none.
ORDINARY = 4


class Message:
    """A message in one queue. Sorts by priority, then by age.

    Attributes:
        envelope: Of all copies of the message, in all queues: nobody changes it.
    """

    __slots__ = ("envelope", "expires", "key", "priority", "redelivered", "sequence", "tracker")

    def __init__(
        self,
        envelope: Envelope,
        sequence: int,
        priority: int,
        expires: float | None,
        key: str | None,
        tracker: Tracker | None,
    ) -> None:
        self.envelope, self.sequence, self.priority, self.expires = envelope, sequence, priority, expires
        self.key, self.redelivered, self.tracker = key, False, tracker
        if tracker is not None:
            tracker.add()

    def __lt__(self, other: Message) -> bool:
        if self.priority != other.priority:
            return self.priority > other.priority
        return self.sequence < other.sequence

    def forget_caller(self) -> None:
        """Let whoever waits for this message go on."""
        tracker, self.tracker = self.tracker, None
        if tracker is not None:
            tracker.close()


class LocalQueue:
    """Messages of one subscription, handed to its consumers in turn, as far as their credit goes.

    Args:
        name: Of the queue.
        address: The event it is bound to.
        durable: It stays when its last consumer leaves.
        clock: Tells what has expired.
        removed: Called when the queue vanishes.
    """

    def __init__(
        self, name: str, address: str, durable: bool, clock: Clock, removed: Callable[[LocalQueue], None]
    ) -> None:
        self.name, self.address, self.durable = name, address, durable
        self._clock, self._removed = clock, removed
        #: Messages of ordinary priority that nobody had yet, which are in order as they come; and all others, a heap.
        self._new: deque[Message] = deque()
        self._others: list[Message] = []
        self._consumers: deque[LocalConsumer] = deque()
        #: One of them may have messages of its keys that wait for credit.
        self.pinning = False
        #: Keys under way: whose they are, and how many of their messages are.
        self._owners: dict[str, tuple[LocalConsumer, int]] = {}
        #: No consumer is free; until one is, what comes need not look for one.
        self._pumping = self._full = False

    @property
    def listening(self) -> bool:
        """True if a consumer takes messages now."""
        return any(not consumer.paused for consumer in self._consumers)

    @property
    def depth(self) -> int:
        waiting = len(self._new) + len(self._others)
        return waiting + sum(len(consumer.held) + len(consumer.pinned) for consumer in self._consumers)

    def put(self, message: Message) -> None:
        """Take a message that is younger than all that were put here before."""
        if message.priority == ORDINARY:
            self._new.append(message)
        else:
            heapq.heappush(self._others, message)
        if not self._full:
            self.pump()

    def put_back(self, message: Message) -> None:
        """Take a message that was handed out, to its place by priority and age; without handing out."""
        heapq.heappush(self._others, message)

    def attach(self, consume: Consume, prefetch: int, closed: Callable[[LocalConsumer], None]) -> LocalConsumer:
        consumer = LocalConsumer(self, consume, prefetch, closed)
        self._consumers.append(consumer)
        self.pump()
        return consumer

    def detach(self, consumer: LocalConsumer) -> None:
        self._consumers.remove(consumer)
        for held in list(consumer.held):
            held.redelivered = True
            held.forget_caller()
            self.put_back(held)
        consumer.held.clear()
        self.take_back(consumer)
        if not self._consumers and not self.durable:
            for message in (*self._new, *self._others):
                message.forget_caller()
            self._new.clear()
            self._others.clear()
            self._removed(self)
        self.pump()

    def take_back(self, consumer: LocalConsumer) -> None:
        """Take from a consumer that leaves or pauses what it does not hold, and the keys of which it holds nothing."""
        for key in [key for key, (owner, _) in self._owners.items() if owner is consumer]:
            held = sum(message.key == key for message in consumer.held)
            if held:
                # Others may have the key when this consumer is done with it, and not before.
                self._owners[key] = (consumer, held)
            else:
                del self._owners[key]
        for message in consumer.pinned:
            message.forget_caller()
            self.put_back(message)
        consumer.pinned.clear()

    def pump(self) -> None:
        """Hand out what there is credit for."""
        self._full = False
        if self._pumping:  # a consumer settled inside its call: the loop below goes on
            return
        self._pumping = True
        try:
            if self.pinning:
                for consumer in [consumer for consumer in self._consumers if consumer.pinned]:
                    consumer.take_pinned()
                self.pinning = any(consumer.pinned for consumer in self._consumers)
            while not self._full and (self._new or self._others):
                self._hand_out()
        finally:
            self._pumping = False

    def settled(self, message: Message, consumer: LocalConsumer) -> None:
        """End the bond between a key and its consumer with the last message of it that is under way."""
        if message.key is None:
            return
        owner, count = self._owners.get(message.key, (None, 0))
        if owner is consumer:
            if count > 1:
                self._owners[message.key] = (owner, count - 1)
            else:
                del self._owners[message.key]

    def expired(self, message: Message) -> bool:
        if message.expires is None or message.expires > self._clock.time():
            return False
        logger.debug("an event in queue %s expired", self.name, extra=log_fields(message.envelope))
        message.forget_caller()
        return True

    def _hand_out(self) -> None:
        """Hand out the first message, or drop it where it has expired; or note that it has to wait for credit."""
        new, others = self._new, self._others
        is_new = not others or (bool(new) and new[0] < others[0])
        message = new[0] if is_new else others[0]
        if message.expires is not None and self.expired(message):
            self._drop_first(is_new)
            return
        if message.key is not None and message.key in self._owners:
            consumer, count = self._owners[message.key]
        else:
            free = self._free_consumer()
            if free is None:
                self._full = True
                return
            consumer, count = free, 0
        self._drop_first(is_new)
        if message.key is not None:
            self._owners[message.key] = (consumer, count + 1)
            if not consumer.free:
                consumer.pinned.append(message)
                self.pinning = True
                return
        if len(self._consumers) > 1:  # the next message goes to the next consumer
            self._consumers.rotate(-1)
            consumer.deliver(message)
        else:
            consumer.deliver(message)
            self._full = len(consumer.held) >= consumer.prefetch

    def _drop_first(self, is_new: bool) -> None:
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
        self, queue: LocalQueue, consume: Consume, prefetch: int, closed: Callable[[LocalConsumer], None]
    ) -> None:
        self._queue, self._consume, self.prefetch, self._on_close = queue, consume, prefetch, closed
        self.held: dict[Message, None] = {}
        #: Messages of keys that are ours, waiting for credit.
        self.pinned: deque[Message] = deque()
        self.paused = self._closed = False

    @property
    def free(self) -> bool:
        return not self.paused and len(self.held) < self.prefetch

    def take_pinned(self) -> None:
        while self.pinned and self.free:
            message = self.pinned.popleft()
            if self._queue.expired(message):
                self._queue.settled(message, self)
            else:
                self.deliver(message)

    def deliver(self, message: Message) -> None:
        self.held[message] = None
        self._consume(LocalDelivery(self, message))

    def settle(self, message: Message, *, done: bool) -> None:
        """Take back a delivery; after the consumer closed this does nothing."""
        if message not in self.held:
            return
        del self.held[message]
        if message.tracker is not None:
            message.forget_caller()
        if done and message.key is None and not self.paused:
            self._queue.pump()
            return
        if not done and message.key is not None and not self.paused:
            # In front of the messages of its key that wait here for credit.
            message.redelivered = True
            self.pinned.appendleft(message)
            self._queue.pinning = True
            self._queue.pump()
            return
        self._queue.settled(message, self)
        if self.paused:
            self._queue.take_back(self)
        if done:
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
            self._on_close(self)


class LocalDelivery(Delivery):
    """A message handed to a local consumer."""

    __slots__ = ("_consumer", "_copy", "_message", "_settled", "received")

    received: Envelope

    def __init__(self, consumer: LocalConsumer, message: Message) -> None:
        self._consumer, self._message = consumer, message
        self.received = message.envelope
        self._copy: Envelope | None = None
        self.redelivered = message.redelivered
        # A released message may be in our hands again: what is said of this delivery must not settle the next one.
        self._settled = False

    @property
    def envelope(self) -> Envelope:  # type: ignore[override]
        # A second delivery of the message must not see what the first consumer did to it.
        if self._copy is None:
            self._copy = self.received.fork()
        return self._copy

    def ack(self) -> None:
        if not self._settled:
            self._settled = True
            self._consumer.settle(self._message, done=True)

    def release(self) -> None:
        if not self._settled:
            self._settled = True
            self._consumer.settle(self._message, done=False)
