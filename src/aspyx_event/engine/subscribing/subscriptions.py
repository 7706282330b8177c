"""One listener or handler bound to what it consumes at run time, and all of them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any
from uuid import uuid4

from ...exceptions import DeclarationError, QueueClashError
from ...listener_descriptors import EventListenerDescriptor
from ...providers.base import Binding
from ...targets import Route
from ..failure.republish import dead_letter_address, letter_name
from ..receiving.consumer import QueueConsumer
from ..receiving.handlers import BoundHandler, SubscriptionStats
from ..runtime.operations import Operation

logger = logging.getLogger("aspyx.event")
#: Runs work on the manager's loop.
Control = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Operation[Any]]


def default_name(callback: Callable[..., Any], source: Route, taken: SubscriptionRegistry) -> str:
    """Return the name of a subscription that was given none: the function's name, numbered if it is in use.

    Raises:
        DeclarationError: the event is durable, its queue would stay, and the function has no name of its own.
    """
    name = getattr(callback, "__name__", type(callback).__name__)
    if name == "<lambda>":
        if source.durable:
            raise DeclarationError(
                f"event {source.descriptor.name!r} is durable: its queue outlives the program, so a lambda needs a "
                "name=..."
            )
        name = "lambda"
    used = {one.name for one in taken.of(source.descriptor.name)}
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


class Subscription:
    """One listener or handler bound to what it consumes. Await it to know that the provider has attached its queue.

    Handlers that an order binds together share a queue: to pause one of them pauses all.

    Attributes:
        id: Unique in the process.
        descriptor: The event, the listener and all options.
    """

    def __init__(
        self, step: BoundHandler, control: Control, remove: Callable[[Subscription], Coroutine[Any, Any, bool]]
    ) -> None:
        self.id = str(uuid4())
        self.descriptor: EventListenerDescriptor = step.descriptor
        self.step, self._control, self._remove = step, control, remove
        #: The queues it shares with the handlers bound to it.
        self.intake: QueueConsumer
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
        """Name of the event, the pattern or the topic; of the first, where there are several."""
        return self.descriptor.event.name

    @property
    def binding(self) -> Binding:
        """Of the first queue."""
        return self.intake.bindings[0]

    @property
    def queue(self) -> str:
        """Name of its (first) queue; "" for one that belongs to this process alone."""
        return self.binding.queue or ""

    @property
    def letter_name(self) -> str:
        """The name under which its dead letters are kept."""
        return letter_name(self.descriptor, alone=len(self.intake.dispatcher.steps) == 1)

    @property
    def letter_queues(self) -> dict[str, Binding]:
        """The addresses of its dead letters, each with the queue they came from."""
        return {dead_letter_address(one.address, self.letter_name): one for one in self.intake.bindings}

    @property
    def stats(self) -> SubscriptionStats:
        return self.step.stats

    @property
    def attached(self) -> bool:
        """True while its queue is attached, also while it is paused; False while the connection is lost."""
        return self.intake.attached

    @property
    def paused(self) -> bool:
        return self.intake.paused

    @property
    def load(self) -> tuple[int, int, float]:
        """Deliveries that wait for a worker, those being handled, and the seconds the first of the former has waited."""
        return self.intake.load

    def cancel(self) -> Operation[bool]:
        """Detach for good, and leave the manager. Awaited: False if it was cancelled before."""
        return self._control(lambda: self._remove(self))

    def pause(self) -> Operation[None]:
        """Take nothing new. What waits goes back to the queue, where other processes get it; handlers finish."""
        return self._control(self.intake.pause)

    def resume(self) -> Operation[None]:
        """Take deliveries again."""
        return self._control(self.intake.resume)

    def __await__(self) -> Generator[Any, Any, Subscription]:
        if self.attaching is not None:
            yield from self.attaching.__await__()
        return self

    def __repr__(self) -> str:
        return f"<Subscription {self.name!r} to {self.event_name!r} {'attached' if self.attached else 'detached'}>"


class SubscriptionRegistry:
    """The subscriptions of a manager, in the order they were made."""

    def __init__(self) -> None:
        self._by_id: dict[str, Subscription] = {}
        self._claims: dict[str, list[tuple[QueueConsumer, Subscription]]] = {}

    def add(self, subscription: Subscription) -> None:
        self._by_id[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> bool:
        """Forget a subscription; False if it is not here."""
        return self._by_id.pop(subscription.id, None) is not None

    def claim(self, intake: QueueConsumer, subscription: Subscription) -> None:
        """Note that an intake made for *subscription* uses its queues.

        Raises:
            QueueClashError: one belongs to another event of this manager.
        """
        for binding in intake.bindings:
            for _, owner in self._claims.get(binding.queue or "", ())[:1]:
                other = next(one for one in owner.intake.bindings if one.queue == binding.queue)
                if other.address != binding.address:
                    raise QueueClashError(
                        f"listener {owner.name!r} of event {other.address!r} and listener {subscription.name!r} "
                        f"of event {binding.address!r} both claim the queue {binding.queue!r}; queue names are unique "
                        "per broker. Give one of them another name=, or the provider queue_naming=QueueNaming.QUALIFIED"
                    )
        for binding in intake.bindings:
            if binding.queue is not None:
                self._claims.setdefault(binding.queue, []).append((intake, subscription))

    def unclaim(self, intake: QueueConsumer) -> None:
        """Undo `claim`."""
        for binding in intake.bindings:
            left = [one for one in self._claims.get(binding.queue or "", ()) if one[0] is not intake]
            if left:
                self._claims[binding.queue or ""] = left
            else:  # names may be made up at run time: none may stay
                self._claims.pop(binding.queue or "", None)

    def get(self, key: Subscription | str) -> Subscription | None:
        """Return the subscription with an id, or the given one if it is here."""
        return self._by_id.get(key.id if isinstance(key, Subscription) else key)

    def of(self, event_name: str | None) -> list[Subscription]:
        """Return the subscriptions of one event, pattern or topic, or all."""
        return [
            one
            for one in self._by_id.values()
            if event_name is None or any(source.address == event_name for source in one.descriptor.routes)
        ]

    @property
    def intakes(self) -> list[QueueConsumer]:
        """Of all subscriptions, each once."""
        return list(dict.fromkeys(one.intake for one in self._by_id.values()))

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)


async def detach_all(subscriptions: SubscriptionRegistry, grace: float) -> None:
    """Detach all subscriptions at once; errors are logged, because a stop must reach the end."""
    results = await asyncio.gather(*(one.detach(grace) for one in subscriptions.intakes), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            logger.error("detaching a subscription failed: %s", result, exc_info=result)
