"""Serving an environment until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import AsyncExitStack

from aspyx.di import Environment

from ..engine.runtime.threads import Worker
from ..http.health_app import HealthApp
from ..manager import EventManager
from .probes import ProbeServer

logger = logging.getLogger("aspyx.event")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Seconds for threads that have nothing to do to end.
_THREADS_END = 1.0


class Service:
    """Starts an environment, waits for a signal, stops it.

    The first signal stops; the second lets running handlers wait no longer; the third ends the process as if nobody
    cared for signals.

    Args:
        environment: With the event manager and all listeners, not started.
        manager: Of the environment.
        name: What is served, for the log.
    """

    def __init__(self, environment: Environment, manager: EventManager, name: str) -> None:
        self._environment, self._manager, self._name = environment, manager, name
        self._signals = 0

    async def run(self, probes: tuple[str, int] | None) -> None:
        """Serve. Everything that was started is stopped on the way out.

        Args:
            probes: Host and port on which to answer health probes, None for none.
        """
        loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        async with AsyncExitStack() as stack:
            if probes is not None:
                server = await stack.enter_async_context(ProbeServer(HealthApp(self._manager.health), *probes))
                logger.info("probes at http://%s:%d/livez and /readyz", probes[0], server.port)
            try:
                await self._start()
            except Exception:
                await self._stop_what_started()
                raise
            if not self._asked.is_set():
                logger.info("serving %s in process %d; SIGTERM or Ctrl-C stops it", self._name, os.getpid())
            await self._asked.wait()
            began = loop.time()
            await self._environment.stop()
            logger.info("stopped in %.1f s", loop.time() - began)

    async def _stop_what_started(self) -> None:
        try:
            await self._environment.stop()
        except Exception as error:  # noqa: BLE001 - the error of the start is the one to tell
            logger.warning("not stopped in order: %s", error)

    async def _start(self) -> None:
        """Start the environment, or give up when a signal comes first."""
        starting = asyncio.ensure_future(self._environment.start())
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
            if not starting.cancelled():
                starting.result()
        finally:
            asked.cancel()

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        self._asked.set()
        name = signal.Signals(number).name
        if self._signals == 1:
            logger.info("%s: stopping; running handlers have %g s", name, self._manager.stop_timeout)
            return
        logger.warning("%s again: running handlers are cancelled, their events come again", name)
        self._manager.stop(force=True).close()
        for one in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(one)
            signal.signal(one, signal.SIG_DFL)


def threads_left() -> list[str]:
    """Return the names of threads that would keep the process from ending: sync handlers that never come back."""
    end = time.monotonic() + _THREADS_END
    lasting = [one for one in threading.enumerate() if not one.daemon or isinstance(one, Worker)]
    others = [one for one in lasting if one is not threading.current_thread()]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    return [thread.name for thread in others if thread.is_alive()]
