"""`EngineRunner`: starts and stops an engine, and runs operations on it, from any thread and any loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, cast

from ..deadlines import within
from ..error_text import error_text
from ..exceptions import ConnectError, ConnectionLostError, StateError
from ..futures import TaskSet
from ..safe_logger import SafeLogger
from .engine import Engine
from .runtime.lifecycle import State
from .runtime.loop import EventLoopRunner, running_loop
from .runtime.operations import Completed, Operation
from .runtime.stop_signal import StopSignal

logger = SafeLogger(logging.getLogger("aspyx.event"))
Work = Callable[[], Coroutine[Any, Any, Any]]


class Stop(Coroutine[Any, Any, None]):
    """The type of a stop: a coroutine that need not be awaited.

    Type checkers report a call that returns a plain coroutine and is not awaited. A program without a loop does not await
    a stop.
    """


class EngineRunner:
    """Starts and stops an engine, on demand if need be, and runs operations on its loop. Thread-safe.

    Args:
        engine: The engine.
        loop: The loop that the engine was built with.
    """

    def __init__(self, engine: Engine, loop: EventLoopRunner) -> None:
        self._engine, self._loop, self._lifecycle = engine, loop, engine.lifecycle
        #: Set while the engine is stopped, or cannot go on.
        self.ended = StopSignal()
        #: Why a started engine cannot go on: its provider has stopped reconnecting. None while it can, or is stopped.
        self.failure: Exception | None = None
        engine.hooks.given_up = self._on_give_up
        self._stopping = threading.Lock()
        self._background = TaskSet()

    @property
    def running(self) -> bool:
        return self._lifecycle.state is State.STARTED

    @property
    def starting(self) -> bool:
        return self._lifecycle.starting

    def check_usable(self) -> None:
        """Check that the manager may be used.

        Raises:
            StateError: it was stopped or lost its loop.
        """
        self._lifecycle.check_usable()

    def check_not_failed(self) -> None:
        """Check that a started engine can go on.

        Raises:
            ConnectionLostError: its provider has stopped reconnecting.
        """
        if self.failure is not None:
            raise ConnectionLostError(str(self.failure)) from self.failure

    def check_process(self) -> None:
        """Refuse a process that was forked after the manager got its loop.

        Raises:
            StateError: it is such a process.
        """
        self._loop.check_process()

    async def start(self) -> None:
        """Start the engine, or join the start in progress; from any loop."""
        self.check_process()
        self._lifecycle.forget_ended_loop()
        self.ended.clear()
        self.failure = None
        background = self._engine.background_start is not None
        await self._loop.run(self._start_in_background if background else self._start_consuming)

    async def connect(self) -> None:
        """Start the engine without attaching its subscriptions; from any loop. Does nothing if it is started."""
        self._lifecycle.forget_ended_loop()
        await self._loop.run(self._connect_only)

    def stop_from_anywhere(self) -> Stop:
        """Stop the engine, now or when the returned coroutine is awaited.

        A handler must not wait for a stop, because the stop waits for the handler.

        =================  ==============================  ===========================  ===========================
        loop running here  loop of the manager             outside of handlers          within a handler
        =================  ==============================  ===========================  ===========================
        any                of the caller or another one    stops when awaited           begins a stop
        any                in a thread of its own          stops when awaited           stops in another thread
        none               the caller's, not running       stops when awaited           stops when awaited
        none               the caller's, in another thread waits for a stop there       begins a stop there
        none               in a thread of its own          stops here, then returns     stops in another thread
        none               none yet                        stops here, then returns     stops in another thread
        =================  ==============================  ===========================  ===========================
        """
        self.check_process()
        within_handler = self._engine.handles_here
        # Read in this order: another stop may clear both meanwhile.
        owned, loop = self._loop.owns_loop, self._loop.loop
        if within_handler and not owned and running_loop() is not None:
            # In a context of its own: it is not a part of the handling.
            Context().run(self._background.spawn, self.stop())
            return cast("Stop", Completed(None))
        if not within_handler and (running_loop() is not None or (loop is not None and not loop.is_running())):
            return cast("Stop", self.stop())
        if loop is not None and not owned:
            stopping = asyncio.run_coroutine_threadsafe(self.stop(), loop)
            if not within_handler:
                stopping.result()
        elif within_handler:
            threading.Thread(target=self._stop_here, name="aspyx-event-stop").start()
        else:
            self._stop_here()
        return cast("Stop", Completed(None))

    def force_stop(self) -> None:
        """Give running handlers no more time, in the current stop or else in the next. From any thread."""
        loop = self._loop.loop
        if loop is None or loop.is_closed():
            self._engine.force_stop()
        else:
            loop.call_soon_threadsafe(self._engine.force_stop)

    def _stop_here(self) -> None:
        # A single stop at a time: the first ends the loop that a second would use.
        with self._stopping:
            asyncio.run(self.stop())

    async def stop(self) -> None:
        """Stop the engine; from any loop. Does not raise."""
        try:
            if self._loop.loop is None:
                await self._lifecycle.stop()
            else:
                await self._loop.run(self._lifecycle.stop)
        except StateError as error:
            logger.warning("not stopped in order: %s", error)
            self._lifecycle.lose()
        except Exception:  # the container would leave every other bean undestroyed
            logger.exception("stopping the event manager failed")
        self.failure = None
        self.ended.set()
        # The next start may happen on another loop. A loop in a thread of its own cannot end itself.
        if not (self._loop.owns_loop and self._loop.here()):
            self._loop.unbind()

    def _on_give_up(self, reason: Exception) -> None:
        self.failure = reason
        self.ended.set()

    def control(self, work: Work) -> Operation[Any]:
        """Run *work* on the manager's loop, without starting the engine."""
        return self._loop.control(work)

    def run_started(
        self, work: Work, undo: Callable[[], Any] | None = None, *, tolerates_missing: bool = False
    ) -> Operation[Any]:
        """Run *work* on the manager's loop, and start the engine first if it was not started yet.

        Args:
            work: Makes the coroutine to run.
            undo: Called when the start or the work failed.
            tolerates_missing: Start although a handler requires another one that is not subscribed yet.

        Raises:
            StateError: the manager is stopped.
        """
        self.check_usable()

        async def start_first() -> Any:
            if self._lifecycle.state is State.NEW and self._engine.background_start is not None:
                await self._wait_started()  # without `undo`: the start in the background goes on
            try:
                if self._lifecycle.state is State.NEW:
                    if tolerates_missing:
                        self._engine.tolerates_missing = True
                    await self._lifecycle.start_on_use()
                return await work()
            except BaseException:
                if undo is not None:
                    undo()
                raise

        return self.control(start_first)

    async def _start_consuming(self) -> None:
        if self._lifecycle.at_rest:
            self._engine.consumes = True
        self._engine.tolerates_missing = False
        await self._lifecycle.start()
        await self._engine.consume()

    async def _start_in_background(self) -> None:
        """Begin a start that does not fail while the broker is away. Errors of declarations are raised at once."""
        if self._lifecycle.at_rest:
            self._engine.consumes = True
            self._engine.prepare()
            self._lifecycle.reopen()
            # In a context of its own: it is not a part of what the caller does.
            Context().run(self._background.spawn, self._finish_start())
        elif not self._lifecycle.starting:
            await self._start_consuming()

    async def _finish_start(self) -> None:
        try:
            await self._start_consuming()
        except Exception as error:
            background = self._engine.background_start
            if background is not None and background.failed:  # otherwise a stop has ended it
                logger.error("the start in the background failed: %s", error_text(error), exc_info=error)
                self._on_give_up(error)

    async def _wait_started(self) -> None:
        """Wait for the start in the background.

        Raises:
            ConnectError: the manager is not started in time.
        """
        seconds = self._engine.confirm_timeout
        try:
            await within(self._lifecycle.start_on_use(), seconds)
        except asyncio.TimeoutError:
            background = self._engine.background_start
            error = background.error if background is not None else None
            reason = error_text(error) if error is not None else "the broker did not answer"
            raise ConnectError(f"the event manager is not started within {seconds:g} s ({reason})") from None

    async def _connect_only(self) -> None:
        if self._lifecycle.at_rest:
            self._engine.consumes = False
        try:
            await self._lifecycle.start()
        except BaseException:
            self._engine.consumes = True  # for the next start, which may be caused by a send
            raise
