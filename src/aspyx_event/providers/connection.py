"""`Supervisor`: opens the connection to a broker and opens it again after each loss."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from ..deadlines import within
from ..error_text import printable_message
from ..exceptions import AuthenticationError, ConnectError, ConnectionLostError, ProviderError
from ..futures import TaskSet
from ..safe_logger import SafeLogger
from .settings import ConnectionSettings

logger = SafeLogger(logging.getLogger("aspyx.event.connection"))


class Connection(Protocol):
    """An open connection."""

    #: Done with the reason when the connection has ended. Never fails.
    closed: asyncio.Future[Exception]

    def abort(self, reason: Exception) -> None:
        """End the connection at once; the first reason is reported."""


C = TypeVar("C", bound=Connection)
# Errors that are remembered so that each is reported once.
_MAX_REPORTED = 100
# Seconds between two lines of the log while there is no connection.
_REMINDER_INTERVAL = 60.0
# Seconds before a supervision that was cancelled from outside, or failed, starts again.
_RESTART_DELAY = 0.05


class Supervisor(Generic[C]):
    """Keeps a connection open: opens it, and opens it again whenever it ends, until it is stopped.

    Args:
        settings: Brokers, time limits and hooks.
        connect: Opens a connection to the given broker; may raise whatever `ConnectionSettings.connect_error` maps.
        up: Called with each new connection; attaches links and resends unconfirmed messages.
        down: Called with the reason whenever a connection ended.
        exhausted: Called with the error for everything that waits, when there will not be another connection.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        connect: Callable[[ConnectionSettings], Awaitable[C]],
        up: Callable[[C], None],
        down: Callable[[Exception], None],
        exhausted: Callable[[ConnectionLostError], None],
    ) -> None:
        self.settings = settings
        self._connect, self._up, self._down, self._exhausted = connect, up, down, exhausted
        self.wire: C | None = None
        #: Connections opened after the first.
        self.reconnects = 0
        #: Why there is no connection now; None while connected.
        self.error: Exception | None = None
        #: Why there will not be a connection any more: `max_retries` attempts to reconnect have failed. None until then.
        self.end: ConnectionLostError | None = None
        #: The first is the broker in use, or the next to try.
        self._endpoints = settings.endpoints()
        self._hook_tasks = TaskSet()
        #: The texts of the errors that were logged and passed to `on_error` since the last connection.
        self._reported: set[str] = set()
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def reconnect_exhausted(self) -> bool:
        """True once `max_retries` attempts to reconnect have failed: there will not be a connection any more."""
        return self.end is not None

    @property
    def current(self) -> ConnectionSettings:
        """The settings of the broker that is connected, or is tried next."""
        return self._endpoints[0]

    async def start(self) -> None:
        """Connect for the first time; retry for `start_timeout`.

        Raises:
            ConnectError: the error of the last attempt; an `AuthenticationError` at once.
        """
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + self.settings.start_timeout, self.settings.backoff[0]
        while True:
            try:
                wire = await self._open()
                break
            except AuthenticationError:
                raise
            except ConnectError as error:
                self._report(error)
                if loop.time() + pause >= end:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.settings.backoff[1])
        self._supervise_in_task(wire)

    async def stop(self) -> C | None:
        """Stop reconnecting; return the open connection, which the caller closes."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        wire, self.wire = self.wire, None
        self._is_up.clear()
        return wire

    async def connected(self, timeout: float) -> C:
        """Return the open connection; wait for it if necessary.

        Raises:
            ConnectError: none within *timeout* seconds.
        """
        try:
            await within(self._is_up.wait(), timeout)
        except asyncio.TimeoutError:
            raise ConnectError(f"{self.current.where}: not connected for {timeout:g} s ({self.error})") from None
        if self.end is not None:
            raise ConnectError(str(self.end))
        if self.wire is None:
            raise ConnectionLostError(f"{self.settings.where}: the provider is stopped")
        return self.wire

    async def _open(self) -> C:
        """Return a new connection with everything attached; in `failover`, a failure makes the next broker the first.

        Raises:
            ProviderError: whatever was raised by `connect` and `up`, as an error of this kind.
        """
        endpoint = self.current
        try:
            wire = await within(self._connect(endpoint), endpoint.connect_timeout)
            try:
                self._opened(wire)
            except BaseException:
                self.wire = None
                wire.abort(ConnectionLostError(f"{endpoint.where}: the connection could not be used"))
                raise
        except ProviderError:
            self._endpoints.append(self._endpoints.pop(0))
            raise
        except Exception as error:
            self._endpoints.append(self._endpoints.pop(0))
            if not isinstance(error, (OSError, asyncio.TimeoutError)):
                logger.exception("connecting to the %s failed unexpectedly", endpoint.where)
            raise endpoint.connect_error(error) from error
        self._call_hook(self.settings.hooks.on_connect)
        return wire

    def _opened(self, wire: C) -> None:
        self.wire, self.error = wire, None
        self._reported.clear()
        self._up(wire)
        self._is_up.set()

    def _report(self, error: Exception) -> None:
        """Log the error of an attempt and call `on_error`, once for each text until there is a connection."""
        text = printable_message(error)
        known = text in self._reported
        logger.log(logging.DEBUG if known else logging.INFO, "not connected: %s", text)
        if not known and len(self._reported) < _MAX_REPORTED:
            self._reported.add(text)
            self._call_hook(self.settings.hooks.on_error, error)

    def _call_hook(self, hook: Callable[..., Any] | None, *arguments: Any) -> None:
        if hook is None:
            return
        try:
            result = hook(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException:  # a hook only observes: the connection must not depend on it
            logger.exception("a connection hook failed")
            return
        if inspect.isawaitable(result):
            self._hook_tasks.spawn(_finish_hook(result))

    def _supervise_in_task(self, wire: C | None) -> None:
        loop = asyncio.get_running_loop()
        self._task = task = loop.create_task(self._supervise(wire), name=f"supervise {self.settings.where}")

        def ended(task: asyncio.Task[None]) -> None:
            if self._task is not task or self.end is not None:
                return
            if not task.cancelled():
                logger.error("the supervision of a connection ended; starting it again", exc_info=task.exception())
            # Not at once, because at the end of a loop every task is cancelled: the loop is closed before the timer is due.
            loop.call_later(_RESTART_DELAY, restart)

        def restart() -> None:
            if self._task is task:
                self._supervise_in_task(self.wire)

        task.add_done_callback(ended)

    async def _supervise(self, wire: C | None) -> None:
        """Open the connection again whenever it ends; None is a connection that has ended already."""
        while True:
            reason = (
                await asyncio.shield(wire.closed) if wire is not None else self.error or ConnectionLostError("lost")
            )
            self.wire, self.error = None, reason
            self._is_up.clear()
            logger.warning("connection to the %s lost: %s; reconnecting", self.current.where, reason)
            try:
                self._down(reason)
            except Exception:
                logger.exception("the end of a connection was not handled completely")
            self._call_hook(self.settings.hooks.on_disconnect, reason)
            reconnected = await self._reconnect()
            if reconnected is None:
                return
            wire = reconnected
            self.reconnects += 1
            logger.info("connected again to the %s", self.current.where)

    async def _reconnect(self) -> C | None:
        """Return a new connection; None after `max_retries` failed attempts."""
        pause, longest = self.settings.backoff
        failures, lost, reminded = 0, monotonic(), monotonic()
        while True:
            # Jitter: the clients of a restarted broker must not all come back at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            try:
                return await self._open()
            except ProviderError as error:
                self.error = error
                self._report(error)
                failures += 1
                if self.settings.max_retries is not None and failures >= self.settings.max_retries:
                    self._give_up(failures, error)
                    return None
                if monotonic() - reminded > _REMINDER_INTERVAL:
                    reminded = monotonic()
                    logger.warning(
                        "not connected for %.0f s: %s; trying again", reminded - lost, printable_message(error)
                    )
                pause = min(pause * 2, longest)

    def _give_up(self, failures: int, error: ProviderError) -> None:
        """Tell everything that waits for a connection, and everybody who watches it, that there will not be another."""
        brokers = " and the ".join(endpoint.where for endpoint in self.settings.endpoints())
        self.end = ConnectionLostError(f"stopped reconnecting to the {brokers} after {failures} attempts: {error}")
        logger.error("%s", self.end)
        self._is_up.set()
        try:
            self._exhausted(self.end)
        except Exception:
            logger.exception("the end of reconnecting was not handled completely")
        self._call_hook(self.settings.hooks.on_give_up, self.end)


async def _finish_hook(result: Awaitable[Any]) -> None:
    try:
        await result
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException:  # SystemExit in a task would end the event loop
        logger.exception("a connection hook failed")
