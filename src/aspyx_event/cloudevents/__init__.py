"""CloudEvents v1.0: the event, its formats, and its protocol bindings for HTTP, AMQP and STOMP."""

from __future__ import annotations

from .attributes import AttributeType
from .conversion import from_cloudevent, to_cloudevent
from .data import DataCoder, register_coder
from .event import CloudEvent
from .formats import JSON_FORMAT, Format, JSONFormat, register_format
from .http import HTTPMessage, from_http, from_http_batch, to_http, to_http_batch
from .media_types import MediaType
from .messaging import AMQPMessage, StompMessage, from_amqp, from_envelope, from_stomp, to_amqp, to_stomp

__all__ = [
    "AMQPMessage",
    "AttributeType",
    "CloudEvent",
    "DataCoder",
    "Format",
    "HTTPMessage",
    "JSONFormat",
    "JSON_FORMAT",
    "MediaType",
    "StompMessage",
    "from_amqp",
    "from_cloudevent",
    "from_envelope",
    "from_http",
    "from_http_batch",
    "from_stomp",
    "register_coder",
    "register_format",
    "to_amqp",
    "to_cloudevent",
    "to_http",
    "to_http_batch",
    "to_stomp",
]
