"""Runs an environment until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import AsyncExitStack

from aspyx.di import Environment

from ..engine.runtime.threads import WorkerThread
from ..http.health_app import HealthApp
from ..manager import EventManager
from ..safe_logger import SafeLogger
from .http_server import HttpServer

logger = SafeLogger(logging.getLogger("aspyx.event"))
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Seconds that idle threads get to end.
_THREAD_TIMEOUT = 1.0


class Service:
    """Starts an environment, waits for a signal, stops it.

    The first signal stops the environment, the second cancels running handlers, the third has its default effect and
    kills the process.

    Args:
        environment: Has the event manager and all listeners; not started.
        manager: Event manager of the environment.
        name: Name for the log.
    """

    def __init__(self, environment: Environment, manager: EventManager, name: str) -> None:
        self._environment, self._manager, self._name = environment, manager, name
        self._signals = 0

    async def run(self, probes: tuple[str, int] | None) -> None:
        """Run until a signal. Everything that was started is stopped before this returns.

        Args:
            probes: Host and port to serve health probes on; None serves none.
        """
        loop = asyncio.get_running_loop()
        self._stop_requested = asyncio.Event()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        async with AsyncExitStack() as stack:
            if probes is not None:
                server = await stack.enter_async_context(HttpServer(HealthApp(self._manager.health), *probes))
                logger.info("probes at http://%s:%d/livez and /readyz", probes[0], server.port)
            try:
                await self._start()
            except Exception:
                await self._stop_after_failure()
                raise
            if not self._stop_requested.is_set():
                logger.info("serving %s in process %d; SIGTERM or Ctrl-C stops it", self._name, os.getpid())
            await self._wait_for_stop()
            began = loop.time()
            await self._environment.stop()
            logger.info("stopped in %.1f s", loop.time() - began)

    async def _wait_for_stop(self) -> None:
        """Wait for a signal; stop and raise if the manager cannot go on because its provider stopped reconnecting."""
        stop_requested = asyncio.ensure_future(self._stop_requested.wait())
        ended = asyncio.ensure_future(self._manager.wait_stopped())
        try:
            await asyncio.wait((stop_requested, ended), return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and ended.exception() is not None:
                await self._stop_after_failure()
                ended.result()
            await stop_requested
        finally:
            stop_requested.cancel()
            ended.cancel()

    async def _stop_after_failure(self) -> None:
        try:
            await self._environment.stop()
        except Exception as error:  # noqa: BLE001 - the error of the start is raised
            logger.warning("stopping failed: %s", error)

    async def _start(self) -> None:
        """Start the environment; a signal during the start cancels it."""
        starting = asyncio.ensure_future(self._environment.start())
        stop_requested = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait((starting, stop_requested), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
            if not starting.cancelled():
                starting.result()
        finally:
            stop_requested.cancel()

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        self._stop_requested.set()
        name = signal.Signals(number).name
        if self._signals == 1:
            logger.info("%s: stopping; running handlers get %g s", name, self._manager.stop_timeout)
            return
        logger.warning("%s again: cancelling running handlers; their events will be redelivered", name)
        self._manager.stop(force=True).close()
        for handled in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(handled)
            signal.signal(handled, signal.SIG_DFL)


def unfinished_threads() -> list[str]:
    """Return the names of threads that keep the process from exiting: sync handlers that do not return."""
    end = time.monotonic() + _THREAD_TIMEOUT
    blocking = [thread for thread in threading.enumerate() if not thread.daemon or isinstance(thread, WorkerThread)]
    others = [thread for thread in blocking if thread is not threading.current_thread()]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    return [thread.name for thread in others if thread.is_alive()]
