"""Addresses and what lies in their queues: the part of the local provider that outlives its consumers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from ...clock import Clock, SystemClock
from ...envelope import Envelope
from ...exceptions import NoRouteError, QueueClashError, StateError
from ...names import is_pattern, pattern_matches
from ..base import AddressKind, Binding, Outgoing
from .queue import ORDINARY, LocalQueue, Message, Tracker

logger = logging.getLogger("aspyx.event.local")
_ROUTES = 4096


class LocalBroker:
    """Queues in memory, with the rules of a broker. One event loop uses it.

    Providers that share a broker see each other's events, like processes that share a real one: give each its own
    `server_name`. It keeps durable queues when providers stop, and forgets everything when the process ends.

    Args:
        clock: Times delays and expiry.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self._queues: dict[str, LocalQueue] = {}
        self._addresses: dict[str, dict[str, LocalQueue]] = {}
        #: The queues of addresses that were sent to.
        self._routes: dict[str, tuple[LocalQueue, ...]] = {}
        self._temporary = self._sequence = self._number = 0
        #: Messages that wait for their time: when that is, and what is due.
        self._later: dict[int, tuple[float, Outgoing, Envelope]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0

    @property
    def delayed(self) -> int:
        """Messages that wait for their time."""
        return len(self._later)

    def join(self) -> None:
        """Take one more provider that is started; each ends with `leave`.

        Raises:
            StateError: providers of another event loop use the queues.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._users and self._loop is not None and not self._loop.is_closed():
                raise StateError(
                    "this LocalBroker is in use on another event loop; queues in memory belong to one loop at a time: "
                    "stop the managers there first, or give this one a broker of its own"
                )
            self._loop, self._users = loop, 0
            # Their timers were those of the loop before.
            for number, (due, _, _) in list(self._later.items()):
                self.clock.call_later(max(0.0, due - self.clock.time()), partial(self._due, number))
        self._users += 1

    def leave(self) -> None:
        """A provider is stopped."""
        self._users -= 1

    def queues(self, address: str | None = None) -> list[str]:
        """Return the names of the queues of an address, or of all."""
        return list(self._queues if address is None else self._addresses.get(address, {}))

    def depth(self, queue: str) -> int:
        """Return the messages in a queue that are not settled; 0 for a queue that is not there."""
        return self._queues[queue].depth if queue in self._queues else 0

    def declare(self, binding: Binding) -> LocalQueue:
        """Return the queue of a binding, made if it is missing.

        Raises:
            QueueClashError: a queue of that name belongs to another address.
        """
        name = binding.queue
        if binding.kind is AddressKind.QUEUE:
            name = binding.address
        if name is None:
            self._temporary += 1
            name = f"{binding.address}:temporary-{self._temporary}"
        queue = self._queues.get(name)
        if queue is None:
            durable = binding.durable or binding.kind is AddressKind.QUEUE
            queue = LocalQueue(name, binding.address, durable, self.clock, self._remove)
            self._queues[name] = self._addresses.setdefault(binding.address, {})[name] = queue
            self._routes.clear()
        elif queue.address != binding.address:
            raise QueueClashError(
                f"the queue {name!r} belongs to the event {queue.address!r} and cannot serve {binding.address!r}; give "
                "the listener another name=, or the provider queue_naming=QueueNaming.QUALIFIED"
            )
        return queue

    def publish(self, message: Outgoing, envelope: Envelope, done: asyncio.Future[None] | None) -> None:
        """Put a message into the queues of its address.

        Args:
            message: Where to, and how.
            envelope: Its content, which nobody changes any more.
            done: For a message whose sender waits until it is handled: told of that, or that it waits for its time.

        Raises:
            NoRouteError: there is no queue, and the message requires one.
        """
        if message.kind is AddressKind.QUEUE:
            self.declare(Binding(address=message.address, queue=message.address, kind=AddressKind.QUEUE, durable=True))
        if message.require_route and not self._bound(message):
            raise NoRouteError(f"event {message.address!r}: no listener's queue is bound to it")
        if message.delay > 0:
            self._number += 1
            self._later[self._number] = (self.clock.time() + message.delay, message, envelope)
            self.clock.call_later(message.delay, partial(self._due, self._number))
            if done is not None:
                done.set_result(None)
        else:
            self._route(message, envelope, done)

    def _due(self, number: int) -> None:
        found = self._later.pop(number, None)
        if found is not None:  # a timer of a loop before may come too
            self._route(found[1], found[2], None)

    def _route(self, message: Outgoing, envelope: Envelope, done: asyncio.Future[None] | None) -> None:
        tracker = None if done is None else Tracker(done)
        expires = None if message.ttl is None else self.clock.time() + message.ttl - message.delay
        priority = ORDINARY if message.priority is None else message.priority
        for queue in self._bound(message) if message.only is None else self._only(message.only):
            self._sequence += 1
            # A queue whose listener is away or paused may hold the event for long: nobody waits for that.
            watched = tracker if tracker is not None and queue.listening else None
            queue.put(Message(envelope, self._sequence, priority, expires, message.key, watched))
        if tracker is not None:
            tracker.close()

    def _only(self, binding: Binding) -> Sequence[LocalQueue]:
        return () if binding.queue is None else [self.declare(binding)]

    def _bound(self, message: Outgoing) -> tuple[LocalQueue, ...]:
        """Return the queues that get every message of its address: those of the address and of patterns that fit."""
        address = message.address
        found = self._routes.get(address)
        if found is None:
            queues = dict(self._addresses.get(address, {}))
            if message.kind is AddressKind.TOPIC:
                for pattern, bound in self._addresses.items():
                    if is_pattern(pattern) and pattern_matches(pattern, address):
                        queues.update(bound)
            if len(self._routes) >= _ROUTES:  # names may be made up by whoever sends
                self._routes.clear()
            found = self._routes[address] = tuple(queues.values())
        return found

    def _remove(self, queue: LocalQueue) -> None:
        self._queues.pop(queue.name, None)
        bound = self._addresses.get(queue.address, {})
        bound.pop(queue.name, None)
        self._routes.clear()
        if not bound:
            self._addresses.pop(queue.address, None)
