"""What an `EventManager` offers around its handlers: topics, processing here and now, handlers of other distributions,
dead letters, health, its switches.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..configuration import EventConfiguration
from ..exceptions import StateError
from ..topics import TopicRegistry
from .operations.statistics import ManagerStats
from .runtime.loop import running_loop
from .runtime.operations import Operation
from .subscribing.subscriptions import Subscription

if TYPE_CHECKING:
    from .engine import Engine
    from .operations.dead_letters import DeadLetters
    from .operations.health import Health
    from .runner import EngineRunner


class ReactingMethods:
    """Part of `EventManager`."""

    _engine: Engine
    _runner: EngineRunner

    def process(self, event: Any) -> Any:
        """Run the matching handlers here and now, in this thread, in the order they ask for; no provider is involved.

        What they return is processed after the event at hand, breadth first. Interceptors see nothing of it. An async
        handler is run on the manager's loop and waited for.

        Returns:
            The value of the `StopProcessing` that ended it, else None.

        Raises:
            RequirementError: handlers that belong together do not fit; none has run for this event.
            StateError: a handler is async and an event loop runs here; await `process_async` then.
            Exception: what a handler raises; the handlers and events after it are not run.
        """
        self._engine.prepare()
        return self._engine.processor.process(event)

    async def process_async(self, event: Any) -> Any:
        """`process` for programs with an event loop: async handlers are awaited, sync ones run on the loop."""
        self._engine.prepare()
        return await self._engine.processor.process_async(event)

    @property
    def topics(self) -> TopicRegistry:
        """The topics of this manager."""
        return self._engine.topics

    @property
    def configuration(self) -> EventConfiguration:
        """The switches in effect: those it was given, with what the manager's own arguments and `validate_schema` say
        instead. Its backend counts where the manager was given no store.
        """
        return replace(self._engine.configuration, validate_schema=self._engine.factory.schemas.enabled)

    @property
    def stats(self) -> ManagerStats:
        """What was sent and handled, counted."""
        return self._engine.stats

    @property
    def dead_letters(self) -> DeadLetters:
        """The events that subscriptions of this manager could not handle; starts the manager if need be."""
        from .operations.dead_letters import DeadLetters

        return DeadLetters(self._engine.dead_letters, self._runner.started)

    def health(self, *, timeout: float = 2.0, stalled_after: float | None = None) -> Operation[Health]:
        """Find out, by asking the broker, whether events can be sent and are received. Does not start the manager.

        Args:
            timeout: Seconds for the broker to answer.
            stalled_after: A delivery that waits for a worker longer than this many seconds makes the process not
                live; None: a slow listener is no reason for a restart.
        """
        return self._runner.control(lambda: self._engine.health(self._runner.running, timeout, stalled_after))

    def load_from(self, group: str, *, strict: bool = True) -> list[Subscription]:
        """Subscribe what installed distributions offer under an entry-point group.

        An entry is a function, a listener class, an instance of one, or a module, of which everything that is marked
        with ``@event_handler`` or ``@event_listener`` is taken. A function without a mark takes every event that its
        ``@want`` accepts. Functions and classes that declare no name are called as their entry is.

        Args:
            group: Name of the group; one that nobody offers anything under gives nothing.
            strict: False logs an entry that is broken and goes on with the others.

        Returns:
            The subscriptions, in the order of the entries' names; each may be awaited.

        Raises:
            EntryPointError: an entry cannot be loaded, or holds no handler; it names entry and distribution.
        """
        self._engine.prepare()
        loaded = self._engine.binder.load(group, self._engine.environment, strict=strict)
        if self._runner.running:  # otherwise the start attaches them
            for subscription in loaded:
                subscription.attaching = self._runner.control(partial(self._engine.attach, subscription))
        return loaded

    def join(self, timeout: float | None = None) -> bool:
        """Wait, in a program without a loop, until the manager was stopped: by a handler, another thread, or Ctrl-C.

        Returns:
            False after *timeout* seconds.

        Raises:
            StateError: an event loop runs here, which it would stand still; await `joined` then.
        """
        if running_loop() is not None:
            raise StateError("join() would block the event loop; write `await manager.joined()`")
        try:
            return self._runner.ended.wait(timeout)
        except KeyboardInterrupt:
            self._runner.stop_from_anywhere(within_handler=False).close()
            return True

    async def joined(self) -> None:
        """Wait until the manager was stopped."""
        await asyncio.to_thread(self._runner.ended.wait)
