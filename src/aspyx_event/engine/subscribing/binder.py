"""From a declaration to a subscription in its place: targets, conditions, handler, policies, queues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aspyx.di import Environment

from ...context import EventContext
from ...events import check_field
from ...filters import Filter, Want, wants_of
from ...listener_descriptors import EventListenerDescriptor
from ...observer import Observer
from ...options import SubscriptionOptions
from ...pipeline import Next
from ...policies import Limits, Retry
from ...providers.base import Provider
from ...registry import EventRegistry
from ...targets import Route, Target, free_form_of, routes_of
from ...topics import TopicRegistry
from ..event_reader import EventReader
from ..failure.poison import InFlightJournal
from ..failure.reporter import FailureReporter
from ..receiving.consumer import QueueConsumer
from ..receiving.decoding import Decoder, Invocation
from ..receiving.dispatch import Dispatcher
from ..receiving.handlers import BoundHandler
from ..receiving.invocation import HandlerFunction, event_annotation
from .chains import HandlerChains
from .discovery import DeclaredHandler
from .entry_points import load_reactions
from .hooks import given_up
from .queues import bindings_of, ordering_key
from .subscriptions import Control, Subscription, SubscriptionRegistry

if TYPE_CHECKING:
    from ..runtime.threads import Threads


class Collaborators(NamedTuple):
    """What subscriptions of one manager stand on."""

    provider: Provider
    reader: EventReader
    registry: EventRegistry
    topics: TopicRegistry
    subscriptions: SubscriptionRegistry
    #: Interceptors, ending in `ChainEnd`.
    chain: Next
    #: For listeners that say nothing themselves.
    retry: Retry
    reporter: FailureReporter
    limits: Limits
    ledger: InFlightJournal | None
    observer: Observer | None
    control: Control
    #: Sends what handlers return.
    pass_on: Callable[[EventContext], Awaitable[None]]
    threads: Callable[[], Threads]
    remove: Callable[[Subscription], Coroutine[Any, Any, bool]]


class Binder:
    """Binds handlers to what they consume. Attaches nothing.

    Args:
        ground: What they stand on.
    """

    def __init__(self, ground: Collaborators) -> None:
        self._ground = ground
        self._joining = HandlerChains(ground.subscriptions, self._make_intake)

    def routes_of(
        self, target: Target, options: SubscriptionOptions, function: Callable[..., Any]
    ) -> tuple[Route, ...]:
        """Return what a declared target means here.

        Raises:
            DeclarationError: an unknown class or topic.
        """
        return routes_of(
            target,
            self._ground.registry,
            subtypes=options.subtypes,
            free_form=free_form_of(event_annotation(function)),
            find_topic=self._ground.topics.resolve,
        )

    def bind(self, descriptor: EventListenerDescriptor, function: Callable[..., Any]) -> Subscription:
        """Bind *function* to what a descriptor says; not attached yet.

        Raises:
            DeclarationError: the function cannot be called with an event, the provider lacks a feature, the queue
                serves another event here, or the order asked for cannot be kept.
        """
        ground, options, label = self._ground, descriptor.options, f"listener {descriptor.name!r}"
        for event in (event for source in descriptor.routes for event in source.events):
            check_field(event.type, options.order_by, f"{label}: order_by")
            ground.reader.prepare(event)
        handler = HandlerFunction(function, label)
        wanted = Filter.of(_when(options), wants_of(descriptor.type))
        call = handler.compile(inline=options.inline, threads=ground.threads)
        handling = Invocation(self._decoder(descriptor), wanted, call)
        retry = options.retry or ground.retry
        step = BoundHandler(descriptor, handler, wanted, handling, ground.chain, retry, ground.pass_on, ground.observer)
        subscription = Subscription(step, ground.control, ground.remove)
        step.given_up = given_up(subscription)
        self._joining.join(subscription)
        return subscription

    def bind_declared(self, reaction: DeclaredHandler) -> Subscription:
        """Bind a declared listener or handler, which is built for that."""
        function = reaction.resolve()
        routes = self.routes_of(reaction.declaration.target, reaction.declaration.options, function)
        return self.bind(reaction.declaration.describe(reaction.type, routes), function)

    def bind_all(self, reactions: Iterable[DeclaredHandler]) -> None:
        """Bind what is declared; all of it, or nothing.

        Raises:
            DeclarationError: see `bind`; or a handler requires one that is not there.
        """
        made: list[Subscription] = []
        try:
            # One by one: what was made before a failure must be taken back.
            for reaction in reactions:
                made.append(self.bind_declared(reaction))  # noqa: PERF401
            self._joining.check_complete(made)
        except BaseException:
            for subscription in made:
                self.forget(subscription)
            raise

    def load(self, group: str, environment: Environment | None, *, strict: bool) -> list[Subscription]:
        """Bind what installed distributions offer under an entry-point group; not attached yet.

        Raises:
            EntryPointError: an entry is broken; then nothing of the group is bound.
        """
        made: list[Subscription] = []

        def take(reaction: DeclaredHandler) -> Subscription:
            made.append(self.bind_declared(reaction))
            return made[-1]

        try:
            return load_reactions(group, environment, take, strict=strict)
        except BaseException:
            for subscription in made:
                self.forget(subscription)
            raise

    def forget(self, subscription: Subscription) -> QueueConsumer | None:
        """Take a subscription out; return its intake, attached as it is, if nobody uses it any more."""
        return self._joining.leave(subscription)

    def _decoder(self, descriptor: EventListenerDescriptor) -> Decoder:
        return Decoder(self._ground.reader, self._ground.registry, descriptor.routes)

    def _make_intake(self, descriptor: EventListenerDescriptor) -> QueueConsumer:
        ground, options = self._ground, descriptor.options
        bindings = bindings_of(descriptor, ground.provider, ground.retry)
        dispatcher = Dispatcher(
            ground.provider,
            ground.provider.clock,
            ground.reporter,
            bindings,
            ground.limits,
            ground.ledger if any(one.durable for one in bindings) else None,
            ground.observer,
            policy=options.ack,
            concurrency=options.concurrency,
            rest=options.cooldown,
        )
        return QueueConsumer(
            bindings,
            dispatcher,
            options.concurrency,
            ordering_key(descriptor, self._decoder(descriptor)),
            descriptor.name,
        )


def _when(options: SubscriptionOptions) -> Want | None:
    """Return the conditions of `when` and `selector` together."""
    if options.selector is None:
        return options.when  # type: ignore[no-any-return]
    when = options.when or Want()
    return replace(when, headers=(*options.selector, *when.headers))
