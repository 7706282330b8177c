"""One event bound to one listener or handler at run time, and all of them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Hashable, Iterator
from operator import attrgetter
from typing import Any
from uuid import uuid4

from ..envelope import CE_KEY
from ..events import EventDescriptor
from ..exceptions import CodecError, DeclarationError, QueueClashError, UnsupportedError
from ..listeners import EventListenerDescriptor
from ..log_fields import log_fields
from ..policies import QueueNaming, RetryMode
from ..providers.base import Binding, Consumer, Delivery, Provider
from .concurrency import Lanes
from .dispatch import Dispatcher, SubscriptionStats
from .invocation import Invoke
from .receipts import Operation

logger = logging.getLogger("aspyx.event")
_DEFAULT_PREFETCH = 100
#: Lane of the events whose key cannot be had: one after the other, so that no order is lost.
_NO_KEY = object()
#: Runs work on the manager's loop.
Control = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Operation[Any]]


def queue_name(descriptor: EventListenerDescriptor, provider: Provider) -> str | None:
    """Return the queue of a listener, None for one that belongs to this process alone and vanishes with it.

    Raises:
        DeclarationError: a resumable listener per process, and the provider has no server name.
    """
    if descriptor.per_process and not descriptor.options.resumable:
        return None
    name = descriptor.group or descriptor.name
    if descriptor.qualified or provider.queue_naming is QueueNaming.QUALIFIED:
        name = f"{descriptor.event.name}.{name}"
    if descriptor.per_process:
        if not provider.server_name:
            raise DeclarationError(
                f"listener {descriptor.name!r} is per_process and resumable: its queue is named after the server, give "
                f"the {provider.name} provider a server_name"
            )
        name += f"-{provider.server_name}"
    return name


def binding_of(descriptor: EventListenerDescriptor, provider: Provider) -> Binding:
    """Return what a subscription asks of its provider.

    Raises:
        UnsupportedError: the provider cannot give it.
    """
    options = descriptor.options
    queue = queue_name(descriptor, provider)
    delayed = options.retry is not None and options.retry.mode is RetryMode.DELAYED
    if delayed and queue is None:
        raise DeclarationError(
            f"listener {descriptor.name!r} is per_process: its queue has no name to which an event could go back later; "
            "use Retry(mode='in-order'), or resumable=True"
        )
    durable = queue is not None and (descriptor.event.durable or options.resumable)
    for needed, offered, what in (
        (delayed, provider.capabilities.delay, "delivery at a later time (retry mode delayed)"),
        (durable, provider.capabilities.durable, "a queue that outlives its listener (durable or resumable)"),
        (queue is None, provider.capabilities.per_process, "a queue per process (per_process)"),
        (queue is not None, provider.capabilities.competing, "a queue shared by several processes"),
    ):
        if needed and not offered:
            raise UnsupportedError(
                f"listener {descriptor.name!r} needs {what}, which the {provider.name} provider does not offer"
            )
    return Binding(
        address=descriptor.event.name,
        queue=queue,
        durable=durable,
        prefetch=options.prefetch or max(_DEFAULT_PREFETCH, 2 * options.concurrency),
        label=descriptor.name,
    )


def lane_key(descriptor: EventListenerDescriptor, invoke: Invoke) -> Callable[[Delivery], Hashable | None] | None:
    """Return what gives a delivery its lane: `order_by`, else the partition key it travelled with."""
    order_by = descriptor.options.order_by
    if order_by is None:
        return lambda delivery: delivery.received.headers.get(CE_KEY)
    value_of = attrgetter(order_by) if isinstance(order_by, str) else order_by

    def key_of(delivery: Delivery) -> Hashable | None:
        envelope = delivery.received
        try:
            event = envelope.event if envelope.event is not None else invoke.decode(envelope, descriptor.event)
        except CodecError:
            return None  # the delivery fails on its ordinary path, where the reason is reported
        try:
            value = value_of(event)
        except Exception:  # whatever the user's function raises must not reach the provider
            logger.exception(
                "listener %r: order_by failed: the event waits for others like it",
                descriptor.name,
                extra=log_fields(envelope, descriptor.name),
            )
            return _NO_KEY
        return value if _hashable(value) else repr(value)

    return key_of


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:  # also what is in a tuple counts
        return False
    return True


def default_name(callback: Callable[..., Any], event: EventDescriptor, taken: SubscriptionBag) -> str:
    """Return the name of a subscription that was given none: the function's name, numbered if it is in use.

    Raises:
        DeclarationError: the event is durable, its queue would stay, and the function has no name of its own.
    """
    name = getattr(callback, "__name__", type(callback).__name__)
    if name == "<lambda>":
        if event.durable:
            raise DeclarationError(
                f"event {event.name!r} is durable: its queue outlives the program, so a lambda needs a name=..."
            )
        name = "lambda"
    used = {one.name for one in taken.of(event.name)}
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


class Subscription:
    """One event bound to one listener or handler. Await it to know that the provider has attached its queue.

    Attributes:
        id: Unique in the process.
        descriptor: The event, the listener and all options.
    """

    def __init__(
        self,
        descriptor: EventListenerDescriptor,
        binding: Binding,
        dispatcher: Dispatcher,
        control: Control,
        remove: Callable[[Subscription], Coroutine[Any, Any, bool]],
    ) -> None:
        self.id = str(uuid4())
        self.descriptor, self.binding = descriptor, binding
        self._dispatcher, self._control, self._remove = dispatcher, control, remove
        self._consumer: Consumer | None = None
        self._lanes: Lanes | None = None
        #: What a detach under way waits for.
        self._leaving: Lanes | None = None
        #: Paused by the program.
        self.paused = False
        self._attaching = asyncio.Lock()
        #: The work of attaching, where it was asked for at run time.
        self.attaching: Operation[None] | None = None

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def group(self) -> str:
        return self.descriptor.group

    @property
    def event_name(self) -> str:
        return self.descriptor.event.name

    @property
    def queue(self) -> str:
        """Name of its queue; "" for one that belongs to this process alone."""
        return self.binding.queue or ""

    @property
    def stats(self) -> SubscriptionStats:
        return self._dispatcher.stats

    @property
    def attached(self) -> bool:
        """True while its queue is attached, also while it is paused; False while the connection is lost."""
        return self._consumer is not None and self._consumer.attached

    @property
    def load(self) -> tuple[int, int, float]:
        """Deliveries that wait for a worker, those being handled, and the seconds the first of the former has waited."""
        lanes = self._lanes
        return (0, 0, 0.0) if lanes is None else (lanes.waiting, lanes.running, lanes.oldest)

    def cancel(self) -> Operation[bool]:
        """Detach for good, and leave the manager. Awaited: False if it was cancelled before."""
        return self._control(lambda: self._remove(self))

    def pause(self) -> Operation[None]:
        """Take nothing new. What waits goes back to the queue, where other processes get it; handlers finish."""
        return self._control(self._pause)

    def resume(self) -> Operation[None]:
        """Take deliveries again."""
        return self._control(self._resume)

    def __await__(self) -> Generator[Any, Any, Subscription]:
        if self.attaching is not None:
            yield from self.attaching.__await__()
        return self

    def __repr__(self) -> str:
        return f"<Subscription {self.name!r} to {self.event_name!r} {'attached' if self.attached else 'detached'}>"

    async def attach(self, provider: Provider, key_of: Callable[[Delivery], Hashable | None] | None) -> None:
        """Start the workers and attach the queue. Called by the engine, on the manager's loop."""
        async with self._attaching:
            if self._consumer is not None:
                return
            self._dispatcher.begin()
            concurrency = self.descriptor.options.concurrency
            lanes = Lanes(self._dispatcher.dispatch, concurrency, key_of, name=f"handle {self.name}")
            try:
                self._consumer = await provider.subscribe(self.binding, self._dispatcher.observed(lanes.put))
            except BaseException:
                await lanes.close(0.0)
                raise
            self._lanes = lanes

    async def detach(self, grace: float = 10.0) -> bool:
        """Stop taking, let handlers finish for *grace* seconds, detach. False if it was not attached."""
        consumer, lanes = self._consumer, self._lanes
        self._consumer = self._lanes = None
        if consumer is None or lanes is None:
            return False
        self._dispatcher.stop()
        self._leaving = lanes
        try:
            await consumer.pause()
            await lanes.close(grace)
        finally:
            self._leaving = None
            await consumer.close()
        return True

    def hurry(self) -> None:
        """Cancel the handlers that a detach under way waits for; their events come again."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def _pause(self) -> None:
        self.paused = True
        if self._consumer is not None and self._lanes is not None:
            await self._consumer.pause()
            self._lanes.give_back()

    async def _resume(self) -> None:
        self.paused = False
        if self._consumer is not None:
            await self._consumer.resume()


class SubscriptionBag:
    """The subscriptions of a manager, in the order they were made."""

    def __init__(self) -> None:
        self._by_id: dict[str, Subscription] = {}
        self._claims: dict[str, list[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """Take a subscription.

        Raises:
            QueueClashError: its queue belongs to another event of this manager.
        """
        queue = subscription.binding.queue
        if queue is not None:
            claims = self._claims.setdefault(queue, [])
            if claims and claims[0].binding.address != subscription.binding.address:
                raise QueueClashError(
                    f"listener {claims[0].name!r} of event {claims[0].event_name!r} and listener {subscription.name!r} "
                    f"of event {subscription.event_name!r} both claim the queue {queue!r}; queue names are unique per "
                    "broker. Give one of them another name=, or the provider queue_naming=QueueNaming.QUALIFIED"
                )
            claims.append(subscription)
        self._by_id[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> bool:
        """Forget a subscription; False if it is not here."""
        if self._by_id.pop(subscription.id, None) is None:
            return False
        queue = subscription.binding.queue
        if queue is not None:
            self._claims[queue].remove(subscription)
            if not self._claims[queue]:  # names may be made up at run time: none may stay
                del self._claims[queue]
        return True

    def get(self, key: Subscription | str) -> Subscription | None:
        """Return the subscription with an id, or the given one if it is here."""
        return self._by_id.get(key.id if isinstance(key, Subscription) else key)

    def of(self, event_name: str | None) -> list[Subscription]:
        """Return the subscriptions of one event, or all."""
        return [one for one in self._by_id.values() if event_name is None or one.event_name == event_name]

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)


async def detach_all(subscriptions: SubscriptionBag, grace: float) -> None:
    """Detach all subscriptions at once; errors are logged, because a stop must reach the end."""
    results = await asyncio.gather(*(one.detach(grace) for one in subscriptions), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            logger.error("detaching a subscription failed: %s", result, exc_info=result)
