"""Running the handlers of an event here and now: no provider, no queue, in the order that they ask for."""

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
from ...shared import Shared
from ..receiving.handlers import check_requirements
from ..runtime.loop import running_loop
from ..sending.factory import EnvelopeFactory
from ..sending.forwarding import returned_events
from ..subscribing.subscriptions import Control, Subscription, SubscriptionRegistry

logger = logging.getLogger("aspyx.event")


class Processor:
    """Takes events through the matching handlers of a manager, breadth first: what they return is processed after the
    event at hand. Interceptors are about messages and see nothing of it.

    Args:
        registry: Knows the classes.
        subscriptions: Whose handlers.
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
        #: What a handler raises ends the processing; else it is logged.
        self.propagates = True

    def process(self, event: Any) -> Any:
        """Process *event* in this thread.

        Returns:
            The value of the `StopProcessing` that ended it, else None.

        Raises:
            StateError: a handler is async and an event loop runs in this thread.
            RequirementError: handlers that belong together do not fit.
            Exception: what a handler raises; the rest is not run.
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
        """Run everything; yield what is to be awaited, and get its result."""
        events: deque[tuple[Any, EventContext | None]] = deque([(first, _current.get())])
        while events:
            event, cause = events.popleft()
            token = _current.set(cause)  # correlation and causation are told from it
            try:
                envelope = self._factory.make(event, self._registry.of(event), None, NO_OPTIONS)
            finally:
                _current.reset(token)
            envelope.event = event
            shared = Shared()
            for subscription in self._in_order(event, envelope.headers):
                context = EventContext(envelope, subscription.descriptor)
                context.shared = shared
                try:
                    result = self._call(subscription, event, context)
                    if inspect.isawaitable(result):
                        result = yield from _awaited(result, context)
                    more = returned_events(result, f"listener {subscription.name!r}")
                except StopProcessing as stop:
                    subscription.stats.succeeded(context.event_id, context.event_name)
                    if stop.has_value:
                        return stop.value
                    break
                except Exception as error:
                    subscription.stats.failures += 1
                    if self.propagates:
                        raise
                    logger.exception("listener %r failed on %r", subscription.name, context, exc_info=error)
                    continue
                subscription.stats.succeeded(context.event_id, context.event_name)
                events.extend((one, context) for one in more)
        return None

    def _call(self, subscription: Subscription, event: Any, context: EventContext) -> Any:
        token = _current.set(context)
        try:
            return subscription.step.handler.call(event, context)
        finally:
            _current.reset(token)

    def _in_order(self, event: Any, headers: dict[str, str]) -> list[Subscription]:
        """Return the subscriptions that want *event*; those to patterns first, then as they were made.

        Raises:
            RequirementError: a ring, or a handler that wants it requires one that is missing or does not want it.
        """
        descriptor = self._registry.of(event)
        meant = [
            one for one in self._subscriptions if any(source.takes(descriptor.name) for source in one.descriptor.routes)
        ]
        meant.sort(key=lambda one: not any(is_pattern(source.address) for source in one.descriptor.routes))
        wanted = [one for one in meant if _wants(one, event, descriptor, headers)]
        bound = [one.step for one in wanted if one.descriptor.requires]
        if bound:
            steps = tuple(one.step for one in meant)
            skipped = {one.name for one in meant} - {one.name for one in wanted}
            for step in bound:
                check_requirements(step, steps, skipped)
        descriptors = [one.descriptor for one in wanted]
        return [wanted[index] for index in sequence(descriptors, predecessors(descriptors)[0])]


def _wants(subscription: Subscription, event: Any, descriptor: EventDescriptor, headers: dict[str, str]) -> bool:
    condition: Filter | None = subscription.step.filter
    if condition is None:
        return True
    left = condition.before_decoding(descriptor.name, headers)
    return left is not None and condition.after_decoding(event, left)


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
