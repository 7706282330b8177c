"""Replays stored events, and sends those that a crash left unpublished."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from ...database.base import EventStore
from ...database.stored_event import EventStatus, StoredEvent
from ...envelope import CE_KEY, Envelope, SendOptions
from ...events import EventDescriptor
from ...exceptions import DeclarationError, UnknownStoredEventError
from ...observer import Observer
from ...printable import printable
from ...providers.base import Binding, Provider
from ...registry import EventRegistry
from ...safe_logger import SafeLogger
from ..failure.republish import replay_copy, time_left
from ..failure.signature import signed, without_framework_headers
from ..sending.observed import watched
from ..sending.publisher import Publisher
from ..sending.recorder import EventRecorder
from ..subscribing.subscriptions import Subscription, SubscriptionRegistry

logger = SafeLogger(logging.getLogger("aspyx.event.store"))
Events = AsyncIterable[StoredEvent] | Iterable[StoredEvent]
Progress = Callable[[int], None]
#: Events handed out whose confirmation is awaited.
_WINDOW = 200


class Replayer:
    """Hands stored events to subscriptions or to the provider. Opens and closes the store. Runs on the manager's loop.

    Args:
        store: None if the manager has no store.
        recorder: Stores each event that is sent; None if sent events are not stored.
        publisher: Hands an event to the provider.
        provider: Publishes replayed events.
        subscriptions: The possible targets of a replay.
        events: The event types that the manager knows.
        observer: Notified of each replay.
    """

    def __init__(
        self,
        store: EventStore | None,
        recorder: EventRecorder | None,
        publisher: Publisher,
        provider: Provider,
        subscriptions: SubscriptionRegistry,
        events: EventRegistry,
        observer: Observer | None,
    ) -> None:
        self._store, self._recorder, self._publisher, self._provider = store, recorder, publisher, provider
        self._subscriptions, self._events, self._observer = subscriptions, events, observer

    @property
    def store(self) -> EventStore:
        """The store.

        Raises:
            DeclarationError: the manager has none.
        """
        if self._store is None:
            raise DeclarationError("this event manager has no store; write EventManager(..., store=SqlEventStore())")
        return self._store

    async def start(self) -> None:
        """Open the store.

        Raises:
            EventStoreError: it cannot be opened.
        """
        if self._store is not None:
            await self._store.start()
        if self._recorder is not None:
            self._recorder.open()

    async def drain(self, timeout: float) -> None:
        """Hand recorded events to the provider, for *timeout* seconds at most; record no more events."""
        if self._recorder is not None:
            await self._recorder.drain(timeout)

    async def stop(self, timeout: float) -> None:
        """Mark the last confirmed events as published, for *timeout* seconds at most, and close the store."""
        if self._recorder is not None:
            await self._recorder.close(timeout)
        if self._store is not None:
            try:
                await self._store.stop()
            except Exception:  # the other parts of the manager must be stopped too
                logger.exception("closing the event store failed")

    async def replay(
        self, events: Events, to: Subscription | str, rate: float | None, progress: Progress | None, wait_handled: bool
    ) -> int:
        """Hand *events* to a subscription; see `StoredEvents.replay`."""
        subscription, run = self._target(to), str(uuid4())

        def hand_over(stored: StoredEvent) -> asyncio.Future[None]:
            binding = _queue_for(stored, subscription)
            # An interceptor may have stored the headers of another event; the signature must not confirm them.
            headers = without_framework_headers(stored.headers)
            copy = replay_copy(stored.body, headers, stored.id, binding, run=run, wait_handled=wait_handled)
            copy = signed(self._provider, copy)
            finish = None
            if self._observer is not None:
                finish = self._observer.replaying(copy.envelope, subscription.descriptor, stored.id)
            return watched(lambda: self._provider.publish(copy), finish)

        return await _hand_out(_each(events), hand_over, rate, progress)

    async def send_unpublished(self, older_than: float, rate: float | None, progress: Progress | None) -> int:
        """Send the events that are in the store as unpublished; see `StoredEvents.send_unpublished`."""
        store = self.store
        created_before = datetime.now(timezone.utc) - timedelta(seconds=older_than)
        waiting = self._still_unpublished(store.find(status=EventStatus.UNPUBLISHED, until=created_before))
        sent: list[str] = []
        try:
            return await _hand_out(waiting, self._send_again, rate, progress, sent.append)
        finally:
            await store.set_status(sent, EventStatus.PUBLISHED)

    async def _still_unpublished(self, events: AsyncIterable[StoredEvent]) -> AsyncIterator[StoredEvent]:
        async for stored in events:
            if self._recorder is not None and self._recorder.is_in_progress(stored.id):
                continue
            # Pages are read ahead: meanwhile the event may have been sent or deleted.
            try:
                now = await self.store.read(stored.id)
            except UnknownStoredEventError:
                continue
            if now.status is EventStatus.UNPUBLISHED:
                yield now

    def _send_again(self, stored: StoredEvent) -> asyncio.Future[None]:
        known, options, now = self._events.find(stored.type), stored.options, self._provider.clock.time()
        address, durable = stored.address or stored.type, bool(options.get("durable"))
        # Its class may belong to another program, or not be in use here yet.
        descriptor = EventDescriptor(known.type if known is not None else object, address, durable=durable)
        # Interceptors ran before it was stored. The id lets the broker drop a second copy.
        envelope = Envelope(stored.body, dict(stored.headers))
        envelope.dedup_id = stored.id
        age = (datetime.now(timezone.utc) - stored.time).total_seconds()
        envelope.options = SendOptions(
            key=stored.headers.get(CE_KEY) or None,
            delay=max(0.0, options.get("delay", 0.0) - max(age, 0.0)),
            ttl=time_left(stored.headers, now),
            priority=int(options["priority"]) if "priority" in options else None,
        )
        return self._publisher.send(envelope, descriptor)

    def _target(self, to: Subscription | str) -> Subscription:
        target = self._subscriptions.get(to)
        if target is None and isinstance(to, str):
            named = {f"{candidate.event_name}.{candidate.name}": candidate for candidate in self._subscriptions}
            matches = [full_name for full_name, candidate in named.items() if to in (candidate.name, full_name)]
            if len(matches) > 1:
                raise DeclarationError(f"several subscriptions are called {to!r}: {', '.join(matches)}")
            target = named[matches[0]] if matches else None
        if target is None:
            known = ", ".join(sorted({candidate.name for candidate in self._subscriptions})) or "none"
            raise DeclarationError(f"replay(to={to!r}): this manager has no such subscription; it has: {known}")
        return target


def check_store(store: EventStore | None, persist: bool) -> None:
    """Check the arguments of a manager that concern its store.

    Raises:
        DeclarationError: events are to be stored, and there is no store; or it is not an `EventStore`.
    """
    if store is not None and not isinstance(store, EventStore):
        raise DeclarationError(f"EventManager(store={store!r}): the store does not derive from EventStore")
    if persist and store is None:
        raise DeclarationError("EventManager(persist=True): say where to, for example store=SqlEventStore()")


def _queue_for(stored: StoredEvent, subscription: Subscription) -> Binding:
    """Return the queue through which a subscription gets events of this type, or of this topic.

    Raises:
        DeclarationError: it has no such queue.
    """
    queues = {binding.address: binding for binding in subscription.consumer.bindings}
    for route in subscription.descriptor.routes:
        in_topic = route.topic is not None and any(event.name == stored.type for event in route.events)
        if in_topic or route.takes(stored.type):
            binding = queues[route.address]
            if binding.queue is None:
                raise DeclarationError(
                    f"listener {subscription.name!r} is per_process: its queue has no name to which an event could be sent"
                )
            return binding
    raise DeclarationError(
        f"event {stored.type!r} (id {printable(stored.id)}) cannot be replayed to {subscription.name!r}, which listens to "
        f"{subscription.event_name!r}; find(type=...) leaves others out"
    )


async def _each(events: Events) -> AsyncIterator[StoredEvent]:
    if isinstance(events, AsyncIterable):
        async for event in events:
            yield event
    else:
        for event in events:
            yield event


async def _hand_out(
    events: AsyncIterator[StoredEvent],
    hand_over: Callable[[StoredEvent], asyncio.Future[None]],
    rate: float | None,
    progress: Progress | None,
    on_confirmed: Callable[[str], object] | None = None,
) -> int:
    """Hand *events* over in their order, *rate* per second at most; return how many were confirmed.

    Raises:
        DeclarationError: an event does not fit, or the rate is not a number > 0.
        ProviderError: an event was not accepted. The events before it were, and those in the window may have been.
    """
    if rate is not None and not rate > 0:
        raise DeclarationError(f"rate={rate!r} is neither a number of events a second > 0 nor None")
    window = _Window(progress, on_confirmed)
    loop = asyncio.get_running_loop()
    due = loop.time()
    try:
        async for stored in events:
            window.add(stored.id, hand_over(stored))
            # A slow replay reports each event; in a fast replay the broker confirms many at once.
            await window.shrink(_WINDOW if rate is None else 0)
            if rate is not None:
                due = max(due + 1 / rate, loop.time())
                await asyncio.sleep(due - loop.time())
        await window.shrink(0)
    except Exception:
        await window.settle_rest()
        raise
    finally:
        window.abandon()
    return window.confirmed


class _Window:
    """Events that were handed over and are not confirmed yet, oldest first."""

    def __init__(self, progress: Progress | None, on_confirmed: Callable[[str], object] | None) -> None:
        self._progress, self._on_confirmed = progress, on_confirmed
        self._pending: deque[tuple[str, asyncio.Future[None]]] = deque()
        self.confirmed = 0

    def add(self, event_id: str, future: asyncio.Future[None]) -> None:
        self._pending.append((event_id, future))

    async def shrink(self, size: int) -> None:
        """Wait for confirmations, oldest first, until at most *size* events are pending."""
        while len(self._pending) > size:
            event_id, future = self._pending.popleft()
            await future
            self.confirmed += 1
            if self._on_confirmed is not None:
                self._on_confirmed(event_id)
            if self._progress is not None:
                self._progress(self.confirmed)

    async def settle_rest(self) -> None:
        """Wait for the pending events after a failure; log further failures, since the first is raised."""
        while self._pending:
            try:
                await self.shrink(0)
            except Exception as error:  # noqa: BLE001  the first error is raised
                logger.warning("a further event was not handed out: %s", error)

    def abandon(self) -> None:
        """Ignore the outcome of pending events, after a cancellation."""
        for _, future in self._pending:
            future.add_done_callback(_retrieve)


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
