"""Subscriptions at run time: a listener or handler bound to its queues, and the registry of all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from time import monotonic
from typing import Any
from uuid import uuid4

from ...events import EventDescriptor
from ...exceptions import DeclarationError, QueueClashError
from ...listener_descriptors import EventListenerDescriptor
from ...ordering import Requirement, unmet_requirements
from ...providers.base import Binding
from ...safe_logger import SafeLogger
from ...targets import Route
from ...topics import Topic
from ..failure.republish import dead_letter_address, letter_name
from ..receiving.consumer import QueueConsumer
from ..receiving.handlers import BoundHandler, SubscriptionStats
from ..runtime.operations import Operation

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Seconds between two checks whether a consumer that retires has handled what it has.
_CHECK_INTERVAL = 0.01
#: Runs work on the manager's loop.
Control = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Operation[Any]]


def default_name(callback: Callable[..., Any], route: Route, subscriptions: SubscriptionRegistry) -> str:
    """Return the name of a subscription without `name=`: the function's name, numbered if this manager uses it already.

    Raises:
        DeclarationError: the event is durable, so the queue outlives the program, and nobody chose its name: the function
            has no name of its own, or the number would depend on the order of subscribing.
    """
    name = getattr(callback, "__name__", "")
    named = bool(name) and name != "<lambda>"
    if not named:
        name = "lambda" if name else type(callback).__name__
    used = {subscription.name for subscription in subscriptions}
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    if route.durable and not (named and number == 1):
        reason = f"{name!r} is the name of another subscription" if named else f"{callback!r} has no name of its own"
        raise DeclarationError(
            f"event {route.descriptor.name!r} is durable, so its queue outlives the program, and {reason}: it needs a name=..."
        )
    return candidate


class Subscription:
    """A listener or handler bound to its queues. Await it to be sure that the provider has attached them.

    Handlers that `requires` or `required_by` bind together share a queue: pausing any of them pauses all.

    Attributes:
        id: Unique in the process.
        descriptor: The event, the listener and all options.
        declared: It was declared, by a decorator or for the manager, and not made by `subscribe` or `load_from`.
    """

    def __init__(
        self,
        handler: BoundHandler,
        control: Control,
        remove: Callable[[Subscription], Coroutine[Any, Any, bool]],
        declared: bool = False,
    ) -> None:
        self.declared = declared
        self.id = str(uuid4())
        self.descriptor: EventListenerDescriptor = handler.descriptor
        self.handler, self._control, self._remove = handler, control, remove
        #: Consumes its queues, which it shares with the handlers bound to it.
        self.consumer: QueueConsumer
        #: The attachment under way, of a subscription made at run time.
        self.attaching: Operation[None] | None = None

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def group(self) -> str:
        return self.descriptor.group

    @property
    def event_name(self) -> str:
        """Name of the event, the pattern or the topic; the first, if there are several."""
        return self.descriptor.event.name

    @property
    def binding(self) -> Binding:
        """The binding of its first queue."""
        return self.consumer.bindings[0]

    @property
    def queue(self) -> str:
        """Name of its (first) queue; "" for a queue that belongs to this process alone."""
        return self.binding.queue or ""

    @property
    def letter_name(self) -> str:
        """The name under which its dead letters are kept."""
        return letter_name(self.descriptor, alone=len(self.consumer.dispatcher.handlers) == 1)

    @property
    def letter_queues(self) -> dict[str, Binding]:
        """The addresses of its dead letters, each with the binding of the queue that they came from."""
        return {dead_letter_address(binding.address, self.letter_name): binding for binding in self.consumer.bindings}

    @property
    def unmet(self) -> list[Requirement]:
        """The requirements that no handler of its chain meets; it fails for every event then."""
        return unmet_requirements(
            self.descriptor, [handler.descriptor for handler in self.consumer.dispatcher.handlers]
        )

    @property
    def stats(self) -> SubscriptionStats:
        return self.handler.stats

    @property
    def attached(self) -> bool:
        """True while its queue is attached, also while it is paused; False while the connection is lost."""
        return self.consumer.attached

    @property
    def paused(self) -> bool:
        return self.consumer.paused

    @property
    def load(self) -> tuple[int, int, float]:
        """Deliveries that wait for a worker, deliveries being handled, and the waiting time of the first, in seconds."""
        return self.consumer.load

    def cancel(self) -> Operation[bool]:
        """Detach for good and remove the subscription from the manager. Awaited: False if it was cancelled before."""
        return self._control(lambda: self._remove(self))

    def pause(self) -> Operation[None]:
        """Take no more deliveries. Waiting ones go back to the queue, for other processes; running handlers finish."""
        return self._control(self.consumer.pause)

    def resume(self) -> Operation[None]:
        """Take deliveries again."""
        return self._control(self.consumer.resume)

    def __await__(self) -> Generator[Any, Any, Subscription]:
        if self.attaching is not None:
            yield from self.attaching.__await__()
        return self

    def __repr__(self) -> str:
        return f"<Subscription {self.name!r} to {self.event_name!r} {'attached' if self.attached else 'detached'}>"


class SubscriptionRegistry:
    """The subscriptions of a manager: the declared ones, then the others in the order in which they were made.

    Attributes:
        retiring: Consumers whose handlers have moved to other queues, until they are detached.
    """

    def __init__(self) -> None:
        self.retiring: list[QueueConsumer] = []
        self._by_id: dict[str, Subscription] = {}
        self._claims: dict[str, list[tuple[QueueConsumer, Subscription]]] = {}

    def add(self, subscription: Subscription) -> None:
        if subscription.declared:
            declared = [other for other in self._by_id.values() if other.declared]
            others = [other for other in self._by_id.values() if not other.declared]
            self._by_id = {member.id: member for member in (*declared, subscription, *others)}
        else:
            self._by_id[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> bool:
        """Forget a subscription; False if it is not here."""
        return self._by_id.pop(subscription.id, None) is not None

    def claim(self, consumer: QueueConsumer, subscription: Subscription) -> None:
        """Register the queues of a consumer that was made for *subscription*.

        Raises:
            QueueClashError: a queue belongs to another event of this manager.
        """
        for binding in consumer.bindings:
            for _, owner in self._claims.get(binding.queue or "", ())[:1]:
                other = next(candidate for candidate in owner.consumer.bindings if candidate.queue == binding.queue)
                if other.address != binding.address:
                    raise QueueClashError(
                        f"listener {owner.name!r} of event {other.address!r} and listener {subscription.name!r} "
                        f"of event {binding.address!r} both claim the queue {binding.queue!r}; queue names are unique "
                        "per broker. Give one of them another name=, or the provider queue_naming=QueueNaming.QUALIFIED"
                    )
        for binding in consumer.bindings:
            if binding.queue is not None:
                self._claims.setdefault(binding.queue, []).append((consumer, subscription))

    def unclaim(self, consumer: QueueConsumer) -> None:
        """Undo `claim`."""
        for binding in consumer.bindings:
            claims = [claim for claim in self._claims.get(binding.queue or "", ()) if claim[0] is not consumer]
            if claims:
                self._claims[binding.queue or ""] = claims
            else:  # names may be generated at run time, so empty entries must not accumulate
                self._claims.pop(binding.queue or "", None)

    def get(self, key: Subscription | str) -> Subscription | None:
        """Return the subscription with an id, or the subscription itself if it is registered here."""
        return self._by_id.get(key.id if isinstance(key, Subscription) else key)

    def of(self, target: str | type | Topic | None) -> list[Subscription]:
        """Return the subscriptions of an event, pattern or topic, or all.

        Raises:
            DeclarationError: *target* is not a name, an event class or a topic.
        """
        event_name = EventDescriptor.of(target).name if isinstance(target, type) else target
        if isinstance(event_name, Topic):
            event_name = event_name.name
        if not isinstance(event_name, (str, type(None))):
            raise DeclarationError(f"list_subscriptions({target!r}): give the name of an event, its class, or a topic")
        return [
            subscription
            for subscription in self._by_id.values()
            if event_name is None or any(route.address == event_name for route in subscription.descriptor.routes)
        ]

    @property
    def consumers(self) -> list[QueueConsumer]:
        """The consumers of all subscriptions, each once, and those that are retiring."""
        return list(dict.fromkeys((*(member.consumer for member in self._by_id.values()), *self.retiring)))

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)


async def detach_all(subscriptions: SubscriptionRegistry, grace: float) -> None:
    """Detach all subscriptions at once; errors are logged, because a stop must reach the end."""
    results = await asyncio.gather(
        *(consumer.detach(grace) for consumer in subscriptions.consumers), return_exceptions=True
    )
    subscriptions.retiring.clear()
    for result in results:
        if isinstance(result, BaseException):
            logger.error("detaching a subscription failed: %s", result, exc_info=result)


async def detach_retiring(
    subscriptions: SubscriptionRegistry, grace: float, detach: Callable[[QueueConsumer], Coroutine[Any, Any, None]]
) -> None:
    """Detach the consumers whose handlers have moved to other queues, once they have handled what they have.

    Args:
        subscriptions: The subscriptions of the manager.
        grace: Seconds to wait for their handlers.
        detach: Detaches a consumer.
    """
    end = monotonic() + grace
    while subscriptions.retiring:
        consumer = subscriptions.retiring[0]
        # One of its handlers may have made the subscription that retires it, and must not wait for itself.
        while not consumer.handles_here and any(consumer.load[:2]) and monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_CHECK_INTERVAL)
        if consumer in subscriptions.retiring:
            subscriptions.retiring.remove(consumer)
            await detach(consumer)
