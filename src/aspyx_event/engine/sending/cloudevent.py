"""Envelopes of CloudEvents, which bring their attributes along instead of getting them from the manager."""

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
    """Return the envelope of a CloudEvent: its own attributes and data.

    Args:
        event: The event.
        descriptor: Of the class of its name, or one for CloudEvents where there is none.
        headers: Of the caller.
        options: How it is to travel; its attribute `partitionkey` is a key.
        reader: Makes the object of a known class, so that the sender learns if there is none in the data.
        clock: Tells when it expires.

    Raises:
        EncodeError: its data cannot be written.
        DecodeError: its data is not what the known class says.
        HeaderError: a header cannot be sent.
    """
    all_headers, body = to_stomp(event)
    correlation_id, causation_id = lineage(event.id)
    if correlation_id != event.id:  # which is what a missing one means; the event stays as it was made
        all_headers.setdefault(CE_CORRELATION, correlation_id)
    if causation_id:
        all_headers.setdefault(CE_CAUSATION, causation_id)
    envelope = Envelope(body, all_headers, event)
    # Ids are unique within their source only.
    envelope.dedup_id = f"{event.source}|{event.id}"
    found: Any = event
    if descriptor.type is not CloudEvent and not issubclass(descriptor.type, CloudEvent):
        found = envelope.event = reader.decode(descriptor, envelope)
    key = options.key or all_headers.get(CE_KEY) or descriptor.key_of(found)
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
