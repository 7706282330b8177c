"""`Sender`: what `EventManager.send_event` does, from the event to its `Receipt`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from ...context import current_context
from ...deadlines import within
from ...envelope import NO_OPTIONS, Envelope, SendOptions
from ...events import EventDescriptor
from ...exceptions import BufferFullError, ConfirmTimeoutError, DeclarationError
from ...futures import failed
from ...providers.base import Provider
from ...registry import EventRegistry
from ...topics import Topic, TopicRegistry
from ..runtime.lifecycle import Lifecycle, State
from ..runtime.loop import EventLoopRunner, running_loop
from ..runtime.operations import Completed, FutureLike
from .factory import EnvelopeFactory
from .publisher import check_send_options
from .receipt import Receipt
from .sending import Sending, SendsBeforeStart

#: Events that may wait for a start in the background.
_MAX_EARLY = 10_000


class Sender:
    """Sends events from any thread and any loop; the first send starts the manager.

    The event becomes an envelope in the calling thread. The interceptors and the provider get it on the manager's loop.

    Args:
        provider: Decides which options are supported.
        events: Finds the descriptor of an event.
        topics: The topics that an event may be sent on.
        factory: Makes the envelope.
        sending: Takes the envelope through the interceptors to the provider.
        lifecycle: Of the manager.
        loop: The manager's loop.

    Attributes:
        early: The sends that wait until the manager is started.
    """

    def __init__(
        self,
        provider: Provider,
        events: EventRegistry,
        topics: TopicRegistry,
        factory: EnvelopeFactory,
        sending: Sending,
        lifecycle: Lifecycle,
        loop: EventLoopRunner,
    ) -> None:
        self._provider, self._events, self._topics = provider, events, topics
        self._factory, self._sending = factory, sending
        self._lifecycle, self._loop, self._report = lifecycle, loop, loop.report
        self.early = SendsBeforeStart(sending)
        #: The manager starts in the background: sends before that are limited in number and time.
        self.background = False
        self._starting: asyncio.Task[None] | None = None

    def send_event(
        self,
        event: Any,
        headers: Mapping[str, str] | None,
        key: str | None,
        delay: float,
        ttl: float | None,
        priority: int | None,
        require_route: bool,
        topic: Topic | str | None,
        timeout: float | None,
    ) -> Receipt:
        """Send *event*; see `EventManager.send_event`. The arguments are positional because each send passes them."""
        if self._lifecycle.state is not State.STARTED:
            self._lifecycle.check_usable()
        running = running_loop()
        descriptor = self._events.of(event)
        # A handler must not wait for handlers: it could wait for itself.
        wait_handled = running is None and current_context() is None
        options = NO_OPTIONS
        channel = None if topic is None else self._channel(topic, event)
        if (
            key is not None
            or delay
            or ttl is not None
            or priority is not None
            or require_route
            or wait_handled
            or channel is not None
        ):
            options = SendOptions(
                key=key,
                delay=delay,
                ttl=ttl,
                priority=priority,
                require_route=require_route,
                wait_handled=wait_handled,
                address=channel.name if channel is not None else "",
                durable=channel.durable if channel is not None else None,
            )
            check_send_options(options, self._provider)
        envelope = self._factory.make(event, descriptor, headers, options)
        if timeout is None:
            sent = self._send(envelope, descriptor, running)
        else:
            _check_timeout(timeout)
            sent = self._loop.run(lambda: self._send_within(envelope, descriptor, timeout))
        return Receipt(sent, self._report, envelope, descriptor)

    def _channel(self, topic: Topic | str, event: Any) -> Topic:
        channel = self._topics.resolve(topic)
        channel.check_carries(type(event))
        return channel

    def _send(
        self, envelope: Envelope, descriptor: EventDescriptor, running: asyncio.AbstractEventLoop | None
    ) -> FutureLike[None] | Completed[None]:
        """Send an envelope on the manager's loop.

        ==================  ===========================================================================
        loop running here   returns
        ==================  ===========================================================================
        the manager's       the send, or, before the start is over, a future that waits for the start
        another             a future of that loop
        none                when the provider has confirmed
        ==================  ===========================================================================
        """
        if running is not (self._loop.loop or self._loop.bind()):
            return self._loop.run(lambda: self._send_on_loop(envelope, descriptor))
        if self._lifecycle.state is State.NEW:
            return self._send_after_start(envelope, descriptor)
        return self._sending.send(envelope, descriptor)

    async def _send_on_loop(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        if self._lifecycle.state is State.NEW:
            await self._send_after_start(envelope, descriptor)
        else:
            await self._sending.send(envelope, descriptor)

    async def _send_within(self, envelope: Envelope, descriptor: EventDescriptor, timeout: float) -> None:
        await self._wait_limited(self._send_on_loop(envelope, descriptor), envelope, descriptor, timeout)

    async def _wait_limited(
        self, sent: Awaitable[None], envelope: Envelope, descriptor: EventDescriptor, timeout: float
    ) -> None:
        try:
            # What is cancelled before it has left is not sent.
            await within(sent, timeout)
        except asyncio.TimeoutError as error:
            if isinstance(error, ConfirmTimeoutError):
                raise
            raise ConfirmTimeoutError(
                f"event {descriptor.name!r} (id {envelope.id}) was not confirmed within {timeout:g} s: it is not sent any "
                "more, unless it had left already"
            ) from None

    def _send_after_start(self, envelope: Envelope, descriptor: EventDescriptor) -> asyncio.Future[None]:
        if self.background and self.early.waiting >= _MAX_EARLY:
            return failed(
                BufferFullError(
                    f"event {descriptor.name!r}: {_MAX_EARLY:,} events wait for the first connection to the broker"
                )
            )
        future = self.early.add(envelope, descriptor)
        loop = asyncio.get_running_loop()
        if self._starting is None:
            self._starting = loop.create_task(self._start())
        if not self.background:
            return future
        return loop.create_task(self._wait_limited(future, envelope, descriptor, self._provider.confirm_timeout))

    async def _start(self) -> None:
        try:
            await self._lifecycle.start_on_use()
        except BaseException as error:
            self.early.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._starting = None


def _check_timeout(timeout: float) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise DeclarationError(f"send_event(timeout={timeout!r}): give a number of seconds > 0, or None")
