"""Where a manager lives: its loop, its life, and the ways by which work from any thread or loop gets there."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ..envelope import Envelope
from ..events import EventDescriptor
from ..exceptions import StateError
from .engine import Engine
from .failure.reporter import FailureReporter
from .runtime.lifecycle import Lifecycle, State, stop_at_exit
from .runtime.loop import EventLoopRunner, running_loop
from .runtime.operations import Completed, Operation
from .sending.pending import PendingSend

logger = logging.getLogger("aspyx.event")
Work = Callable[[], Coroutine[Any, Any, Any]]


class EngineRunner:
    """Starts and stops an engine, lazily if need be, and brings work to it. Thread-safe.

    Args:
        reporter: Gets the errors of operations that nobody awaits.
    """

    def __init__(self, reporter: FailureReporter) -> None:
        self._reporter = reporter
        self._host = EventLoopRunner()
        self._reporting: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[None] | None = None

        #: Set once the engine was stopped.
        self.ended = threading.Event()
        self._stopping = threading.Lock()

    def furnish(self, engine: Engine) -> None:
        """Take the engine in; the other half of the constructor, because an engine needs `control`."""
        self._engine = engine
        self._lifecycle = Lifecycle(engine.start, engine.stop)

    @property
    def running(self) -> bool:
        return self._lifecycle.state is State.STARTED

    def enter(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop that runs in this thread, None where there is none; for a use of the manager.

        Raises:
            StateError: it was stopped or lost its loop.
        """
        if self._lifecycle.state is not State.STARTED:
            self.check_usable()
        return running_loop()

    def check_usable(self) -> None:
        """Raise for a manager that was stopped or lost its loop.

        Raises:
            StateError: it was.
        """
        self._lifecycle.check_usable()
        self._forget_ended_loop()

    async def start(self) -> None:
        """Start the engine, or join the start under way; from any loop."""
        self._forget_ended_loop()
        self.ended.clear()
        await self._host.run(self._start_listening)

    async def connect(self) -> None:
        """Start the engine without attaching its subscriptions; if it is started, nothing. From any loop."""
        self._forget_ended_loop()
        await self._host.run(self._start_deaf)

    def stop_from_anywhere(self, *, within_handler: bool) -> Coroutine[Any, Any, None]:
        """Return what stops the engine when it is awaited. Where the caller has no loop, and the manager's runs elsewhere or
        there is none, do it now, or let it begin for a handler, which a stop waits for.
        """
        # In this order: another stop may take both away meanwhile.
        owned, loop = self._host.owns_loop, self._host.loop
        if running_loop() is not None or (loop is not None and not loop.is_running()):
            return self.stop()
        if loop is not None and not owned:
            stopping = asyncio.run_coroutine_threadsafe(self.stop(), loop)
            if not within_handler:
                stopping.result()
        elif within_handler:
            threading.Thread(target=self._stop_here, name="aspyx-event-stop").start()
        else:
            self._stop_here()
        return Completed(None)

    def _stop_here(self) -> None:
        # One after the other: the end of the first takes the loop away that a second one would ask.
        with self._stopping:
            asyncio.run(self.stop())

    async def stop(self) -> None:
        """Stop the engine; from any loop. Does not raise."""
        try:
            if self._host.loop is None:
                await self._lifecycle.stop()
            else:
                await self._host.run(self._lifecycle.stop)
        except StateError as error:
            logger.warning("not stopped in order: %s", error)
            self._lifecycle.lose()
        except Exception:  # the container would leave every other bean undestroyed
            logger.exception("stopping the event manager failed")
        self.ended.set()
        # The next start may happen on another loop; a loop of ours cannot end itself.
        if not (self._host.owns_loop and self._host.here()):
            self._host.unbind()

    def send(
        self, envelope: Envelope, descriptor: EventDescriptor, running: asyncio.AbstractEventLoop | None
    ) -> asyncio.Future[None] | Completed[None] | PendingSend:
        """Send an envelope, after a start if there was none yet; waits for it where no loop runs.

        Args:
            envelope: What to send.
            descriptor: Of its event.
            running: The loop that runs in this thread, which the caller knows already.
        """
        if running is not (self._host.loop or self._host.bind()):
            return self._host.run(lambda: self._send_on_loop(envelope, descriptor))
        if self._lifecycle.state is State.NEW:
            return self._send_at_start(envelope, descriptor)
        return self._engine.sending.send(envelope, descriptor)

    def control(self, work: Work) -> Operation[Any]:
        """Run *work* on the manager's loop, without starting it."""
        return Operation(self._host.run(work), self.report)

    def started(self, work: Work, undo: Callable[[], Any] | None = None) -> Operation[Any]:
        """Run *work* on the manager's loop, after a start if there was none yet.

        Args:
            work: What to run.
            undo: Called when the start or the work failed.

        Raises:
            StateError: the manager is stopped.
        """
        self.check_usable()

        async def start_first() -> Any:
            try:
                if self._lifecycle.state is State.NEW:
                    await self._lazy_start()
                return await work()
            except BaseException:
                if undo is not None:
                    undo()
                raise

        return self.control(start_first)

    def report(self, error: BaseException, event_id: str = "") -> None:
        """Report the error of an operation that nobody awaited, or of the send of an event; on its loop."""
        work = self._reporter.report(error, "an operation nobody awaited", event_id=event_id)
        task = asyncio.get_running_loop().create_task(work)
        self._reporting.add(task)
        task.add_done_callback(self._reporting.discard)

    def _forget_ended_loop(self) -> None:
        # A start that failed leaves nothing on its loop: another try may come from the next one.
        if self._lifecycle.state is State.NEW:
            self._host.forget_ended()

    async def _start_listening(self) -> None:
        if self._lifecycle.at_rest:
            self._engine.listens = True
        await self._lifecycle.start()
        await self._engine.listen()

    async def _start_deaf(self) -> None:
        if self._lifecycle.at_rest:
            self._engine.listens = False
        try:
            await self._lifecycle.start()
        except BaseException:
            self._engine.listens = True  # for the next start, which may be that of an event sent
            raise

    async def _send_on_loop(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        if self._lifecycle.state is State.NEW:
            await self._send_at_start(envelope, descriptor)
        else:
            await self._engine.sending.send(envelope, descriptor)

    def _send_at_start(self, envelope: Envelope, descriptor: EventDescriptor) -> asyncio.Future[None]:
        future = self._engine.early.add(envelope, descriptor)
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start_for_early())
        return future

    async def _start_for_early(self) -> None:
        try:
            await self._lazy_start()
        except BaseException as error:
            self._engine.early.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._starting = None

    async def _lazy_start(self) -> None:
        self._lifecycle.check_usable()  # it may have been stopped since this was asked for
        await self._lifecycle.start()
        if self._host.owns_loop:
            stop_at_exit(self._stop_now)

    def _stop_now(self) -> None:
        if self.running and self._host.owns_loop:
            self._host.run(self._lifecycle.stop)
            self._host.unbind()
