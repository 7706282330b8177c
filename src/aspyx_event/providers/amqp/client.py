"""`Client`: a supervised AMQP connection; attaches its links again after each reconnect."""

from __future__ import annotations

import asyncio
import uuid
from itertools import islice
from typing import Any

from ...deadlines import within
from ...exceptions import ConfirmTimeoutError, ConnectError, ConnectionLostError, EventException, NoRouteError
from ...futures import TaskSet, failed, outcome_of
from ..artemis import selector, volatile_link_name
from ..base import AddressKind, Binding, Consume, Consumer
from ..broker_limits import BrokerLimits
from ..buffer import SendBuffer
from ..connection import Supervisor
from ..settings import ConnectionSettings
from .links import SupervisedLink, logger
from .management import ADDRESS, Management, Replies
from .receiver import Receiver
from .sender import Sender
from .volatile import VolatileReceiver
from .wire import Wire

# Seconds that `stop` waits for confirmations, and for the broker's answers to detaches and to the close.
_FLUSH_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 2.0
_TOPIC = AddressKind.TOPIC
# Senders that stay open: a session has 65,536 handles, and a program may send to addresses that others make up. More are
# open only while each of them has an unconfirmed message.
_MAX_SENDERS = 1000


class Client:
    """A connection and its links, on the loop that was running when it was constructed.

    Args:
        settings: Prepared to connect.
        mechanism: SASL mechanism: PLAIN, ANONYMOUS or EXTERNAL.
        name: First part of the container id, by which an operator finds the connection on the broker.
    """

    def __init__(self, settings: ConnectionSettings, mechanism: str, name: str) -> None:
        self.settings, self._mechanism = settings, mechanism
        self.container_id = f"{name}-{uuid.uuid4().hex[:8]}"
        self._loop = asyncio.get_running_loop()
        self._supervisor: Supervisor[Wire] = Supervisor(
            settings, self._connect, self._attach_all, self._on_down, self._fail_links
        )
        self._starting = asyncio.Lock()
        self._started = self._stopped = False
        self._links: dict[SupervisedLink, None] = {}  # in the order of their creation
        #: Senders to topics by address, others by address and kind.
        self._senders: dict[str | tuple[str, AddressKind | None], Sender] = {}
        self._management = Management(self._send_request, self._attach_replies)
        self._limits = BrokerLimits(self._management.address_settings, settings.connect_timeout)
        self._may_manage = True  # until a request is refused
        #: Publishing of messages with `require_route`.
        self._routed = TaskSet()
        #: By address: done when the latest message with `require_route` was sent or refused.
        self._turns: dict[str, asyncio.Future[None]] = {}
        #: Links that wait to be attached again.
        self._timers: dict[SupervisedLink, asyncio.TimerHandle] = {}
        self._buffer = SendBuffer(settings)
        self._flushed: asyncio.Event = asyncio.Event()

    @property
    def where(self) -> str:
        """The broker that is connected, or is tried next."""
        return self._supervisor.current.where

    @property
    def connected(self) -> bool:
        return self._supervisor.wire is not None

    @property
    def reconnect_exhausted(self) -> bool:
        return self._supervisor.reconnect_exhausted

    @property
    def unconfirmed(self) -> int:
        return self._buffer.count

    @property
    def reconnects(self) -> int:
        return self._supervisor.reconnects

    async def start(self) -> None:
        """Connect, once; raises what `Supervisor.start` raises."""
        async with self._starting:
            if not self._started:
                await self._supervisor.start()
                self._started = True
                if self._stopped:  # in the meantime
                    await self._disconnect()
                    raise ConnectionLostError(f"{self.settings.where}: the provider is stopped")

    async def stop(self) -> None:
        """Wait for confirmations, close links and connection, and fail the messages that are still unconfirmed."""
        if self._buffer.count and not self._stopped:
            await self._flush(min(_FLUSH_TIMEOUT, self.settings.confirm_timeout))
        self._stopped = True
        await self._limits.close()
        self._routed.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        error = ConnectionLostError(f"{self.settings.where}: the provider is stopped")
        links = list(self._links)
        await asyncio.gather(*(link.close() for link in links if isinstance(link, Receiver)))
        await self._disconnect()
        for link in links:
            if isinstance(link, (Sender, Receiver)):
                link.fail(error)
        self._links.clear()
        self._senders.clear()

    def _fail_links(self, error: ConnectionLostError) -> None:
        """There will not be another connection: fail everything that waits for one."""
        self._routed.cancel()
        for link in list(self._links):
            if isinstance(link, (Sender, Receiver)):
                link.fail(error)

    async def _disconnect(self) -> None:
        wire = await self._supervisor.stop()
        if wire is not None:
            await wire.close(_CLOSE_TIMEOUT)

    async def _flush(self, timeout: float) -> None:
        self._flushed.clear()
        try:
            await within(self._flushed.wait(), timeout)
        except asyncio.TimeoutError:
            logger.warning(
                "%d messages are unconfirmed by the %s %g s after stop()",
                self._buffer.count,
                self.where,
                timeout,
            )

    def publish(
        self, address: str, kind: AddressKind, data: bytes, *, require_route: bool = False
    ) -> asyncio.Future[None]:
        """Send *data*, an encoded message; see `Provider.publish`."""
        if self._stopped:
            return failed(ConnectionLostError(f"{self.settings.where}: the provider is stopped"))
        if self._supervisor.end is not None:
            return failed(ConnectionLostError(f"publish to {address!r}: {self._supervisor.end}"))
        refusal = self._buffer.try_add(address, len(data))
        if refusal is not None:
            return failed(refusal)
        if not require_route or kind is AddressKind.QUEUE:  # a queue needs no route
            sender = self._senders.get(address) if kind is _TOPIC else None
            return (sender or self._sender(address, kind)).send(data)
        handed_over: asyncio.Future[None] = self._loop.create_future()
        task = self._routed.spawn(self._publish_routed(address, kind, data, handed_over))
        # Not in the task, which may be cancelled before its first step. The sender counts what it got.
        task.add_done_callback(lambda _: None if handed_over.done() else self.settled(len(data)))
        return outcome_of(
            task,
            lambda: self._supervisor.end or ConnectionLostError(f"publish to {address!r}: the provider is stopped"),
        )

    async def _publish_routed(
        self, address: str, kind: AddressKind, data: bytes, handed_over: asyncio.Future[None]
    ) -> None:
        limit = self.settings.confirm_timeout
        end = self._loop.time() + limit
        # The management's answers do not always arrive in the order of the requests.
        previous, turn = self._turns.get(address), self._loop.create_future()
        self._turns[address] = turn
        try:
            try:
                if not await within(self._management.has_route(address), limit):
                    raise NoRouteError(f"event {address!r}: no listener's queue is bound to it at the {self.where}")
                if previous is not None:
                    await asyncio.wait([previous])
                confirmed = self._sender(address, kind).send(data)
                handed_over.set_result(None)
            finally:
                turn.set_result(None)
                if self._turns.get(address) is turn:
                    del self._turns[address]
            await within(confirmed, end - self._loop.time())
        except asyncio.TimeoutError as error:
            if isinstance(error, ConfirmTimeoutError):
                raise
            raise ConfirmTimeoutError(
                f"no confirmation for a message to {address!r}, or of its route, within {limit:g} s"
            ) from None

    async def _send_request(self, data: bytes) -> None:
        self._buffer.add(len(data))
        await self._sender(ADDRESS, None).send(data)

    async def _attach_replies(self) -> Replies:
        replies = Replies(self, _CLOSE_TIMEOUT)
        await self._attach(replies, "the management's answers")
        return replies

    def _sender(self, address: str, kind: AddressKind | None) -> Sender:
        key = address if kind is _TOPIC else (address, kind)
        sender = self._senders.get(key)
        if sender is None:
            if len(self._senders) >= _MAX_SENDERS:
                self._close_idle_sender()
            sender = Sender(self, address, kind.value if kind is not None else "", self.settings.confirm_timeout)
            self._senders[key] = sender
            self._links[sender] = None
        return sender

    def _close_idle_sender(self) -> None:
        """Close an idle sender, if possible a sender that has sent nothing since the last search ("second chance")."""
        idle: tuple[Any, Sender] | None = None
        for key, sender in list(islice(self._senders.items(), _MAX_SENDERS)):
            if sender.is_idle:
                if not sender.was_used():
                    idle = key, sender
                    break
                idle = idle or (key, sender)
            self._senders[key] = self._senders.pop(key)  # to the end
        if idle is not None:
            key, sender = idle
            del self._senders[key], self._links[sender]
            sender.close()

    def attach_now(self, link: SupervisedLink) -> None:
        wire = self._supervisor.wire
        if wire is not None and link not in self._timers:
            link.attach(wire)

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        """Attach a consumer; see `Provider.subscribe`."""
        receiver = self._receiver(binding, consume)
        await self._attach(receiver, binding.label or repr(binding.address))
        self._limits.check(binding)
        return receiver

    async def queue_exists(self, name: str) -> bool:
        """See `Provider.queue_exists`."""
        if not self._may_manage:
            return True
        try:
            return await within(self._management.has_route(name), self.settings.connect_timeout)
        except EventException as error:
            self._may_manage = False
            logger.debug("whether queues exist is not checked: %s", error)
        except (asyncio.TimeoutError, ValueError) as error:
            logger.debug("whether the queue %r exists cannot be checked: %r", name, error)
        return True

    async def _attach(self, receiver: Receiver, subject: str) -> None:
        if self._supervisor.end is not None:
            raise ConnectError(str(self._supervisor.end))
        self._links[receiver] = None
        if self._supervisor.wire is not None:
            receiver.attach(self._supervisor.wire)
        limit = self.settings.confirm_timeout
        try:
            await within(receiver.ready, limit)
        except asyncio.TimeoutError:
            await receiver.close()
            raise ConnectError(
                f"{self.where}: {subject} was not attached within {limit:g} s "
                f"({self._supervisor.error or 'the broker did not answer'})"
            ) from None
        except BaseException:
            await receiver.close()
            raise

    def _receiver(self, binding: Binding, consume: Consume) -> Receiver:
        address, subject = binding.address, f"address {binding.address!r}"
        is_queue_of_topic = binding.kind is AddressKind.TOPIC and binding.queue is not None
        if is_queue_of_topic:
            subject = f"queue {binding.queue!r} of {subject}"
        options: dict[str, Any] = {
            "window": max(1, binding.prefetch),
            "consume": consume,
            "subject": f"{subject} for {binding.label}" if binding.label else subject,
            "close_timeout": _CLOSE_TIMEOUT,
            "selector": selector(binding),
            "max_message_size": self.settings.max_message_size,
        }
        if is_queue_of_topic and not binding.durable:
            return VolatileReceiver(self, address, name=volatile_link_name(address, binding.queue or ""), **options)
        if is_queue_of_topic:
            address = f"{address}::{binding.queue}"
        return Receiver(self, address, (binding.kind.value,), **options)

    def forget(self, link: SupervisedLink) -> None:
        self._links.pop(link, None)
        timer = self._timers.pop(link, None)
        if timer is not None:
            timer.cancel()
        for key, sender in list(self._senders.items()):
            if sender is link:
                del self._senders[key]

    def attach_later(self, link: SupervisedLink) -> None:
        if link in self._links and link not in self._timers:
            self._timers[link] = self._loop.call_later(self.settings.backoff[1], self._attach_again, link)

    def settled(self, size: int) -> None:
        buffer = self._buffer
        buffer.remove(size)
        if not buffer.count:
            self._flushed.set()

    def _attach_again(self, link: SupervisedLink) -> None:
        self._timers.pop(link, None)
        wire = self._supervisor.wire
        if wire is not None and link in self._links:
            link.attach(wire)

    def _attach_all(self, wire: Wire) -> None:
        for link in list(self._links):
            if isinstance(link, Sender) and link.is_idle:
                continue  # the next publish attaches it
            link.attach(wire)

    def _on_down(self, reason: Exception) -> None:
        # The wire has called `on_lost` of its links already.
        logger.debug("connection down: %s", reason)

    async def _connect(self, settings: ConnectionSettings) -> Wire:
        wire = Wire(settings, self.container_id, self._mechanism)
        try:
            await self._loop.create_connection(
                lambda: wire,
                settings.host,
                settings.port,
                ssl=settings.ssl,
                server_hostname=settings.host if settings.ssl else None,
            )
            await wire.opened
        except UnicodeError as error:  # from the host name's IDNA encoding
            raise ConnectError(f"{settings.where}: {settings.host!r} is not a host name; check host=") from error
        except BaseException:
            wire.abort(ConnectionLostError(f"{settings.where}: no answer in time"))
            raise
        return wire
