"""The rooms of one manager joined up: what it knows, what it sends through, and what is subscribed. On one loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from aspyx.di import Environment

from ..codecs.base import Codec
from ..events import check_field, is_event
from ..filters import Filter, Want, wants_of
from ..listeners import EventListenerDescriptor
from ..observing import Observer, observer_for
from ..options import SubscriptionOptions
from ..pipeline import Chain, EnvelopePipeline
from ..policies import Limits, Retry
from ..providers.base import Provider
from ..registry import EventRegistry
from ..store.base import EventStore
from ..targets import Source, Target, free_form_of, sources_of, targets_in
from ..topics import Topic, TopicBag
from .bindings import bindings_of, lane_key, queue_name
from .crashes import CrashLedger
from .dead_letters import DeadLetterBox
from .decoding import Decoder, Handling
from .discovery import Reaction, build_pipelines, pipelines_of, reactions_in, reactions_of, senders_of
from .dispatch import Dispatcher
from .failures import FailureReporter
from .health import Health, check_health
from .intake import Intake
from .invocation import Handler, Invoke, event_annotation
from .joining import Joining
from .memory import Memory
from .processing import Processor
from .reader import Reader
from .returned import PassOn
from .sending import EarlySends, EnvelopeFactory, Publish, Sending
from .steps import Step
from .subscriptions import Control, Subscription, SubscriptionBag, detach_all

logger = logging.getLogger("aspyx.event")
# As many as there are sync handlers at work at one moment; their number is bounded by each listener's concurrency.
_MAX_THREADS = 512


class Engine:
    """Everything of a manager that lives on its event loop.

    Args:
        provider: The transport.
        codec: Events to bytes and back.
        limits: What is too large.
        retry: For listeners that say nothing themselves.
        reporter: Gets the errors nobody else takes.
        pipelines: Interceptors outside of those of the environment, outermost first.
        listeners: Marked functions and listener instances besides those of the environment.
        source: CloudEvents source of what is sent.
        stop_timeout: Seconds that running handlers have to finish.
        control: Runs the work of a subscription's methods on the manager's loop.
        observers: Told of everything.
        store: The memory of events; None has none.
        persist: Store each event that is sent.
    """

    def __init__(
        self,
        provider: Provider,
        codec: Codec,
        limits: Limits,
        retry: Retry,
        reporter: FailureReporter,
        pipelines: Iterable[EnvelopePipeline],
        listeners: Iterable[Any],
        source: str,
        stop_timeout: float,
        control: Control,
        observers: Iterable[Observer] = (),
        store: EventStore | None = None,
        persist: bool = False,
    ) -> None:
        self._provider, self._codec, self._retry, self._reporter = provider, codec, retry, reporter
        self._limits, self._control = limits, control
        #: Seconds that running handlers have to finish.
        self.stop_timeout = stop_timeout
        #: Attach the subscriptions at start; without, the engine sends and works on dead letters.
        self.listens = True
        self.events, self.subscriptions, self.topics = EventRegistry(), SubscriptionBag(), TopicBag()
        self._observer = observer_for(observers, provider, self.subscriptions)
        self.factory = EnvelopeFactory(codec, source, passes_objects=provider.passes_objects, clock=provider.clock)
        publish = Publish(provider, limits, self._observer)
        self.memory = Memory(store, persist, publish, provider, self.subscriptions, self.events, self._observer)
        self._reader = Reader(codec)
        self._chain = Chain(self.memory.send, Invoke().handle)
        self.sending = Sending(self._chain, self._observer)
        self.early = EarlySends(self.sending)
        self._pass_on = PassOn(self.events, self.factory, self.sending)
        self._joining = Joining(self.subscriptions, self._make_intake)
        self.processor = Processor(self.events, self.subscriptions, self.factory, control)
        self._given_pipelines, self._reactions = list(pipelines), reactions_in(listeners)
        self._pipeline_types: list[type] = []
        self._pipelines: list[EnvelopePipeline] = []
        self._environment: Environment | None = None
        self.dead_letters = DeadLetterBox(provider, self.subscriptions, self._observer)
        # Only a broker keeps what a dead process had in hand, and only under a name that comes back.
        counts = provider.capabilities.remote and bool(provider.server_name)
        self._ledger = CrashLedger(provider) if counts else None
        self._executor: ThreadPoolExecutor | None = None
        self._prepared = False

    def adopt(self, environment: Environment) -> None:
        """Take the listeners and pipelines of *environment*. Builds nothing, so that what is broken shows at start."""
        self._environment = environment
        self._reactions += reactions_of(environment)
        self._pipeline_types = pipelines_of(environment)

    async def start(self) -> None:
        """Build listeners and interceptors, connect, attach all subscriptions if it `listens`. Undone if a part fails.

        Raises:
            DeclarationError: a listener or pipeline is wrong or cannot be built; the message names it.
            ProviderError: no connection, no right, no queue.
        """
        self.prepare()
        self._chain.build(self._pipelines)
        attaching: list[asyncio.Future[None]] = []
        try:
            await self.memory.start()
            await self._provider.start()
            if self.listens:
                attaching += [asyncio.ensure_future(one.attach(self._provider)) for one in self.subscriptions.intakes]
            await asyncio.gather(*attaching)
        except BaseException:
            await asyncio.gather(*attaching, return_exceptions=True)
            await detach_all(self.subscriptions, 0.0)
            await self._provider.stop()
            await self.memory.stop(0.0)
            self._chain.release()
            raise
        if self._observer is not None:
            self._observer.started()
        # The last step: nothing may be sent between these and the events that find the manager started.
        self.early.flush()
        logger.info("started: %d subscriptions on the %s provider", len(self.subscriptions), self._provider.name)

    async def listen(self) -> None:
        """Attach what a start without listening left out; what is attached stays as it is.

        Raises:
            ProviderError: no right, no queue.
        """
        if not self.listens:
            await asyncio.gather(*(one.attach(self._provider) for one in self.subscriptions.intakes))
            self.listens = True

    async def stop(self) -> None:
        """Stop taking, let handlers finish, flush what is being sent, disconnect."""
        await detach_all(self.subscriptions, self.stop_timeout)
        await self.sending.flush(self.stop_timeout)
        await self.memory.drain(self.stop_timeout)
        if self._ledger is not None:
            await self._ledger.close()
        await self._provider.stop()
        await self.memory.stop(self.stop_timeout)
        if self._observer is not None:
            self._observer.stopped()
        self._chain.release()
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    def hurry(self) -> None:
        """Let a stop under way wait no longer for handlers."""
        for intake in self.subscriptions.intakes:
            intake.hurry()

    def sources_of(
        self, target: Target, options: SubscriptionOptions, function: Callable[..., Any]
    ) -> tuple[Source, ...]:
        """Return what a declared target means here.

        Raises:
            DeclarationError: an unknown class or topic.
        """
        return sources_of(
            target,
            self.events,
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
        return self.topics.register(topic) if isinstance(topic, Topic) else self.topics.get(topic)

    def add_subscription(self, descriptor: EventListenerDescriptor, function: Callable[..., Any]) -> Subscription:
        """Bind *function* to what a descriptor says; not attached yet.

        Raises:
            DeclarationError: the function cannot be called with an event, the provider lacks a feature, the queue
                serves another event here, or the order asked for cannot be kept.
        """
        options, label = descriptor.options, f"listener {descriptor.name!r}"
        for event in (event for source in descriptor.sources for event in source.events):
            check_field(event.type, options.order_by, f"{label}: order_by")
            self._reader.prepare(event)
        handler = Handler(function, label)
        wanted = Filter.of(_when(options), wants_of(descriptor.type))
        call = handler.compile(inline=options.inline, executor=self._threads)
        handling = Handling(self._decoder(descriptor), wanted, call)
        retry = options.retry or self._retry
        step = Step(descriptor, handler, wanted, handling, self._chain, retry, self._pass_on, self._observer)
        subscription = Subscription(step, self._control, self.remove)
        self._joining.join(subscription)
        return subscription

    async def attach(self, subscription: Subscription) -> None:
        """Attach a subscription's queue; again is no error."""
        await subscription.intake.attach(self._provider)

    async def health(self, running: bool, timeout: float, stalled_after: float | None) -> Health:
        """Look at provider and subscriptions; see `check_health`."""
        return await check_health(
            self._provider, self.subscriptions, running=running, timeout=timeout, stalled_after=stalled_after
        )

    def listening(self) -> list[tuple[EventListenerDescriptor, str]]:
        """Return all that listens, or will after a start, each with its queue ("" without a name). Builds nothing.

        Raises:
            DeclarationError: an event is not known.
        """
        found = [(one.descriptor, one.queue) for one in self.subscriptions]
        for reaction in () if self._prepared else self._reactions:
            declaration = reaction.declaration
            sources = self.sources_of(declaration.target, declaration.options, reaction.type)
            descriptor = declaration.describe(reaction.type, sources)
            found.append((descriptor, queue_name(descriptor, sources[0], self._provider) or ""))
        return found

    def senders(self) -> list[Any]:
        """Return the classes and functions that may tell with ``@sends`` what they send."""
        reacting = [one.type for one in self._reactions] + [one.descriptor.type for one in self.subscriptions]
        return [*(senders_of(self._environment) if self._environment is not None else ()), *reacting]

    @property
    def codec(self) -> Codec:
        """Writes and reads the bodies."""
        return self._codec

    @property
    def environment(self) -> Environment | None:
        """The container's environment; None without a container."""
        return self._environment

    async def remove(self, subscription: Subscription | None) -> bool:
        """Detach and forget a subscription; False if it was gone."""
        if subscription is None or self.subscriptions.get(subscription) is None:
            return False
        unused = self.forget(subscription)
        if unused is not None:
            await unused.detach(self.stop_timeout)
        return True

    def forget(self, subscription: Subscription) -> Intake | None:
        """Take a subscription out; return its intake, attached as it is, if nobody uses it any more."""
        return self._joining.leave(subscription)

    def prepare(self) -> None:
        """Build interceptors and listeners, once. What is wrong with a declaration shows here."""
        if self._prepared:
            return
        for reaction in self._reactions:
            for target in targets_in(reaction.declaration.target):
                if is_event(target):
                    self.events.add(target)
        for descriptor in self.events:
            self._codec.prepare(descriptor)
        self._pipelines = list(self._given_pipelines)
        if self._environment is not None:
            self._pipelines += build_pipelines(self._environment, self._pipeline_types)
        made: list[Subscription] = []
        try:
            # One by one: what was made before a failure must be taken back.
            for reaction in self._reactions:
                made.append(self._declared(reaction))  # noqa: PERF401
            self._joining.check_complete()
        except BaseException:
            for subscription in made:
                self.forget(subscription)
            raise
        self._prepared = True

    def _declared(self, reaction: Reaction) -> Subscription:
        function = reaction.resolve()
        sources = self.sources_of(reaction.declaration.target, reaction.declaration.options, function)
        return self.add_subscription(reaction.declaration.describe(reaction.type, sources), function)

    def _decoder(self, descriptor: EventListenerDescriptor) -> Decoder:
        return Decoder(self._reader, self.events, descriptor.sources)

    def _make_intake(self, descriptor: EventListenerDescriptor) -> Intake:
        options, bindings = descriptor.options, bindings_of(descriptor, self._provider, self._retry)
        dispatcher = Dispatcher(
            self._provider,
            self._provider.clock,
            self._reporter,
            bindings,
            self._limits,
            self._ledger if any(one.durable for one in bindings) else None,
            self._observer,
            policy=options.ack,
            concurrency=options.concurrency,
            rest=options.delay_per_message,
        )
        return Intake(
            bindings, dispatcher, options.concurrency, lane_key(descriptor, self._decoder(descriptor)), descriptor.name
        )

    def _threads(self) -> Executor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="aspyx-event")
        return self._executor


def _when(options: SubscriptionOptions) -> Want | None:
    """Return the conditions of `when` and `selector` together."""
    if options.selector is None:
        return options.when  # type: ignore[no-any-return]
    when = options.when or Want()
    return replace(when, headers=(*options.selector, *when.headers))
