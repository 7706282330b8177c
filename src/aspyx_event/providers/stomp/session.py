"""The parts of a started provider: the connection, its consumers and the management client. Imports stomp.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ...deadlines import within
from ...exceptions import ConfirmTimeoutError, ConnectError, ConnectionLostError, EventException
from ...futures import TaskSet, outcome_of
from ...safe_logger import SafeLogger
from ..artemis import destination
from ..base import Binding, Consume, Outgoing
from ..broker_limits import BrokerLimits
from ..settings import ConnectionSettings
from .client import StompClient
from .consumers import StompConsumer
from .management import ManagementClient
from .queues import QueueAdmin
from .wire import StompWire

logger = SafeLogger(logging.getLogger("aspyx.event.stomp"))

# Seconds before the next attempt to subscribe after the connection was lost during an attempt.
_LOST_PAUSE = 0.1
# First and largest wait, in seconds, before the next attempt after the broker refused a subscription. Each refusal
# costs the connection, so this is slower than reconnecting.
_REFUSED_BACKOFF = (1.0, 30.0)
_MAX_FLUSH = 10.0


class _RetryTimer:
    """The wait before the next attempt to subscribe."""

    __slots__ = ("_error", "_seconds", "_timer")

    def __init__(self) -> None:
        self._seconds = _REFUSED_BACKOFF[0]
        self._timer: asyncio.TimerHandle | None = None
        self._error = ""

    def is_new(self, error: str) -> bool:
        """Return whether the last attempt did not fail with the same error."""
        last, self._error = self._error, error
        return error != last

    @property
    def waiting(self) -> bool:
        return self._timer is not None

    def wait(self, seconds: float, wake: Callable[[], None]) -> None:
        def over() -> None:
            self._timer = None
            wake()

        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, over)

    def back_off(self, wake: Callable[[], None]) -> float:
        """Wait twice as long as the last time; return the seconds."""
        seconds, self._seconds = self._seconds, min(self._seconds * 2, _REFUSED_BACKOFF[1])
        self.wait(seconds, wake)
        return seconds

    def reset(self) -> None:
        self._seconds, self._error = _REFUSED_BACKOFF[0], ""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class StompSession:
    """A provider between `start` and `stop`."""

    def __init__(self, settings: ConnectionSettings, vhost: str | None) -> None:
        self._settings = settings
        self.client = StompClient(settings, vhost, self._on_connected, self._on_disconnected)
        self._management = ManagementClient(lambda: self.client.current, vhost)
        self._queues = QueueAdmin(self._management)
        self._limits = BrokerLimits(self._management.address_settings, 2 * settings.connect_timeout)
        self._consumers: dict[StompConsumer, _RetryTimer] = {}
        self._wake = asyncio.Event()
        self._attach_task: asyncio.Task[None] | None = None
        self._stopping = False
        #: Publishes that first check whether the message has a route.
        self._routed_publishes = TaskSet()

    @property
    def connected(self) -> bool:
        return self.client.wire is not None

    @property
    def reconnect_exhausted(self) -> bool:
        return self.client.reconnect_exhausted

    @property
    def reconnects(self) -> int:
        return self.client.reconnects

    @property
    def unconfirmed(self) -> int:
        return self.client.unconfirmed

    async def start(self) -> None:
        """Connect; raises as `Provider.start`."""
        await self.client.start()
        self._attach_task = asyncio.get_running_loop().create_task(
            self._keep_attached(), name=f"subscriptions {self._settings.where}"
        )

    async def stop(self) -> None:
        """Flush, detach from every queue, disconnect."""
        self._stopping = True
        end = asyncio.get_running_loop().time() + min(self._settings.confirm_timeout, _MAX_FLUSH)
        if self._routed_publishes:
            await asyncio.wait(self._routed_publishes, timeout=min(self._settings.confirm_timeout, _MAX_FLUSH))
        if self._attach_task is not None:
            self._attach_task.cancel()
            await asyncio.gather(self._attach_task, return_exceptions=True)
        await self.client.flush(max(0.0, end - asyncio.get_running_loop().time()))
        # Detach before the connection is closed: otherwise messages that wait here unhandled would count as delivered.
        for consumer in list(self._consumers):
            await consumer.close()
        self._routed_publishes.cancel()
        await self._limits.close()
        await self._management.close()
        await self.client.stop()

    async def subscribe(self, binding: Binding, consume: Consume) -> StompConsumer:
        """As `Provider.subscribe`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.start_timeout
        consumer = StompConsumer(self.client, self._queues, binding, consume)
        while True:
            await self.client.connected(max(end - loop.time(), 0.01))
            try:
                await consumer.attach()
            except ConnectionLostError as error:
                if loop.time() >= end:
                    raise ConnectError(str(error)) from error
                await asyncio.sleep(0.01)
            else:
                break
        if self._stopping:
            await consumer.close()
            raise ConnectionLostError(f"subscribe to {binding.address!r}: the provider is stopping")
        self._consumers[consumer] = _RetryTimer()
        consumer.on_close = self._remove
        self._limits.check(binding)
        return consumer

    async def queue_exists(self, name: str) -> bool:
        """As `Provider.queue_exists`."""
        try:
            return await self._queues.exists(name)
        except EventException as error:
            logger.debug("whether the queue %r exists cannot be checked: %s", name, error)
            return True

    def publish_if_routed(self, message: Outgoing) -> asyncio.Future[None]:
        """As `StompClient.send`, after checking that a queue is bound to the address."""
        operation = f"publish to {destination(message)!r}"
        return outcome_of(
            self._routed_publishes.spawn(self._publish_if_routed(message)),
            lambda: ConnectionLostError(f"{operation}: the provider was stopped before it was confirmed"),
        )

    async def _publish_if_routed(self, message: Outgoing) -> None:
        async def publish() -> None:
            while True:
                try:
                    await self._queues.require_route(destination(message))
                except ConnectionLostError:
                    if self.client.reconnect_exhausted:
                        break
                    await asyncio.sleep(_LOST_PAUSE)
                else:
                    break
            await self.client.send(message)

        try:
            await within(publish(), self._settings.confirm_timeout)
        except ConfirmTimeoutError:
            raise
        except asyncio.TimeoutError:
            raise ConfirmTimeoutError(
                f"publish to {destination(message)!r}: no confirmation within {self._settings.confirm_timeout:g} s"
            ) from None

    def _remove(self, consumer: StompConsumer) -> None:
        timer = self._consumers.pop(consumer, None)
        if timer is not None:
            timer.reset()

    def _on_connected(self, _wire: StompWire) -> None:
        self._wake.set()

    def _on_disconnected(self) -> None:
        for consumer in self._consumers:
            consumer.on_disconnected()

    async def _keep_attached(self) -> None:
        """Attach every detached consumer, in turn, whenever there is a connection."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for consumer, timer in list(self._consumers.items()):
                if self.client.wire is None:
                    break
                if not consumer.attached and not timer.waiting:
                    await self._attach(consumer, timer)

    async def _attach(self, consumer: StompConsumer, timer: _RetryTimer) -> None:
        try:
            await consumer.attach()
        except ConnectionLostError as error:
            logger.log(logging.INFO if timer.is_new(str(error)) else logging.DEBUG, "%s", error)
            timer.wait(_LOST_PAUSE, self._wake.set)
        except EventException as error:
            # Retried for ever: administrators fix rights and queues while applications run.
            seconds = timer.back_off(self._wake.set)
            logger.error("%s; trying again in %g s", error, seconds)
        except Exception:  # the failure of a consumer must not keep the others detached
            logger.exception("a subscription could not be restored; trying again")
            timer.back_off(self._wake.set)
        else:
            timer.reset()
