"""What a started provider has: the connection, its consumers and the questions to the broker. Imports stomp.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ...exceptions import ConfirmTimeoutError, ConnectError, ConnectionLostError, EventException
from ..artemis import target
from ..base import Binding, Consume, Outgoing
from ..broker_limits import BrokerLimits
from ..connection import ConnectionSettings
from .client import StompClient
from .consumers import StompConsumer
from .management import Management
from .queues import QueueKeeper
from .wire import StompWire

logger = logging.getLogger("aspyx.event.stomp")

# Seconds before a subscription is asked for again after the connection was lost under it.
_LOST = 0.1
# First and largest wait, in seconds, before a subscription that the broker refused is asked for again. Each refusal
# costs the connection, so this is slower than reconnecting.
_REFUSED = (1.0, 30.0)
_LONGEST_FLUSH = 10.0


class _Patience:
    """How long to wait before a subscription is asked for again."""

    __slots__ = ("_seconds", "_timer")

    def __init__(self) -> None:
        self._seconds = _REFUSED[0]
        self._timer: asyncio.TimerHandle | None = None

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

    def wait_longer(self, wake: Callable[[], None]) -> float:
        """Wait twice as long as the last time; return the seconds."""
        seconds, self._seconds = self._seconds, min(self._seconds * 2, _REFUSED[1])
        self.wait(seconds, wake)
        return seconds

    def reset(self) -> None:
        self._seconds = _REFUSED[0]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class StompSession:
    """Everything between `start` and `stop` of a provider."""

    def __init__(self, settings: ConnectionSettings, vhost: str | None) -> None:
        self._settings = settings
        self.client = StompClient(settings, vhost, self._up, self._down)
        self._management = Management(lambda: self.client.current, vhost)
        self._keeper = QueueKeeper(self._management)
        self._limits = BrokerLimits(self._management.address_settings, 2 * settings.connect_timeout)
        self._consumers: dict[StompConsumer, _Patience] = {}
        self._wake = asyncio.Event()
        self._joiner: asyncio.Task[None] | None = None
        self._stopping = False
        #: Messages whose route is being looked for.
        self._asking: set[asyncio.Task[None]] = set()

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
        self._joiner = asyncio.get_running_loop().create_task(
            self._keep_joined(), name=f"subscriptions {self._settings.where}"
        )

    async def stop(self) -> None:
        """Flush, leave every queue, disconnect."""
        self._stopping = True
        end = asyncio.get_running_loop().time() + min(self._settings.confirm_timeout, _LONGEST_FLUSH)
        if self._asking:
            await asyncio.wait(self._asking, timeout=min(self._settings.confirm_timeout, _LONGEST_FLUSH))
        if self._joiner is not None:
            self._joiner.cancel()
            await asyncio.gather(self._joiner, return_exceptions=True)
        await self.client.flush(max(0.0, end - asyncio.get_running_loop().time()))
        # Left before the connection is closed, or what waits here unhandled would count as delivered.
        for consumer in list(self._consumers):
            await consumer.close()
        for task in self._asking:
            task.cancel()
        await self._limits.close()
        await self._management.close()
        await self.client.stop()

    async def subscribe(self, binding: Binding, consume: Consume) -> StompConsumer:
        """As `Provider.subscribe`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.start_timeout
        consumer = StompConsumer(self.client, self._keeper, binding, consume)
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
        self._consumers[consumer] = _Patience()
        consumer.on_close = self._forget
        self._limits.look(binding)
        return consumer

    def publish_if_routed(self, message: Outgoing) -> asyncio.Future[None]:
        """As `StompClient.send`, after making sure that a queue is bound to the address."""
        task = asyncio.get_running_loop().create_task(self._publish_if_routed(message))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        # The caller's cancelling does not take the message back.
        return _outcome(task, f"publish to {target(message)!r}")

    async def _publish_if_routed(self, message: Outgoing) -> None:
        async def publish() -> None:
            while True:
                try:
                    await self._keeper.require_route(target(message))
                except ConnectionLostError:
                    await asyncio.sleep(_LOST)
                else:
                    break
            await self.client.send(message)

        try:
            await asyncio.wait_for(publish(), self._settings.confirm_timeout)
        except ConfirmTimeoutError:
            raise
        except asyncio.TimeoutError:
            raise ConfirmTimeoutError(
                f"publish to {target(message)!r}: no confirmation within {self._settings.confirm_timeout:g} s"
            ) from None

    def _forget(self, consumer: StompConsumer) -> None:
        patience = self._consumers.pop(consumer, None)
        if patience is not None:
            patience.reset()

    def _up(self, _wire: StompWire) -> None:
        self._wake.set()

    def _down(self) -> None:
        for consumer in self._consumers:
            consumer.lost()

    async def _keep_joined(self) -> None:
        """Attach every consumer that is not, one after the other, whenever there is a connection."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for consumer, patience in list(self._consumers.items()):
                if self.client.wire is None:
                    break
                if not consumer.attached and not patience.waiting:
                    await self._join(consumer, patience)

    async def _join(self, consumer: StompConsumer, patience: _Patience) -> None:
        try:
            await consumer.attach()
        except ConnectionLostError as error:
            logger.info("%s", error)
            patience.wait(_LOST, self._wake.set)
        except EventException as error:
            # Never given up: rights and queues are put right while applications run.
            seconds = patience.wait_longer(self._wake.set)
            logger.error("%s; asking again in %g s", error, seconds)
        except Exception:  # one consumer's trouble must not leave all of them deaf
            logger.exception("a subscription could not be made again; trying again")
            patience.wait_longer(self._wake.set)
        else:
            patience.reset()


def _outcome(task: asyncio.Task[None], what: str) -> asyncio.Future[None]:
    """Return a future with the outcome of *task*; cancelling it leaves the task alone."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            error: BaseException | None = ConnectionLostError(f"{what}: the provider was stopped before it was sent")
        else:
            error = task.exception()
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    task.add_done_callback(done)
    return future
