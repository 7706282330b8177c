"""`Sending`: envelope -> interceptors -> `Publisher`, and the sends that wait for the manager's start."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context, copy_context

from ...envelope import Envelope
from ...events import EventDescriptor
from ...futures import relay, settle
from ...observer import Observer
from ...pipeline import Chain
from .pending import PendingSend, PendingSends


class SendsBeforeStart:
    """Events that were sent before the start was over: they go first, in the order they were sent. On one loop."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._waiting: deque[tuple[Context, Envelope, EventDescriptor, asyncio.Future[None]]] = deque()

    def add(self, envelope: Envelope, descriptor: EventDescriptor) -> asyncio.Future[None]:
        """Keep an envelope for `flush`; the future is that of the send, or fails with the start."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Interceptors are to see the context variables of whoever sent it, not of whoever started the manager.
        self._waiting.append((copy_context(), envelope, descriptor, done))
        return done

    def flush(self) -> None:
        """Send what waits. To be called in one step with whatever lets later events pass by."""
        while self._waiting:
            context, envelope, descriptor, done = self._waiting.popleft()
            if done.done():
                continue
            try:
                sent = context.run(self._sending.send, envelope, descriptor)
            except Exception as error:  # noqa: BLE001  it belongs to this event, the others go their way
                settle(done, error)
            else:
                relay(asyncio.ensure_future(sent), done)

    def fail(self, error: BaseException) -> None:
        """Let what waits fail, because the start did."""
        while self._waiting:
            settle(self._waiting.popleft()[-1], error)


class Sending:
    """Takes envelopes through the sending chain. Runs on the manager's loop.

    Args:
        chain: Interceptors, ending in `Publisher`.
        observer: Told of each envelope.
    """

    def __init__(self, chain: Chain, observer: Observer | None = None) -> None:
        self._chain, self._observer = chain, observer
        self._departures = PendingSends()

    def send(self, envelope: Envelope, descriptor: EventDescriptor) -> asyncio.Future[None] | PendingSend:
        """Send; what is returned is done when the provider has taken the message, or an interceptor stopped it."""
        if self._observer is not None:
            self._observer.created(envelope, descriptor)
        if self._chain.plain:
            return self._chain.send(envelope, descriptor)  # type: ignore[return-value]  # the end gives a future
        return self._departures.add(self._run, envelope, descriptor)

    async def flush(self, timeout: float) -> None:
        """Wait for interceptors that are still at work, *timeout* seconds at most."""
        await self._departures.flush(timeout)

    async def _run(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        work = self._chain.send(envelope, descriptor)
        if work is not None:
            await work
