"""The envelope of a `CloudEvent`, which has its own attributes instead of those that the manager sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...clock import Clock
from ...cloudevents.event import CloudEvent
from ...cloudevents.messaging import to_stomp
from ...context import lineage
from ...envelope import CE_CAUSATION, CE_CORRELATION, CE_EXPIRY, CE_KEY, Envelope, SendOptions, check_headers
from ...events import EventDescriptor
from ..event_reader import EventReader
from .ids import timestamp


def cloudevent_envelope(
    event: CloudEvent,
    descriptor: EventDescriptor,
    headers: Mapping[str, str] | None,
    options: SendOptions,
    reader: EventReader,
    clock: Clock,
) -> Envelope:
    """Return the envelope of a CloudEvent, with its attributes and data.

    Args:
        event: The event.
        descriptor: Of the event class with its name, or of `CloudEvent` if there is none.
        headers: The caller's headers.
        options: The options of the send. Without a key in them, the attribute `partitionkey` is the key.
        reader: Decodes the data to the event class, so that the sender gets the error if they do not match.
        clock: Gives the time of expiry.

    Raises:
        EncodeError: its data cannot be encoded.
        DecodeError: its data does not match the event class with its name.
        HeaderError: a header cannot be sent.
    """
    all_headers, body = to_stomp(event)
    correlation_id, causation_id = lineage(event.id)
    if correlation_id != event.id:  # a missing correlation id means the event's own: the event stays unchanged
        all_headers.setdefault(CE_CORRELATION, correlation_id)
    if causation_id:
        all_headers.setdefault(CE_CAUSATION, causation_id)
    envelope = Envelope(body, all_headers, event)
    # Ids are unique only within their source.
    envelope.dedup_id = f"{event.source}|{event.id}"
    value: Any = event
    if descriptor.type is not CloudEvent and not issubclass(descriptor.type, CloudEvent):
        value = envelope.event = reader.decode(descriptor, envelope)
    key = options.key or all_headers.get(CE_KEY) or descriptor.key_of(value)
    if key is not None:
        all_headers[CE_KEY] = key
        options = replace(options, key=key)
    if options.ttl is not None:
        all_headers[CE_EXPIRY] = timestamp(round((clock.time() + options.ttl) * 1e9))
    if headers:
        check_headers(headers)
        all_headers.update(headers)
    envelope.options = options
    return envelope
