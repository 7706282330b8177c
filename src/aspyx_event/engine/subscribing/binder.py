"""Declaration to subscription: resolves targets, compiles conditions and the call, and picks the queues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aspyx.di import Environment

from ...annotations import event_annotation
from ...context import EventContext
from ...events import check_field
from ...filters import Filter, Want, wants_of
from ...listener_descriptors import EventListenerDescriptor
from ...observer import Observer
from ...options import SubscriptionOptions
from ...pipeline import Next
from ...policies import Limits, QueueNaming, Retry
from ...providers.base import Provider
from ...registry import EventRegistry
from ...targets import Route, Target, has_names, routes_of
from ...topics import TopicRegistry
from ..event_reader import EventReader
from ..failure.poison import InFlightJournal
from ..failure.reporter import FailureReporter
from ..receiving.consumer import QueueConsumer
from ..receiving.decoding import Decoder
from ..receiving.delays import StoppableDelay
from ..receiving.dispatch import Dispatcher
from ..receiving.failed import FailureHandler
from ..receiving.handler_function import HandlerFunction
from ..receiving.handlers import BoundHandler
from ..receiving.invocation import Invocation
from ..receiving.unsettled import UnsettledDeliveries
from .chains import HandlerChains
from .discovery import DeclaredHandler
from .entry_points import load_handlers
from .hooks import error_hook
from .queues import bindings_of, ordering_key
from .subscriptions import Control, Subscription, SubscriptionRegistry

if TYPE_CHECKING:
    from ..runtime.threads import ThreadPool


class Collaborators(NamedTuple):
    """Collaborators shared by all subscriptions of a manager."""

    provider: Provider
    reader: EventReader
    registry: EventRegistry
    topics: TopicRegistry
    subscriptions: SubscriptionRegistry
    #: Interceptors, ending in `ChainEnd`.
    chain: Next
    #: The policy of listeners without their own.
    retry: Retry
    reporter: FailureReporter
    limits: Limits
    journal: InFlightJournal | None
    observer: Observer | None
    control: Control
    #: Sends the events that handlers return.
    publish_results: Callable[[EventContext], Awaitable[None]]
    threads: Callable[[], ThreadPool]
    remove: Callable[[Subscription], Coroutine[Any, Any, bool]]
    #: Name of the application; "" if the manager has none.
    application: str


class Binder:
    """Binds handlers to queues. Attaches nothing.

    Args:
        shared: The collaborators of all subscriptions.
    """

    def __init__(self, shared: Collaborators) -> None:
        self._shared = shared
        self._chains = HandlerChains(shared.subscriptions, self._make_consumer)

    def routes_of(
        self, target: Target, options: SubscriptionOptions, function: Callable[..., Any]
    ) -> tuple[Route, ...]:
        """Return the routes of a declared target in this manager.

        Raises:
            DeclarationError: an unknown class or topic, or the annotation of the function's event contradicts the target, or
                is needed and cannot be resolved.
        """
        label = f"listener {options.name or getattr(function, '__qualname__', repr(function))!r}"
        annotation = event_annotation(function)
        routes = routes_of(
            target,
            self._shared.registry,
            subtypes=options.subtypes,
            free_form=annotation.free_form(label) if has_names(target) else None,
            find_topic=self._shared.topics.resolve,
        )
        annotation.check((event.type for route in routes for event in route.events), label)
        return routes

    def in_application(self, descriptor: EventListenerDescriptor) -> EventListenerDescriptor:
        """Return a descriptor that carries the application's name, and names queues after it if the provider does."""
        application = self._shared.application
        scoped = self._shared.provider.queue_naming is QueueNaming.APPLICATION
        return replace(descriptor, application=application, scope=application if scoped else "")

    def bind(
        self, descriptor: EventListenerDescriptor, function: Callable[..., Any], *, declared: bool = False
    ) -> Subscription:
        """Bind *function* as a descriptor declares it; its queue is not attached yet. Declared handlers precede others.

        Raises:
            DeclarationError: the function cannot be called with an event, the provider lacks a feature, the queue
                serves another event here, or the requested order cannot be kept.
        """
        descriptor = self.in_application(descriptor)
        shared, options, label = self._shared, descriptor.options, f"listener {descriptor.name!r}"
        for event in (event for route in descriptor.routes for event in route.events):
            check_field(event.type, options.order_by, f"{label}: order_by")
            shared.reader.prepare(event)
        handler_function = HandlerFunction(function, label)
        condition = Filter.of(_when(options), wants_of(descriptor.type))
        call = handler_function.compile(inline=options.inline, threads=shared.threads)
        invocation = Invocation(self._decoder(descriptor), condition, call)
        retry = options.retry or shared.retry
        handler = BoundHandler(
            descriptor,
            handler_function,
            condition,
            invocation,
            shared.chain,
            retry,
            shared.publish_results,
            shared.observer,
        )
        subscription = Subscription(handler, shared.control, shared.remove, declared)
        handler.on_give_up = error_hook(subscription)
        self._chains.join(subscription)
        return subscription

    def bind_handler(self, handler: DeclaredHandler, *, declared: bool = False) -> Subscription:
        """Build a listener or handler and bind it."""
        function = handler.resolve()
        routes = self.routes_of(handler.declaration.target, handler.declaration.options, function)
        return self.bind(handler.declaration.describe(handler.type, routes), function, declared=declared)

    def bind_all(self, handlers: Iterable[DeclaredHandler]) -> None:
        """Bind all declared handlers, or none.

        Raises:
            DeclarationError: see `bind`.
        """
        bound: list[Subscription] = []
        try:
            # Step by step, because a failure takes back the subscriptions bound before it.
            for declared in handlers:
                bound.append(self.bind_handler(declared, declared=True))  # noqa: PERF401
        except BaseException:
            for subscription in bound:
                self.forget(subscription)
            raise

    def check_complete(self) -> None:
        """Refuse to start while a handler requires another one that does not exist.

        Raises:
            RequirementError: names the first unmet requirement.
        """
        self._chains.check_complete()

    def load(self, group: str, environment: Environment | None, *, strict: bool) -> list[Subscription]:
        """Bind the handlers that installed distributions offer under an entry-point group; not attached yet.

        Raises:
            EntryPointError: an entry is broken; then nothing of the group is bound.
        """
        bound: list[Subscription] = []

        def bind(handler: DeclaredHandler) -> Subscription:
            bound.append(self.bind_handler(handler))
            return bound[-1]

        try:
            return load_handlers(group, environment, bind, strict=strict)
        except BaseException:
            for subscription in bound:
                self.forget(subscription)
            raise

    def forget(self, subscription: Subscription) -> QueueConsumer | None:
        """Remove a subscription; return its consumer, attached as it is, if no other subscription uses it."""
        return self._chains.leave(subscription)

    def _decoder(self, descriptor: EventListenerDescriptor) -> Decoder:
        return Decoder(self._shared.reader, self._shared.registry, descriptor.routes)

    def _make_consumer(self, descriptor: EventListenerDescriptor) -> QueueConsumer:
        shared, options = self._shared, descriptor.options
        bindings = bindings_of(descriptor, shared.provider, shared.retry)
        delays = StoppableDelay(shared.provider.clock)
        unsettled = UnsettledDeliveries(delays, descriptor.name)
        failures = FailureHandler(shared.provider, shared.reporter, shared.observer, delays, unsettled, options.ack)
        journal = shared.journal if any(binding.durable for binding in bindings) else None
        dispatcher = Dispatcher(bindings, options, shared.limits, failures, delays, unsettled, journal, shared.observer)
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
