"""From a declaration to a subscription in its place: targets, conditions, handler, policies, queues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aspyx.di import Environment

from ...context import EventContext
from ...events import check_field
from ...filters import Filter, Want, wants_of
from ...listeners import EventListenerDescriptor
from ...observer import Observer
from ...options import SubscriptionOptions
from ...pipeline import Link
from ...policies import Limits, Retry
from ...providers.base import Provider
from ...registry import EventRegistry
from ...targets import Source, Target, free_form_of, sources_of
from ...topics import Topic, TopicBag
from ..event_reader import Reader
from ..failure.poison import CrashLedger
from ..failure.reporter import FailureReporter
from ..receiving.consumer import Intake
from ..receiving.decoding import Decoder, Handling
from ..receiving.dispatch import Dispatcher
from ..receiving.handlers import Step
from ..receiving.invocation import Handler, event_annotation
from .chains import Joining
from .discovery import Reaction
from .entry_points import load_reactions
from .hooks import given_up
from .queues import bindings_of, lane_key
from .subscriptions import Control, Subscription, SubscriptionBag

if TYPE_CHECKING:
    from ..runtime.threads import Threads


class Ground(NamedTuple):
    """What subscriptions of one manager stand on."""

    provider: Provider
    reader: Reader
    registry: EventRegistry
    topics: TopicBag
    subscriptions: SubscriptionBag
    #: Interceptors, ending in `Invoke`.
    chain: Link
    #: For listeners that say nothing themselves.
    retry: Retry
    reporter: FailureReporter
    limits: Limits
    ledger: CrashLedger | None
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

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._joining = Joining(ground.subscriptions, self._make_intake)

    def sources_of(
        self, target: Target, options: SubscriptionOptions, function: Callable[..., Any]
    ) -> tuple[Source, ...]:
        """Return what a declared target means here.

        Raises:
            DeclarationError: an unknown class or topic.
        """
        return sources_of(
            target,
            self._ground.registry,
            subtypes=options.subtypes,
            free_form=free_form_of(event_annotation(function)),
            find_topic=self.find_topic,
        )

    def find_topic(self, topic: Topic | str) -> Topic:
        """Return a topic of this manager; one that is given as itself is registered by that.

        Raises:
            UnregisteredTopicError: it is not known by its name.
            DeclarationError: another topic has its name.
        """
        topics = self._ground.topics
        return topics.register(topic) if isinstance(topic, Topic) and topics.registers else topics.get(topic)

    def channel(self, topic: Topic | str, event: Any) -> Topic:
        """Return the topic that an event is to be sent on.

        Raises:
            UnregisteredTopicError: it is not known by its name.
            ForeignEventError: it does not carry the event's class.
        """
        found = self.find_topic(topic)
        found.check_carries(type(event))
        return found

    def bind(self, descriptor: EventListenerDescriptor, function: Callable[..., Any]) -> Subscription:
        """Bind *function* to what a descriptor says; not attached yet.

        Raises:
            DeclarationError: the function cannot be called with an event, the provider lacks a feature, the queue
                serves another event here, or the order asked for cannot be kept.
        """
        ground, options, label = self._ground, descriptor.options, f"listener {descriptor.name!r}"
        for event in (event for source in descriptor.sources for event in source.events):
            check_field(event.type, options.order_by, f"{label}: order_by")
            ground.reader.prepare(event)
        handler = Handler(function, label)
        wanted = Filter.of(_when(options), wants_of(descriptor.type))
        call = handler.compile(inline=options.inline, threads=ground.threads)
        handling = Handling(self._decoder(descriptor), wanted, call)
        retry = options.retry or ground.retry
        step = Step(descriptor, handler, wanted, handling, ground.chain, retry, ground.pass_on, ground.observer)
        subscription = Subscription(step, ground.control, ground.remove)
        step.given_up = given_up(subscription)
        self._joining.join(subscription)
        return subscription

    def bind_declared(self, reaction: Reaction) -> Subscription:
        """Bind a declared listener or handler, which is built for that."""
        function = reaction.resolve()
        sources = self.sources_of(reaction.declaration.target, reaction.declaration.options, function)
        return self.bind(reaction.declaration.describe(reaction.type, sources), function)

    def bind_all(self, reactions: Iterable[Reaction]) -> None:
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

        def take(reaction: Reaction) -> Subscription:
            made.append(self.bind_declared(reaction))
            return made[-1]

        try:
            return load_reactions(group, environment, take, strict=strict)
        except BaseException:
            for subscription in made:
                self.forget(subscription)
            raise

    def forget(self, subscription: Subscription) -> Intake | None:
        """Take a subscription out; return its intake, attached as it is, if nobody uses it any more."""
        return self._joining.leave(subscription)

    def _decoder(self, descriptor: EventListenerDescriptor) -> Decoder:
        return Decoder(self._ground.reader, self._ground.registry, descriptor.sources)

    def _make_intake(self, descriptor: EventListenerDescriptor) -> Intake:
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
            rest=options.delay_per_message,
        )
        return Intake(
            bindings, dispatcher, options.concurrency, lane_key(descriptor, self._decoder(descriptor)), descriptor.name
        )


def _when(options: SubscriptionOptions) -> Want | None:
    """Return the conditions of `when` and `selector` together."""
    if options.selector is None:
        return options.when  # type: ignore[no-any-return]
    when = options.when or Want()
    return replace(when, headers=(*options.selector, *when.headers))
