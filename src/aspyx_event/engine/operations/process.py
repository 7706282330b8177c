"""Runs handlers in process, synchronously, without provider and queue, in the order that they require."""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from ...context import EventContext, _current
from ...envelope import NO_OPTIONS
from ...events import EventDescriptor
from ...exceptions import StateError, StopProcessing
from ...filters import Filter
from ...names import is_pattern
from ...ordering import predecessors, sequence
from ...registry import EventRegistry
from ...safe_logger import SafeLogger
from ...shared import Shared
from ..receiving.handlers import check_failed, check_requirements
from ..runtime.loop import running_loop
from ..sending.factory import EnvelopeFactory
from ..sending.forwarding import returned_events
from ..subscribing.subscriptions import Control, Subscription, SubscriptionRegistry

logger = SafeLogger(logging.getLogger("aspyx.event"))


class Processor:
    """Runs the matching handlers of a manager, breadth first: events that they return are processed after the current
    event. Interceptors are about messages and are not called.

    Args:
        registry: Knows the event classes.
        subscriptions: The subscriptions whose handlers run.
        factory: Makes envelopes, for the context.
        control: Runs work on the manager's loop, and waits for it where no loop runs here.
    """

    def __init__(
        self,
        registry: EventRegistry,
        subscriptions: SubscriptionRegistry,
        factory: EnvelopeFactory,
        control: Control,
    ) -> None:
        self._registry, self._subscriptions, self._factory = registry, subscriptions, factory
        self._control = control
        #: An error of a handler ends the processing; otherwise it is logged.
        self.propagates = True

    def process(self, event: Any) -> Any:
        """Process *event* in this thread.

        Returns:
            The value of the `StopProcessing` that ended it, else None.

        Raises:
            StateError: a handler is async and an event loop runs in this thread.
            RequirementError: handlers that belong together do not fit.
            Exception: what a handler raises; the remaining handlers do not run.
        """
        work = self._steps(event)
        answer: Any = None
        try:
            while True:
                waiting = work.send(answer)
                if running_loop() is not None:
                    waiting.close()
                    work.close()
                    raise StateError(
                        "a handler is async and an event loop runs here: await manager.process_async(event)"
                    )
                answer = self._control(_once(waiting)).result()
        except StopIteration as end:
            return end.value

    async def process_async(self, event: Any) -> Any:
        """The same where an event loop runs: async handlers are awaited, sync ones run on the loop."""
        work = self._steps(event)
        answer: Any = None
        try:
            while True:
                answer = await work.send(answer)
        except StopIteration as end:
            return end.value

    def _steps(self, first: Any) -> Generator[Any, Any, Any]:
        """Run all handlers; yield awaitables, and receive their results."""
        events: deque[tuple[Any, EventContext | None]] = deque([(first, _current.get())])
        while events:
            event, cause = events.popleft()
            token = _current.set(cause)  # correlation and causation ids derive from it
            try:
                envelope = self._factory.make(event, self._registry.of(event), None, NO_OPTIONS)
            finally:
                _current.reset(token)
            envelope.event = event
            shared, failed = Shared(), set[str]()
            order = self._in_order(event, envelope.headers)
            handlers = tuple(subscription.handler for subscription in order)
            for subscription in order:
                context = EventContext(envelope, subscription.descriptor)
                context.shared = shared
                try:
                    if failed:
                        check_failed(subscription.handler, handlers, failed)
                    result = self._call(subscription, event, context)
                    if inspect.isawaitable(result):
                        result = yield from _awaited(result, context)
                    returned = returned_events(result, f"listener {subscription.name!r}")
                except StopProcessing as stop:
                    subscription.stats.succeeded(context.event_id, context.event_name)
                    if stop.has_value:
                        return stop.value
                    break
                except Exception as error:
                    subscription.stats.failures += 1
                    if self.propagates:
                        raise
                    failed.add(subscription.name)
                    logger.exception("listener %r failed on %r", subscription.name, context, exc_info=error)
                    continue
                subscription.stats.succeeded(context.event_id, context.event_name)
                events.extend((returned_event, context) for returned_event in returned)
        return None

    def _call(self, subscription: Subscription, event: Any, context: EventContext) -> Any:
        token = _current.set(context)
        try:
            return subscription.handler.function.call(event, context)
        finally:
            _current.reset(token)

    def _in_order(self, event: Any, headers: dict[str, str]) -> list[Subscription]:
        """Return the subscriptions whose conditions accept *event*: patterns first, then in the order of subscribing.

        Raises:
            RequirementError: a cycle, or a required handler is missing or does not accept an event that its dependent accepts.
        """
        descriptor = self._registry.of(event)
        matching = [
            subscription
            for subscription in self._subscriptions
            if any(route.takes(descriptor.name) for route in subscription.descriptor.routes)
        ]
        matching.sort(
            key=lambda subscription: not any(is_pattern(route.address) for route in subscription.descriptor.routes)
        )
        accepting = [subscription for subscription in matching if _accepts(subscription, event, descriptor, headers)]
        requiring = [subscription.handler for subscription in accepting if subscription.descriptor.requires]
        if requiring:
            handlers = tuple(subscription.handler for subscription in matching)
            skipped = {subscription.name for subscription in matching} - {
                subscription.name for subscription in accepting
            }
            for handler in requiring:
                check_requirements(handler, handlers, skipped)
        descriptors = [subscription.descriptor for subscription in accepting]
        return [accepting[index] for index in sequence(descriptors, predecessors(descriptors))]


def _accepts(subscription: Subscription, event: Any, descriptor: EventDescriptor, headers: dict[str, str]) -> bool:
    condition: Filter | None = subscription.handler.filter
    if condition is None:
        return True
    remaining = condition.before_decoding(descriptor.name, headers)
    return remaining is not None and condition.after_decoding(event, remaining)


def _awaited(work: Awaitable[Any], context: EventContext) -> Generator[Any, Any, Any]:
    try:
        return (yield _in_context(work, context))
    except GeneratorExit:
        if inspect.iscoroutine(work):
            work.close()
        raise


async def _in_context(work: Awaitable[Any], context: EventContext) -> Any:
    token = _current.set(context)
    try:
        return await work
    finally:
        _current.reset(token)


def _once(work: Awaitable[Any]) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def run() -> Any:
        return await work

    return run
