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
    """Envelopes that were sent before the manager was started. They are sent first, in their order. Runs on the manager's loop."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._waiting: deque[tuple[Context, Envelope, EventDescriptor, asyncio.Future[None]]] = deque()

    def add(self, envelope: Envelope, descriptor: EventDescriptor) -> asyncio.Future[None]:
        """Keep an envelope for `flush`. The future gets the outcome of the send, or the error of the start."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Interceptors see the context variables of the sender, not those of the task that starts the manager.
        self._waiting.append((copy_context(), envelope, descriptor, done))
        return done

    @property
    def waiting(self) -> int:
        """The number of events that wait for the start. Forgets the first ones whose callers have stopped waiting."""
        while self._waiting and self._waiting[0][-1].done():
            self._waiting.popleft()
        return len(self._waiting)

    def flush(self) -> None:
        """Send all waiting envelopes. Call it without an await between it and the step that lets later sends pass."""
        while self._waiting:
            context, envelope, descriptor, done = self._waiting.popleft()
            if done.done():
                continue
            try:
                sent = context.run(self._sending.send, envelope, descriptor)
            except Exception as error:  # noqa: BLE001  it concerns this event only
                settle(done, error)
            else:
                relay(asyncio.ensure_future(sent), done)

    def fail(self, error: BaseException) -> None:
        """Fail all waiting sends with the error of the start."""
        while self._waiting:
            settle(self._waiting.popleft()[-1], error)


class Sending:
    """Passes envelopes through the interceptors. Runs on the manager's loop.

    Args:
        chain: Interceptors, ending in `Publisher` or `EventRecorder`.
        observer: Notified of each envelope; None for no observer.
    """

    def __init__(self, chain: Chain, observer: Observer | None = None) -> None:
        self._chain, self._observer = chain, observer
        self._pending = PendingSends()

    def send(self, envelope: Envelope, descriptor: EventDescriptor) -> asyncio.Future[None] | PendingSend:
        """Send an envelope.

        Returns:
            Done when the provider has confirmed the message, or an interceptor did not proceed.
        """
        if self._observer is not None:
            self._observer.created(envelope, descriptor)
        if self._chain.plain:
            return self._chain.send(envelope, descriptor)  # type: ignore[return-value]  # its end returns a future
        return self._pending.add(self._run, envelope, descriptor)

    async def flush(self, timeout: float) -> None:
        """Wait for interceptors that are still running, *timeout* seconds at most."""
        await self._pending.flush(timeout)

    async def _run(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        work = self._chain.send(envelope, descriptor)
        if work is not None:
            await work
