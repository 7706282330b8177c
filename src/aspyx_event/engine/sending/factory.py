"""`EnvelopeFactory`: event -> envelope. The place where a header is added to everything that is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING, Any, cast

from ...clock import Clock, SystemClock
from ...codecs.base import Codec
from ...codecs.validation import SchemaValidation
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
from ...free_form import FreeFormEvent, SelfDescribed
from ...names import uri_reference
from ..event_reader import EventReader
from .ids import new_id, timestamp

if TYPE_CHECKING:
    from ...cloudevents.event import CloudEvent


class EnvelopeFactory:
    """Builds the envelope of an event that is sent. Thread-safe.

    Args:
        codec: Encodes the body.
        source: CloudEvents source of the manager's events, a URI reference.
        passes_objects: The provider can carry the event object, so the body is only encoded when it is read.
        clock: Gives the time of expiry; None is the system clock.
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
        #: Checks events whose class declares a JSON Schema; also used by the other ways to bring events in.
        self.schemas = SchemaValidation()
        self._source = uri_reference(source)
        self._reader = EventReader(codec)

    def make(
        self, event: Any, descriptor: EventDescriptor, headers: Mapping[str, str] | None, options: SendOptions
    ) -> Envelope:
        """Return the envelope of *event*, with the attributes of CloudEvents v1.0.

        Raises:
            EncodeError: the event cannot be encoded.
            DecodeError: it is a CloudEvent whose data does not match the event class with its name.
            InvalidEventSchemaError: the event does not match its JSON Schema.
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
            body, event_headers = cast("FreeFormEvent", event).write()
            all_headers.update(event_headers)
            envelope = Envelope(body, all_headers)
        elif self._passes_objects:
            envelope = Envelope.lazy(event, all_headers, lambda value: self._codec.encode(value, descriptor))
        else:
            envelope = Envelope(self._codec.encode(event, descriptor), all_headers, event)
        envelope.options = options
        return envelope

    def check(self, event: Any, descriptor: EventDescriptor) -> None:
        """Raise the errors that `make` would raise for the event itself, without sending it."""
        if isinstance(event, SelfDescribed):
            from .cloudevent import cloudevent_envelope

            cloudevent = cast("CloudEvent", event)
            event = cloudevent_envelope(cloudevent, descriptor, None, NO_OPTIONS, self._reader, self._clock).event
        else:
            self._codec.encode(event, descriptor)
        if descriptor.declared_schema is not None:
            self.schemas.check(event, descriptor)

    def _of_cloudevent(
        self, event: SelfDescribed, descriptor: EventDescriptor, headers: Mapping[str, str] | None, options: SendOptions
    ) -> Envelope:
        from .cloudevent import cloudevent_envelope

        cloudevent = cast("CloudEvent", event)
        envelope = cloudevent_envelope(cloudevent, descriptor, headers, options, self._reader, self._clock)
        if descriptor.declared_schema is not None:
            self.schemas.check(envelope.event, descriptor)
        return envelope
