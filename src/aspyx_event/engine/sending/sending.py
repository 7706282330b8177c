"""The sending side: event, envelope, interceptors, provider."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING, Any, cast

from ...clock import Clock, SystemClock
from ...codecs.base import Codec
from ...context import lineage
from ...envelope import (
    CE_CAUSATION,
    CE_CORRELATION,
    CE_EXPIRY,
    CE_ID,
    CE_KEY,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_TIME,
    CE_TYPE,
    CE_VERSION,
    CONTENT_TYPE,
    NO_OPTIONS,
    SPECVERSION,
    Envelope,
    SendOptions,
    check_headers,
)
from ...events import EventDescriptor
from ...exceptions import LimitExceededError, UnsupportedError
from ...free_form import FreeFormEvent, SelfDescribed
from ...names import uri_reference
from ...observer import Observer
from ...pipeline import Chain
from ...policies import Limits
from ...providers.base import Outgoing, Provider
from ...schemas.json_schema import SchemaValidation
from ..event_reader import EventReader
from .ids import new_id, timestamp
from .observed import observed_publish
from .pending import PendingSend, PendingSends

if TYPE_CHECKING:
    from ...cloudevents.event import CloudEvent


class Publish:
    """Sending end of a chain: hands the envelope to the provider."""

    def __init__(
        self,
        provider: Provider,
        limits: Limits,
        observer: Observer | None = None,
        count: Callable[[Envelope, EventDescriptor], None] | None = None,
    ) -> None:
        self._provider, self._limits, self._observer, self._count = provider, limits, observer, count

    def check(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        """Refuse what is too large.

        Raises:
            LimitExceededError: it is.
        """
        exceeded = self._limits.exceeded(envelope)
        if exceeded:
            raise LimitExceededError(f"event {descriptor.name!r} (id {envelope.id}): too large: {exceeded}")

    def send(self, envelope: Envelope, descriptor: EventDescriptor, /) -> asyncio.Future[None]:
        """Hand *envelope* over; the future is done when the provider has confirmed it."""
        self.check(envelope, descriptor)  # here, because interceptors may have made it larger
        options = envelope.options
        message = Outgoing(
            address=descriptor.name,
            envelope=envelope,
            dedup_id=envelope.dedup_id or envelope.headers.get(CE_ID, ""),
            durable=descriptor.durable,
        )
        if options is not NO_OPTIONS:
            message.key, message.delay, message.ttl = options.key, options.delay, options.ttl
            message.priority, message.require_route = options.priority, options.require_route
            message.wait_handled = options.wait_handled
            if options.address:
                message.address = options.address
            if options.durable is not None:
                message.durable = options.durable
        if self._observer is not None:
            published = observed_publish(self._observer, self._provider, message, descriptor)
        else:
            published = self._provider.publish(message)
        if self._count is not None:
            self._count(envelope, descriptor)
        return published


class EnvelopeFactory:
    """Makes the envelope of an event that is sent.

    Args:
        codec: Writes the body.
        source: CloudEvents source of all events of this manager, a URI reference.
        passes_objects: The provider can carry the event object: encode only if an interceptor reads the body.
        clock: Tells when an event expires; None is the real time.
    """

    def __init__(
        self,
        codec: Codec,
        source: str,
        *,
        passes_objects: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._codec, self._passes_objects = codec, passes_objects
        self._clock = clock or SystemClock()
        #: Checks what has a JSON Schema of its own; `process` and whatever else brings events in asks it too.
        self.schemas = SchemaValidation()
        self._source = uri_reference(source)
        self._reader = EventReader(codec)

    def make(
        self, event: Any, descriptor: EventDescriptor, headers: Mapping[str, str] | None, options: SendOptions
    ) -> Envelope:
        """Return the envelope of *event*, with the attributes of CloudEvents v1.0.

        Raises:
            EncodeError: the event cannot be written.
            DecodeError: it is a CloudEvent, and not what the known class of its name says.
            InvalidEventSchemaError: the event is not what its JSON Schema says.
            HeaderError: a header cannot be sent.
        """
        if (descriptor.self_described or type(event) is not descriptor.type) and isinstance(event, SelfDescribed):
            return self._of_cloudevent(event, descriptor, headers, options)
        if descriptor.declared_schema is not None:
            self.schemas.check(event, descriptor)
        event_id = new_id()
        correlation_id, causation_id = lineage(event_id)
        all_headers = {
            CE_SPECVERSION: SPECVERSION,
            CE_ID: event_id,
            CE_SOURCE: descriptor.source or self._source,
            CE_TYPE: descriptor.name,
            CE_TIME: timestamp(time_ns()),
            CE_CORRELATION: correlation_id,
            CONTENT_TYPE: self._codec.content_type,
        }
        if causation_id:
            all_headers[CE_CAUSATION] = causation_id
        if options.key is not None:
            all_headers[CE_KEY] = options.key
        elif descriptor.key is not None:
            key = descriptor.key_of(event)
            if key is not None:
                all_headers[CE_KEY] = key
                options = replace(options, key=key)
        if descriptor.version != 1:
            all_headers[CE_VERSION] = descriptor.wire_version
        if options.ttl is not None:
            all_headers[CE_EXPIRY] = timestamp(round((self._clock.time() + options.ttl) * 1e9))
        if headers:
            check_headers(headers)
            all_headers.update(headers)
        if descriptor.free_form:
            body, own = cast("FreeFormEvent", event).write()
            all_headers.update(own)
            envelope = Envelope(body, all_headers)
        elif self._passes_objects:
            envelope = Envelope.lazy(event, all_headers, lambda value: self._codec.encode(value, descriptor))
        else:
            envelope = Envelope(self._codec.encode(event, descriptor), all_headers, event)
        envelope.options = options
        return envelope

    def check(self, event: Any, descriptor: EventDescriptor) -> None:
        """Raise what `make` would raise of the event itself; nobody is told of it."""
        if isinstance(event, SelfDescribed):
            from .cloudevent import cloudevent_envelope

            found = cast("CloudEvent", event)
            event = cloudevent_envelope(found, descriptor, None, NO_OPTIONS, self._reader, self._clock).event
        else:
            self._codec.encode(event, descriptor)
        if descriptor.declared_schema is not None:
            self.schemas.check(event, descriptor)

    def _of_cloudevent(
        self, event: SelfDescribed, descriptor: EventDescriptor, headers: Mapping[str, str] | None, options: SendOptions
    ) -> Envelope:
        from .cloudevent import cloudevent_envelope

        found = cast("CloudEvent", event)
        envelope = cloudevent_envelope(found, descriptor, headers, options, self._reader, self._clock)
        if descriptor.declared_schema is not None:
            self.schemas.check(envelope.event, descriptor)
        return envelope


def check_options(options: SendOptions, provider: Provider) -> None:
    """Refuse what the provider cannot do.

    Raises:
        UnsupportedError: names the option and the provider.
    """
    if options is NO_OPTIONS:
        return
    capabilities = provider.capabilities
    wanted = (
        ("delay", options.delay > 0, capabilities.delay),
        ("ttl", options.ttl is not None, capabilities.ttl),
        ("priority", options.priority is not None, capabilities.priority),
        ("key", options.key is not None, capabilities.ordered_keys),
        ("require_route", options.require_route, capabilities.require_route),
    )
    for name, asked, offered in wanted:
        if asked and not offered:
            raise UnsupportedError(f"send_event({name}=...): the {provider.name} provider does not offer it")


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
                done.set_exception(error)
            else:
                asyncio.ensure_future(sent).add_done_callback(partial(_pass_on, done))

    def fail(self, error: BaseException) -> None:
        """Let what waits fail, because the start did."""
        while self._waiting:
            done = self._waiting.popleft()[-1]
            if done.done():
                continue
            if isinstance(error, asyncio.CancelledError):
                done.cancel()
            else:
                done.set_exception(error)


def _pass_on(done: asyncio.Future[None], sent: asyncio.Future[None]) -> None:
    error = None if sent.cancelled() else sent.exception()
    if done.done():
        return
    if sent.cancelled():
        done.cancel()
    elif error is not None:
        done.set_exception(error)
    else:
        done.set_result(None)


class Sending:
    """Takes envelopes through the sending chain. Runs on the manager's loop.

    Args:
        chain: Interceptors, ending in `Publish`.
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
