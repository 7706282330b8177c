"""The schema of the CloudEvents attributes that every message has as headers."""

from __future__ import annotations

from typing import Any

from ..envelope import (
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
    SPECVERSION,
)

#: Name of the schema in a document's components.
ATTRIBUTES_KEY = "CloudEventAttributes"


def attributes_schema() -> dict[str, Any]:
    """Return the schema of the headers of a CloudEvent in binary mode."""
    text, moment = {"type": "string", "minLength": 1}, {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "title": "CloudEvents 1.0 attributes",
        "description": "Application properties over AMQP, headers over STOMP: CloudEvents 1.0 in binary mode.",
        "required": [CE_SPECVERSION, CE_ID, CE_SOURCE, CE_TYPE],
        "properties": {
            CE_SPECVERSION: {"type": "string", "const": SPECVERSION},
            CE_ID: {**text, "description": "Unique together with the source. The same for every attempt."},
            CE_SOURCE: {"type": "string", "format": "uri-reference", "minLength": 1, "description": "The sender."},
            CE_TYPE: {**text, "description": "Name of the event."},
            CE_TIME: {**moment, "description": "Time of sending."},
            CE_CORRELATION: {**text, "description": "Id of the event that started this chain of events."},
            CE_CAUSATION: {**text, "description": "Id of the event whose handler sent this event."},
            CE_KEY: {**text, "description": "Events with the same key are handled in order."},
            CE_EXPIRY: {**moment, "description": "The event is of no use after this time."},
            CE_VERSION: {
                "type": "string",
                "pattern": "^[1-9][0-9]*$",
                "description": "Version of the payload; 1 if absent.",
            },
        },
    }
