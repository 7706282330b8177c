"""What log records about an event carry beside their text, for `extra=` of the logging functions."""

from __future__ import annotations

from .envelope import CE_CORRELATION, CE_TYPE, Envelope
from .printable import printable

#: Attributes of a log record about an event.
LOG_FIELDS = ("event_id", "event_name", "correlation_id", "subscription")


def log_fields(envelope: Envelope, subscription: str = "") -> dict[str, str]:
    """Return the attributes of a log record about an event: those of `LOG_FIELDS`, "" for an unknown attribute.

    What a sender wrote is printable text, so that it cannot forge lines of a log.

    Args:
        envelope: Of the event.
        subscription: Name of the listener; "" on the sending side.
    """
    headers, event_id = envelope.headers, envelope.id
    return {
        "event_id": printable(event_id),
        "event_name": printable(headers.get(CE_TYPE, "")),
        "correlation_id": printable(headers.get(CE_CORRELATION) or event_id),
        "subscription": subscription,
    }
