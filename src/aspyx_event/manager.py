"""`EventManager`: what users hold. It wires the rooms below and does no work of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aspyx.di import Environment, inject_environment, on_destroy, on_running
from typing_extensions import Unpack

from .codecs.base import Codec
from .codecs.json import JsonCodec
from .compat import PublishedNames
from .configuration import EventConfiguration
from .database.base import EventStore
from .engine.engine import Engine
from .engine.failure.reporter import ExceptionManager, FailureReporter
from .engine.operations.statistics import ManagerStats
from .engine.runner import EngineRunner, Stop
from .engine.runtime.loop import EventLoopRunner, running_loop
from .engine.runtime.operations import Operation
from .engine.sending.receipt import Receipt
from .engine.subscribing.subscriptions import Subscription, default_name
from .exceptions import DeclarationError, StateError
from .listener_descriptors import EventListenerDescriptor
from .observer import Observer
from .options import SubscriptionKeywords, make_options
from .pipeline import EnvelopePipeline
from .policies import Limits, Retry
from .providers.base import ConnectionHooks, Provider
from .targets import Target, check_target
from .topics import Topic, TopicRegistry

if TYPE_CHECKING:
    from .contracts.application import ApplicationContracts
    from .engine.operations.dead_letters import DeadLetters
    from .engine.operations.event_types import EventTypes
    from .engine.operations.health import Health
    from .engine.operations.stored_events import StoredEvents


class EventManager(PublishedNames):
    """Sends events, and brings received ones to the listeners of its environment.

    In a container it is the bean that a module creates; the listeners and pipelines of that environment are its own.
    Without one, use it as ``async with EventManager(provider) as manager`` and `subscribe`.

    It lives on one event loop: the one it is started on, or, in a program without a loop, one in a thread of its own.
    All methods may be called from any thread and any loop.

    Args:
        provider: The transport.
        exception_manager: Gets the errors nobody else takes: of listeners whose attempts are exhausted, of sends that
            nobody awaits. What it has no handler for is logged, once.
        codec: Events to bytes and back; None is JSON.
        retry: What happens when a listener fails that says nothing itself. One attempt, then a dead letter.
        pipelines: Interceptors outside of those of the environment, outermost first.
        listeners: Functions marked with ``@event_handler``, and instances of listener classes, besides those of the
            environment.
        hooks: Told of the provider's connection and its loss.
        limits: What is refused on sending, and becomes a dead letter on receiving.
        source: CloudEvents source of what is sent; "" takes the provider's server name.
        stop_timeout: Seconds that running handlers have to finish when the manager stops.
        observers: Told of everything that happens to events, such as `observability.OpenTelemetry()`.
        store: The event store; None stores nothing. Opened and closed with the manager.
        persist: Store each event before it is sent; costs a transaction, which events sent at once share.
        application: Name of the application. Part of queue names with `QueueNaming.APPLICATION`, and always of what must
            not be shared with another application: ids of returned events, entries of `Deduplicate`.
        start_in_background: `start` returns at once, and the manager is started as soon as the broker is there; until then
            it is not ready, and sends wait as during a lost connection. For services whose broker may come later.
        configuration: Further switches, and what is not given here; None has the defaults.

    Raises:
        DeclarationError: the provider is none, or a listener is none.
    """

    def __init__(
        self,
        provider: Provider,
        exception_manager: ExceptionManager | None = None,
        *,
        codec: Codec | None = None,
        retry: Retry | None = None,
        pipelines: Iterable[EnvelopePipeline] = (),
        listeners: Iterable[Any] = (),
        hooks: ConnectionHooks | None = None,
        limits: Limits | None = None,
        source: str = "",
        stop_timeout: float = 10.0,
        observers: Iterable[Observer] = (),
        store: EventStore | None = None,
        persist: bool | None = None,
        application: str = "",
        start_in_background: bool = False,
        configuration: EventConfiguration | None = None,
    ) -> None:
        if not isinstance(provider, Provider):
            raise DeclarationError(f"EventManager({provider!r}): the provider does not derive from Provider")
        self.provider = provider
        if hooks is not None:
            provider.hooks = hooks
        configuration = configuration or EventConfiguration()
        if application:
            configuration = replace(configuration, application=application)
        if start_in_background:
            configuration = replace(configuration, start_in_background=True)
        reporter = FailureReporter(exception_manager)
        loop = EventLoopRunner(reporter.report)
        self._engine = Engine(
            provider,
            codec or JsonCodec(),
            limits or Limits(),
            retry or Retry(),
            reporter,
            pipelines,
            listeners,
            source or provider.server_name or "aspyx-event",
            stop_timeout,
            loop,
            observers,
            store,
            persist,
            configuration,
        )
        self._runner = EngineRunner(self._engine, loop)

    @inject_environment()
    def set_environment(self, environment: Environment) -> None:
        """Take the listeners and pipelines of *environment*; called by the container."""
        self._engine.use_environment(environment)

    @on_running()
    async def start(self) -> None:
        """Connect, create the queues of all listeners and attach to them; again is no error.

        Raises:
            DeclarationError: a listener or pipeline is wrong or cannot be built; the message names it.
            ProviderError: no connection, no right, no queue.
        """
        await self._runner.start()

    async def connect(self) -> None:
        """Start without attaching the listeners: to send, and to work on dead letters. `start` attaches them later.

        Raises:
            DeclarationError: a listener or pipeline is wrong or cannot be built; the message names it.
            ProviderError: no connection.
        """
        await self._runner.connect()

    def stop(self, *, force: bool = False) -> Stop:
        """Take no more deliveries, let handlers finish, acknowledge, flush sends and disconnect. Does not raise; idempotent.

        Await it. In a program without a loop the call itself stops the manager; inside a handler it returns at once.

        Args:
            force: Do not wait for running handlers, now or in a stop under way: cancel them, their events come again.
        """
        if force:
            self._runner.force_stop()
        return self._runner.stop_from_anywhere()

    @on_destroy()
    async def _destroyed(self) -> None:
        await self.stop()

    @property
    def stop_timeout(self) -> float:
        """Seconds that running handlers have to finish when the manager stops."""
        return self._engine.stop_timeout

    @stop_timeout.setter
    def stop_timeout(self, seconds: float) -> None:
        self._engine.stop_timeout = seconds

    async def __aenter__(self) -> EventManager:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        state, count = self._engine.lifecycle.state.value, len(self._engine.subscriptions)
        return f"<EventManager on {self.provider!r}, {state}, {count} subscription{'' if count == 1 else 's'}>"

    @property
    def starting(self) -> bool:
        """True while a start is in progress, such as a start in the background that waits for the broker."""
        return self._runner.starting

    @property
    def running(self) -> bool:
        return self._runner.running

    def send_event(
        self,
        event: Any,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float = 0.0,
        ttl: float | None = None,
        priority: int | None = None,
        require_route: bool = False,
        topic: Topic | str | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """Send *event* to all its listeners; starts the manager if need be.

        With a running event loop the work is started and the receipt may be awaited. Without one the call returns
        when the provider has confirmed; with the local provider, when all listeners are done.

        Args:
            event: An instance of an event class, or a CloudEvent.
            headers: Travel beside the event, str to str.
            key: Events with the same key are handled in order; None uses the key that the event class declares.
            delay: Seconds until it may be delivered.
            ttl: Seconds after which it is not delivered any more.
            priority: 0 (lowest) to 9.
            require_route: Fail with `NoRouteError` if no queue would take it.
            topic: Send it on this topic, instead of to the listeners of its class. A topic given as itself is
                registered by that, one that is given by its name must be known.
            timeout: Seconds until the send fails with `ConfirmTimeoutError`; an event that has not left by then is not
                sent. None leaves the limit to the provider's `confirm_timeout`.

        Raises:
            UnregisteredEventTypeError: its class is not declared with ``@event``.
            DuplicateEventError: another class of this manager has its name.
            EncodeError: it holds values that its class cannot write.
            HeaderError: a header is reserved or is not text.
            UnsupportedError: the provider lacks an option.
            EventNotInTopicError: the topic does not carry its class.
            StateError: the manager is stopped.
            ProviderError: without a running loop only, else from the receipt: not confirmed.
        """
        return self._engine.sender.send_event(event, headers, key, delay, ttl, priority, require_route, topic, timeout)

    def subscribe(
        self,
        target: Target,
        callback: Callable[..., Any],
        name: str = "",
        group: str = "",
        per_process: bool = False,
        **keywords: Unpack[SubscriptionKeywords],
    ) -> Subscription:
        """Let *callback* handle events from now on; starts the manager if need be.

        Args:
            target: An event class, the name of an event, a pattern (``"shop.*"``, ``"shop.#"``), `ANY`, a `Topic`, or a
                tuple of these.
            callback: ``(event)`` or ``(event, context)``, sync or async. What it returns or yields is sent.
            name: Part of the queue name; "" takes the function's name, made unique in this manager.

        The other keywords are those of `SubscriptionOptions`. Of a name that no class here has, the events come as
        `GenericEvent`, or as the class that annotates the callback's event.

        Returns:
            The subscription; await it to know that its queue is attached. Without a running loop it is.

        Raises:
            DeclarationError: a target that is none, impossible options, or a queue that serves another event here.
            ProviderError: without a running loop only, else when it is awaited: not attached.
        """
        self._runner.check_usable()
        options = make_options("subscribe", name, group, per_process, keywords)
        check_target(target, "subscribe")
        routes = self._engine.binder.routes_of(target, options, callback)
        if not name:
            options = replace(options, name=default_name(callback, routes[0], self._engine.subscriptions))
        descriptor = EventListenerDescriptor(
            type=callback, event=routes[0].descriptor, name=options.name, options=options, routes=routes
        )
        subscription = self._engine.binder.bind(descriptor, callback)
        subscription.attaching = self._runner.run_started(
            lambda: self._engine.attach(subscription),
            undo=lambda: self._engine.binder.forget(subscription),
            tolerates_missing=True,
        )
        return subscription

    def unsubscribe(self, subscription: Subscription | str) -> Operation[bool]:
        """Detach a subscription, given itself or its id. Awaited: False if it was gone already."""
        registered = self._engine.subscriptions.get(subscription)
        return self._runner.control(lambda: self._engine.remove(registered))

    def list_subscriptions(self, event_name: str | type | Topic | None = None) -> list[Subscription]:
        """Return the subscriptions to an event, or all, in the order of subscribing.

        Args:
            event_name: Name of an event, a pattern, an event class, or a topic; None for all.

        Raises:
            DeclarationError: it is none of these.
        """
        return self._engine.subscriptions.of(event_name)

    def process(self, event: Any) -> Any:
        """Run the matching handlers in this thread, in the order they require; no provider is involved.

        Returned events are processed after the current event, breadth first. Interceptors are not called. An async
        handler runs on the manager's loop, and the call waits for it.

        Returns:
            The value of the `StopProcessing` that ended it, else None.

        Raises:
            RequirementError: handlers that belong together do not fit; none has run for this event.
            StateError: a handler is async and an event loop runs here; await `process_async` then.
            Exception: what a handler raises; the handlers and events after it are not run.
        """
        self._runner.check_process()
        self._engine.prepare()
        return self._engine.processor.process(event)

    async def process_async(self, event: Any) -> Any:
        """`process` for programs with an event loop: async handlers are awaited, sync ones run on the loop."""
        self._engine.prepare()
        return await self._engine.processor.process_async(event)

    @property
    def events(self) -> EventTypes:
        """The event types that this manager knows."""
        return self._engine.event_types

    @property
    def topics(self) -> TopicRegistry:
        """The topics of this manager."""
        return self._engine.topics

    @property
    def configuration(self) -> EventConfiguration:
        """The switches in effect; `persist` is the manager's own argument where it was given."""
        return self._engine.configuration

    @property
    def stats(self) -> ManagerStats:
        """Counters of sent and handled events."""
        return self._engine.stats

    @property
    def dead_letters(self) -> DeadLetters:
        """The events that subscriptions of this manager could not handle. Its methods start the manager if necessary."""
        return self._engine.dead_letters(self._runner.run_started)

    @property
    def store(self) -> StoredEvents:
        """The stored events of this manager.

        Raises:
            DeclarationError: the manager was given no store.
        """
        from .engine.operations.stored_events import StoredEvents

        self._engine.replayer.store  # noqa: B018  raises where there is none
        return StoredEvents(self._engine.replayer, self._runner.run_started)

    @property
    def contracts(self) -> ApplicationContracts:
        """The events that this manager knows, sends or listens to, to be recorded, checked and documented. Starts nothing."""
        from .contracts.application import ApplicationContracts

        return ApplicationContracts(self._engine, self.provider)

    def health(self, *, timeout: float = 2.0, stalled_after: float | None = None) -> Operation[Health]:
        """Ask the broker whether events can be sent and are received. Does not start the manager.

        Args:
            timeout: Seconds for the broker to answer.
            stalled_after: A delivery that waits for a worker longer than this many seconds makes the process not
                live; None: a slow listener does not.
        """
        return self._runner.control(lambda: self._engine.health(self._runner.running, timeout, stalled_after))

    def load_from(self, group: str, *, strict: bool = True) -> list[Subscription]:
        """Subscribe the handlers that installed distributions offer under an entry-point group.

        An entry is a function, a listener class, an instance of one, or a module, in which everything marked with
        ``@event_handler`` or ``@event_listener`` counts. A function without a mark handles every event that its
        ``@want`` accepts. Functions and classes that declare no name get the name of their entry.

        Args:
            group: Name of the group; an unknown group gives nothing.
            strict: False logs a broken entry and continues with the others.

        Returns:
            The subscriptions, in the order of the entries' names; each may be awaited.

        Raises:
            EntryPointError: an entry cannot be loaded, or holds no handler; it names entry and distribution.
        """
        self._engine.prepare()
        subscriptions = self._engine.binder.load(group, self._engine.environment, strict=strict)
        if self._runner.running:  # otherwise the start attaches them
            for subscription in subscriptions:
                subscription.attaching = self._runner.control(partial(self._engine.attach, subscription))
        return subscriptions

    def join(self, timeout: float | None = None) -> bool:
        """Block, in a program without an event loop, until the manager was stopped: by a handler, a thread, or Ctrl-C.

        Returns:
            False after *timeout* seconds.

        Raises:
            StateError: an event loop runs here, which the call would block; await `wait_stopped` then. Or a handler of
                this manager calls it, which the stop would wait for.
            ConnectionLostError: the provider has stopped reconnecting; the manager can only be stopped.
        """
        self._check_not_handling("join()")
        if running_loop() is not None:
            raise StateError("join() would block the event loop; write `await manager.wait_stopped()`")
        try:
            ended = self._runner.ended.wait(timeout)
        except KeyboardInterrupt:
            self._runner.stop_from_anywhere().close()
            return True
        self._runner.check_not_failed()
        return ended

    async def wait_stopped(self, timeout: float | None = None) -> bool:
        """Wait until the manager was stopped; False after *timeout* seconds.

        Raises:
            ConnectionLostError: the provider has stopped reconnecting; the manager can only be stopped.
            StateError: a handler of this manager calls it, which the stop would wait for.
        """
        self._check_not_handling("wait_stopped()")
        ended = await self._runner.ended.wait_async(timeout)
        self._runner.check_not_failed()
        return ended

    def _check_not_handling(self, what: str) -> None:
        self._runner.check_process()
        if self._engine.handles_here:
            raise StateError(f"{what} inside a handler of this manager would wait for the handler itself; call stop()")
