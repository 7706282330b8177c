"""`LocalBroker`: addresses and their queues in memory, the part of the local provider that outlives its consumers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from functools import partial

from ...clock import Clock, SystemClock
from ...envelope import Envelope
from ...exceptions import NoRouteError, QueueClashError, StateError
from ...names import is_pattern, pattern_matches
from ...safe_logger import SafeLogger
from ..base import AddressKind, Binding, Outgoing
from .queue import DEFAULT_PRIORITY, Completion, LocalQueue, Message

logger = SafeLogger(logging.getLogger("aspyx.event.local"))
_MAX_ROUTES = 4096


class LocalBroker:
    """Queues in memory, with the rules of a broker. Used on a single event loop.

    Providers that share a broker see each other's events, like processes that share a real broker: give each its own
    `server_name`. Durable queues outlive the stop of a provider; everything is lost when the process ends.

    Args:
        clock: Times delays and expiry.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        #: See `Provider.signing_key`.
        self.signing_key = os.urandom(32)
        self._queues: dict[str, LocalQueue] = {}
        self._addresses: dict[str, dict[str, LocalQueue]] = {}
        #: The queues that receive messages of an address; filled at its first message.
        self._routes: dict[str, tuple[LocalQueue, ...]] = {}
        self._exclusive_queues = self._sequence = self._delayed_number = 0
        #: Delayed messages: due time, message and content.
        self._delayed: dict[int, tuple[float, Outgoing, Envelope]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._providers = 0

    @property
    def delayed(self) -> int:
        """The number of delayed messages that are not due yet."""
        return len(self._delayed)

    def add_provider(self) -> None:
        """Count a provider that is started; each ends with `remove_provider`.

        Raises:
            StateError: providers of another event loop use the queues.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._providers and self._loop is not None and not self._loop.is_closed():
                raise StateError(
                    "this LocalBroker is in use on another event loop; queues in memory belong to a single loop at a time: "
                    "stop the managers there first, or give this manager a broker of its own"
                )
            self._loop, self._providers = loop, 0
            # The timers belonged to the previous loop.
            for number, (due, _, _) in list(self._delayed.items()):
                self.clock.call_later(max(0.0, due - self.clock.time()), partial(self._on_due, number))
        self._providers += 1

    def remove_provider(self) -> None:
        """A provider is stopped."""
        self._providers -= 1

    def queues(self, address: str | None = None) -> list[str]:
        """Return the names of the queues of an address, or of all."""
        return list(self._queues if address is None else self._addresses.get(address, {}))

    def depth(self, queue: str) -> int:
        """Return the number of unsettled messages in a queue; 0 for a queue that does not exist."""
        return self._queues[queue].depth if queue in self._queues else 0

    def declare(self, binding: Binding) -> LocalQueue:
        """Return the queue of a binding; create it if it is missing.

        Raises:
            QueueClashError: a queue of that name belongs to another address.
        """
        name = binding.queue
        if binding.kind is AddressKind.QUEUE:
            name = binding.address
        if name is None:
            self._exclusive_queues += 1
            name = f"{binding.address}:temporary-{self._exclusive_queues}"
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

    def publish(self, message: Outgoing, envelope: Envelope, handled: asyncio.Future[None] | None) -> None:
        """Put a message into the queues of its address.

        Args:
            message: Address and options.
            envelope: The content; not changed afterwards.
            handled: None unless the sender waits for the handlers. Done when all of them are done, or at once for a
                delayed message.

        Raises:
            NoRouteError: the message requires a route and no queue is bound to its address.
        """
        if message.kind is AddressKind.QUEUE:
            self.declare(Binding(address=message.address, queue=message.address, kind=AddressKind.QUEUE, durable=True))
        options = message.options
        if options.require_route and not self._bound_queues(message):
            raise NoRouteError(f"event {message.address!r}: no listener's queue is bound to it")
        if options.delay > 0:
            self._delayed_number += 1
            self._delayed[self._delayed_number] = (self.clock.time() + options.delay, message, envelope)
            self.clock.call_later(options.delay, partial(self._on_due, self._delayed_number))
            if handled is not None:
                handled.set_result(None)
        else:
            self._route(message, envelope, handled)

    def _on_due(self, number: int) -> None:
        delayed = self._delayed.pop(number, None)
        if delayed is not None:  # a timer of the previous loop may fire too
            _, message, envelope = delayed
            self._route(message, envelope, None)

    def _route(self, message: Outgoing, envelope: Envelope, handled: asyncio.Future[None] | None) -> None:
        completion = None if handled is None else Completion(handled)
        options = message.options
        expires = None if options.ttl is None else self.clock.time() + options.ttl - options.delay
        priority = DEFAULT_PRIORITY if options.priority is None else options.priority
        for queue in self._bound_queues(message) if message.only is None else self._single_queue(message.only):
            self._sequence += 1
            # A queue without an active consumer may hold the event for long: the sender does not wait for it.
            awaited = completion if completion is not None and queue.has_active_consumer else None
            queue.put(Message(envelope, self._sequence, priority, expires, options.key, awaited))
        if completion is not None:
            completion.finish()

    def _single_queue(self, binding: Binding) -> Sequence[LocalQueue]:
        return () if binding.queue is None else [self.declare(binding)]

    def _bound_queues(self, message: Outgoing) -> tuple[LocalQueue, ...]:
        """Return the queues that receive every message of its address: those of the address and of matching patterns."""
        address = message.address
        route = self._routes.get(address)
        if route is None:
            queues = dict(self._addresses.get(address, {}))
            if message.kind is AddressKind.TOPIC:
                for pattern, bound in self._addresses.items():
                    if is_pattern(pattern) and pattern_matches(pattern, address):
                        queues.update(bound)
            if len(self._routes) >= _MAX_ROUTES:  # a sender may invent addresses
                self._routes.clear()
            route = self._routes[address] = tuple(queues.values())
        return route

    def _remove(self, queue: LocalQueue) -> None:
        self._queues.pop(queue.name, None)
        bound = self._addresses.get(queue.address, {})
        bound.pop(queue.name, None)
        self._routes.clear()
        if not bound:
            self._addresses.pop(queue.address, None)
