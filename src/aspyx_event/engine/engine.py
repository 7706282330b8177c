"""`Engine`: builds the parts of a manager, and starts and stops them on its event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aspyx.di import Environment

from ..codecs.base import Codec
from ..configuration import EventConfiguration
from ..database.base import EventStore
from ..events import is_event
from ..listener_descriptors import EventListenerDescriptor
from ..observer import Observer, observer_for
from ..pipeline import Chain, EnvelopePipeline
from ..policies import Limits, Retry
from ..providers.base import Provider
from ..registry import EventRegistry
from ..safe_logger import SafeLogger
from ..targets import targets_in
from ..topics import TopicRegistry
from .event_reader import EventReader
from .failure.poison import InFlightJournal
from .failure.reporter import FailureReporter
from .operations.event_types import EventTypes
from .operations.process import Processor
from .operations.replay import Replayer, check_store
from .operations.statistics import ManagerStats
from .receiving.consumer import QueueConsumer
from .receiving.invocation import ChainEnd
from .runtime.background_start import BackgroundStart
from .runtime.lifecycle import Lifecycle
from .runtime.loop import EventLoopRunner
from .runtime.shutdown import Part, finished, run_parts
from .sending.factory import EnvelopeFactory
from .sending.forwarding import ResultPublisher
from .sending.publisher import Publisher
from .sending.recorder import EventRecorder
from .sending.sender import Sender
from .sending.sending import Sending
from .subscribing.binder import Binder, Collaborators
from .subscribing.discovery import build_pipelines, handlers_in, handlers_of, pipelines_of, senders_of
from .subscribing.hooks import HookNotifier
from .subscribing.queues import queue_name
from .subscribing.subscriptions import Control, Subscription, SubscriptionRegistry, detach_all, detach_retiring

if TYPE_CHECKING:
    from .operations.dead_letters import DeadLetters
    from .operations.health import Health
    from .runtime.threads import ThreadPool

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: A thread for each sync handler that runs at the same time; the concurrency of the listeners limits that number too.
_MAX_THREADS = 512


class Engine:
    """The parts of a manager that live on its event loop.

    Args:
        provider: The transport.
        codec: Events to bytes and back.
        limits: Maximum sizes.
        retry: For listeners that declare none.
        reporter: Reports the errors that nobody else handles.
        pipelines: Interceptors outside of those of the environment, outermost first.
        listeners: Marked functions and listener instances besides those of the environment.
        source: CloudEvents source of sent events.
        stop_timeout: Seconds that running handlers have to finish.
        loop: The loop on which the engine will live.
        observers: Notified of everything that happens to events.
        store: The event store, None for no event store.
        persist: Store each event that is sent; None takes the setting of the configuration.
        configuration: Further settings.

    Raises:
        DeclarationError: events are to be stored, and there is no store, or it is not an `EventStore`.
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
        loop: EventLoopRunner,
        observers: Iterable[Observer] = (),
        store: EventStore | None = None,
        persist: bool | None = None,
        configuration: EventConfiguration | None = None,
    ) -> None:
        self._provider, self._codec, self._loop = provider, codec, loop
        #: Seconds that running handlers have to finish.
        self.stop_timeout = stop_timeout
        #: Attach the subscriptions at start. Otherwise the engine only sends and works on dead letters.
        self.consumes = True
        #: The next start may come before the handlers that others require: it is caused by the first of several
        #: subscriptions.
        self.tolerates_missing = False
        self._forced = False
        #: Consumers that a handler of their own has cancelled, until that handler has finished.
        self._leaving: dict[asyncio.Task[None], QueueConsumer] = {}
        self.background_start: BackgroundStart | None = None
        self.lifecycle = Lifecycle(self._start_or_wait, self.stop, loop, self._start_grace)
        self._collect(pipelines, listeners)
        configuration = configuration or EventConfiguration()
        if persist is None:
            persist = configuration.persist
            store = configuration.make_store() if store is None else store
        self.configuration = replace(configuration, persist=persist)

        # In this order: what the parts share, the chain, the parts that send by it, the parts that receive by it.
        self.events, self.subscriptions, self.topics = EventRegistry(), SubscriptionRegistry(), TopicRegistry()
        self._observer = observer_for(observers, provider, self.subscriptions)
        self.stats = ManagerStats(self.events, self.subscriptions)
        self._chain = self._build_chain(limits, store, persist)
        self._build_sending(source)
        self._build_receiving(retry, reporter, limits)
        self._configure(configuration)

    def _collect(self, pipelines: Iterable[EnvelopePipeline], listeners: Iterable[Any]) -> None:
        self._own_pipelines, self._declared = list(pipelines), handlers_in(listeners)
        self._pipelines, self._pipeline_types = list[EnvelopePipeline](), list[type]()
        self._environment: Environment | None = None
        self._prepared = False

    def _build_chain(self, limits: Limits, store: EventStore | None, persist: bool) -> Chain:
        check_store(store, persist)
        publisher = Publisher(self._provider, limits, self._observer, self.stats.note_sent)
        recorder = EventRecorder(store, publisher) if store is not None and persist else None
        self.replayer = Replayer(
            store, recorder, publisher, self._provider, self.subscriptions, self.events, self._observer
        )
        return Chain(publisher.send if recorder is None else recorder.send, ChainEnd().handle)

    def _build_sending(self, source: str) -> None:
        provider = self._provider
        self.factory = EnvelopeFactory(
            self._codec, source, passes_objects=provider.passes_objects, clock=provider.clock
        )
        self.event_types = EventTypes(self.events, self.factory)
        self.sending = Sending(self._chain, self._observer)
        self.sender = Sender(provider, self.events, self.topics, self.factory, self.sending, self.lifecycle, self._loop)

    def _build_receiving(self, retry: Retry, reporter: FailureReporter, limits: Limits) -> None:
        provider = self._provider
        self.hooks = HookNotifier(provider, self.subscriptions)
        # The journal outlives the process only in a broker, and is found again only under a server name that stays.
        has_journal = provider.capabilities.remote and bool(provider.server_name)
        self._journal = InFlightJournal(provider) if has_journal else None
        self._thread_pool: ThreadPool | None = None
        self.binder = Binder(
            Collaborators(
                provider=provider,
                reader=EventReader(self._codec),
                registry=self.events,
                topics=self.topics,
                subscriptions=self.subscriptions,
                chain=self._chain,
                retry=retry,
                reporter=reporter,
                limits=limits,
                journal=self._journal,
                observer=self._observer,
                control=self._loop.control,
                publish_results=ResultPublisher(self.events, self.factory, self.sending),
                threads=self._threads,
                remove=self.remove,
                application=self.configuration.application,
            )
        )
        self.processor = Processor(self.events, self.subscriptions, self.factory, self._loop.control)

    def use_environment(self, environment: Environment) -> None:
        """Add the listeners and pipelines of *environment*. Builds none of them, so errors appear at start."""
        self._environment = environment
        self._declared += handlers_of(environment)
        self._pipeline_types = pipelines_of(environment)

    @property
    def confirm_timeout(self) -> float:
        """Seconds from a send to its confirmation."""
        return self._provider.confirm_timeout

    async def _start_or_wait(self) -> None:
        if self.background_start is not None and self.consumes:
            await self.background_start.run()
        else:
            await self.start()

    async def start(self) -> None:
        """Build listeners and interceptors, connect, and attach all subscriptions if it `consumes`. Undone on failure.

        Raises:
            DeclarationError: a listener or pipeline is wrong or cannot be built; the message names it.
            RequirementError: a handler requires another one that does not exist.
            ProviderError: no connection, no permission, or no queue.
        """
        self._forced = False
        tolerates_missing, self.tolerates_missing = self.tolerates_missing, False
        self.prepare()
        if self.consumes and not tolerates_missing:
            self.binder.check_complete()
        self._chain.build(self._pipelines)
        attaching: list[asyncio.Future[None]] = []
        try:
            await self.replayer.start()
            self.hooks.install()
            await self._provider.start()
            if self.consumes:
                consumers = self.subscriptions.consumers
                attaching += [asyncio.ensure_future(consumer.attach(self._provider)) for consumer in consumers]
            await asyncio.gather(*attaching)
        except BaseException:
            await asyncio.gather(*attaching, return_exceptions=True)
            await detach_all(self.subscriptions, 0.0)
            await self._provider.stop()
            await self.replayer.stop(0.0)
            self._chain.release()
            raise
        if self._observer is not None:
            self._observer.started()
        if self.consumes:
            await self._notify_attached()
        # Last, without an await until the state is STARTED: from then on sends no longer wait behind these.
        self.sender.early.flush()
        logger.info("started: %d subscriptions on the %s provider", len(self.subscriptions), self._provider.name)

    async def consume(self) -> None:
        """Attach the subscriptions, if the engine was started without them.

        Raises:
            RequirementError: a handler requires another one that does not exist.
            ProviderError: no permission, or no queue.
        """
        self.binder.check_complete()
        if not self.consumes:
            await asyncio.gather(*(consumer.attach(self._provider) for consumer in self.subscriptions.consumers))
            self.consumes = True
            await self._notify_attached()

    async def _notify_attached(self) -> None:
        for subscription in self.subscriptions:
            await self.hooks.attached(subscription)

    async def stop(self) -> None:
        """Take no more deliveries, let handlers finish, flush what is being sent, disconnect.

        Ends a few seconds after `stop_timeout`, whatever broker, store and hooks do.
        """
        grace, timeout, journal = 0.0 if self._forced else self.stop_timeout, self.stop_timeout, self._journal
        self.hooks.stop()
        parts: list[Part] = [
            ("detaching the subscriptions", lambda: detach_all(self.subscriptions, grace)),
            ("finishing cancelled subscriptions", lambda: finished(set(self._leaving))),
            ("sending the last events", lambda: self.sending.flush(timeout)),
            ("storing the last events", lambda: self.replayer.drain(timeout)),
            *([("closing the journal of deliveries", journal.close)] if journal is not None else ()),
            ("disconnecting", self._provider.stop),
            ("closing the event store", lambda: self.replayer.stop(timeout)),
        ]
        await run_parts(parts, grace)
        if self._observer is not None:
            self._observer.stopped()
        self._chain.release()
        pool, self._thread_pool = self._thread_pool, None
        if pool is not None:
            pool.close()

    def _start_grace(self) -> float:
        """Seconds that a stop waits for a start in progress: events that were sent before it are not given up at once."""
        return self.stop_timeout if self.sender.early.waiting and not self._forced else 0.0

    def force_stop(self) -> None:
        """Give running handlers no more time, in the current stop or else in the next. On the loop."""
        self._forced = True
        for consumer in self.subscriptions.consumers:
            consumer.force_stop()

    async def attach(self, subscription: Subscription) -> None:
        """Attach a subscription's queue. Idempotent."""
        was_attached = subscription.attached
        try:
            await subscription.consumer.attach(self._provider)
        finally:
            if self.subscriptions.retiring:
                await detach_retiring(self.subscriptions, self.stop_timeout, self._detach)
        if not was_attached:
            await self.hooks.attached(subscription)

    def dead_letters(self, started: Control) -> DeadLetters:
        """Return the dead letters of this manager's subscriptions; *started* runs work on the loop, after a start."""
        from .operations.dead_letters import DeadLetters

        return DeadLetters(self._provider, self.subscriptions, self._observer, started)

    async def health(self, running: bool, timeout: float, stalled_after: float | None) -> Health:
        """Check the provider and the subscriptions; see `check_health`."""
        from .operations.health import check_health

        return await check_health(
            self._provider,
            self.subscriptions,
            running=running,
            background=self.background_start,
            timeout=timeout,
            stalled_after=stalled_after,
        )

    def listeners(self) -> list[tuple[EventListenerDescriptor, str]]:
        """Return the listeners, also those that only a start will bind, each with its queue ("" for an unnamed queue).

        Builds none of them.

        Raises:
            DeclarationError: an event is unknown.
        """
        listeners = [(subscription.descriptor, subscription.queue) for subscription in self.subscriptions]
        for handler in () if self._prepared else self._declared:
            declaration = handler.declaration
            routes = self.binder.routes_of(declaration.target, declaration.options, handler.type)
            descriptor = self.binder.in_application(declaration.describe(handler.type, routes))
            listeners.append((descriptor, queue_name(descriptor, routes[0], self._provider) or ""))
        return listeners

    def senders(self) -> list[Any]:
        """Return the classes and functions that may be decorated with ``@sends``."""
        types = [handler.type for handler in self._declared]
        types += [subscription.descriptor.type for subscription in self.subscriptions]
        return [*(senders_of(self._environment) if self._environment is not None else ()), *types]

    @property
    def codec(self) -> Codec:
        """Encodes and decodes the bodies."""
        return self._codec

    @property
    def environment(self) -> Environment | None:
        """The container's environment; None without a container."""
        return self._environment

    async def remove(self, subscription: Subscription | None) -> bool:
        """Detach and forget a subscription; False if it was removed already."""
        if subscription is None or self.subscriptions.get(subscription) is None:
            return False
        unused_consumer = self.binder.forget(subscription)
        if unused_consumer is not None:
            await self._detach(unused_consumer)
        return True

    async def _detach(self, consumer: QueueConsumer) -> None:
        await consumer.detach(self.stop_timeout)
        if consumer.finishing is not None:
            self._leaving[consumer.finishing] = consumer
            consumer.finishing.add_done_callback(self._leaving.pop)

    @property
    def handles_here(self) -> bool:
        """True inside a handler of this manager, which must not wait for the manager to stop."""
        return any(consumer.handles_here for consumer in (*self.subscriptions.consumers, *self._leaving.values()))

    def prepare(self) -> None:
        """Build interceptors and listeners, once.

        Raises:
            DeclarationError: a declaration is wrong; the message names it.
        """
        if self._prepared:
            return
        for handler in self._declared:
            for target in targets_in(handler.declaration.target):
                if is_event(target):
                    self.events.add(target)
        for descriptor in self.events:
            self._codec.prepare(descriptor)
        self._pipelines = list(self._own_pipelines)
        if self._environment is not None:
            self._pipelines += build_pipelines(self._environment, self._pipeline_types)
        self.binder.bind_all(self._declared)
        self._prepared = True

    def _configure(self, configuration: EventConfiguration) -> None:
        if configuration.start_in_background:
            self.background_start = BackgroundStart(self.start)
            self.sender.background = True
        self.events.strict = not configuration.ignore_unregistered
        for event_class in configuration.event_classes():
            self.events.add(event_class)
        self.factory.schemas.enabled = configuration.validate_schema
        self.processor.propagates = configuration.propagate_exceptions
        self.topics.registers = configuration.register_topics_on_binding

    def _threads(self) -> ThreadPool:
        if self._thread_pool is None:
            from .runtime.threads import ThreadPool

            self._thread_pool = ThreadPool(_MAX_THREADS, "aspyx-event")
        return self._thread_pool
