"""A manager's memory of events: what it sends is stored, and what is stored is handed out again."""

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
from ...providers.base import Binding, Provider
from ...registry import EventRegistry
from ..failure.republish import replay_copy, time_left
from ..sending.observed import watched
from ..sending.publisher import Publisher
from ..sending.recorder import EventRecorder
from ..subscribing.subscriptions import Subscription, SubscriptionRegistry

logger = logging.getLogger("aspyx.event.store")
Events = AsyncIterable[StoredEvent] | Iterable[StoredEvent]
Progress = Callable[[int], None]
#: Events handed out whose confirmation is awaited.
_WINDOW = 200


class Replayer:
    """What a manager does with its store. Runs on the manager's loop.

    Args:
        store: None where the manager has none.
        recorder: Stores each event that is sent; None where they are not stored.
        publisher: Hands an event to the provider.
        provider: Takes what is replayed.
        subscriptions: Those that it may be replayed to.
        events: The events that the manager knows.
        observer: Told of each replay.
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
            DeclarationError: there is none.
        """
        if self._store is None:
            raise DeclarationError(
                "this event manager has no store; give it one: EventManager(..., store=SqlEventStore())"
            )
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
        """Bring what was sent to the provider, *timeout* seconds at most; take nothing more."""
        if self._recorder is not None:
            await self._recorder.drain(timeout)

    async def stop(self, timeout: float) -> None:
        """Note what the provider confirmed at last, *timeout* seconds at most, and close the store."""
        if self._recorder is not None:
            await self._recorder.close(timeout)
        if self._store is not None:
            try:
                await self._store.stop()
            except Exception:  # the rest of the manager is to be stopped too
                logger.exception("closing the event store failed")

    async def replay(
        self, events: Events, to: Subscription | str, rate: float | None, progress: Progress | None, wait_handled: bool
    ) -> int:
        """Hand *events* to one subscription; see `StoredEvents.replay`."""
        subscription, run = self._target(to), str(uuid4())

        def hand_over(stored: StoredEvent) -> asyncio.Future[None]:
            binding = _queue_for(stored, subscription)
            copy = replay_copy(stored.body, stored.headers, stored.id, binding, run=run)
            copy.wait_handled = wait_handled
            finish = None
            if self._observer is not None:
                finish = self._observer.replaying(copy.envelope, subscription.descriptor, stored.id)
            return watched(lambda: self._provider.publish(copy), finish)

        return await _hand_out(_each(events), hand_over, rate, progress)

    async def send_unpublished(self, older_than: float, rate: float | None, progress: Progress | None) -> int:
        """Send what is in the store and was not; see `StoredEvents.send_unpublished`."""
        store = self.store
        made_before = datetime.now(timezone.utc) - timedelta(seconds=older_than)
        waiting = self._still_waiting(store.find(status=EventStatus.UNPUBLISHED, until=made_before))
        sent: list[str] = []
        try:
            return await _hand_out(waiting, self._send_again, rate, progress, sent.append)
        finally:
            await store.set_status(sent, EventStatus.PUBLISHED)

    async def _still_waiting(self, found: AsyncIterable[StoredEvent]) -> AsyncIterator[StoredEvent]:
        async for stored in found:
            if self._recorder is not None and self._recorder.is_under_way(stored.id):
                continue
            # A page is read ahead, and meanwhile the event may have gone its way.
            try:
                now = await self.store.read(stored.id)
            except UnknownStoredEventError:
                continue
            if now.status is EventStatus.UNPUBLISHED:
                yield now

    def _send_again(self, stored: StoredEvent) -> asyncio.Future[None]:
        known, options, now = self._events.find(stored.type), stored.options, self._provider.clock.time()
        address, durable = stored.address or stored.type, bool(options.get("durable"))
        # Its class may be of another program, or not be in use here yet.
        descriptor = EventDescriptor(known.type if known is not None else object, address, durable=durable)
        # Interceptors saw it before it was stored. Its id lets the broker drop it if it was there before.
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
        found = self._subscriptions.get(to)
        if found is None and isinstance(to, str):
            alike = [one for one in self._subscriptions if to in (one.name, f"{one.event_name}.{one.name}")]
            if len(alike) > 1:
                full = ", ".join(f"{one.event_name}.{one.name}" for one in alike)
                raise DeclarationError(f"several subscriptions are called {to!r}: {full}")
            found = alike[0] if alike else None
        if found is None:
            known = ", ".join(sorted({one.name for one in self._subscriptions})) or "none"
            raise DeclarationError(f"replay(to={to!r}): this manager has no such subscription; it has: {known}")
        return found


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
    """Return the queue of a subscription into which an event of this type, or of this topic, is put.

    Raises:
        DeclarationError: there is none.
    """
    queues = {one.address: one for one in subscription.consumer.bindings}
    for source in subscription.descriptor.routes:
        named = source.topic is not None and any(one.name == stored.type for one in source.events)
        if named or source.takes(stored.type):
            found = queues[source.address]
            if found.queue is None:
                raise DeclarationError(
                    f"listener {subscription.name!r} is per_process: its queue has no name to which an event could be sent"
                )
            return found
    raise DeclarationError(
        f"event {stored.type!r} (id {stored.id}) cannot be replayed to {subscription.name!r}, which listens to "
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
    confirmed: Callable[[str], object] | None = None,
) -> int:
    """Hand *events* over in their order, *rate* a second at most; return how many were confirmed.

    Raises:
        DeclarationError: an event does not fit, or the rate is not a number > 0.
        ProviderError: an event was not taken. Those before it were, and those handed over meanwhile may have been.
    """
    if rate is not None and not rate > 0:
        raise DeclarationError(f"rate={rate!r} is neither a number of events a second > 0 nor None")
    window: deque[tuple[str, asyncio.Future[None]]] = deque()
    loop, done = asyncio.get_running_loop(), 0
    due = loop.time()

    async def take(least: int) -> None:
        nonlocal done
        while len(window) > least:
            event_id, future = window.popleft()
            await future
            done += 1
            if confirmed is not None:
                confirmed(event_id)
            if progress is not None:
                progress(done)

    try:
        async for stored in events:
            window.append((stored.id, hand_over(stored)))
            # What is slow is to be told of as it goes; of what is fast the broker confirms many at once.
            await take(_WINDOW if rate is None else 0)
            if rate is not None:
                due = max(due + 1 / rate, loop.time())
                await asyncio.sleep(due - loop.time())
        await take(0)
    except Exception:
        while window:
            try:
                await take(0)
            except Exception as error:  # noqa: BLE001  the first one is raised
                logger.warning("a further event was not handed out: %s", error)
        raise
    finally:
        for _, future in window:  # cancelled: nobody asks for these any more
            future.add_done_callback(_forget)
    return done


def _forget(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
