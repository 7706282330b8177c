"""Names of the attributes and metrics that are told to OpenTelemetry, and what is common to all of them.

The names under ``messaging``, ``server``, ``network`` and ``error`` are those of the OpenTelemetry semantic conventions,
which are still in development for messaging; those under ``aspyx_event`` are this framework's own.
"""

from __future__ import annotations

from typing import Any

from ..envelope import CE_CAUSATION, CE_CORRELATION, CE_TYPE, Envelope
from ..listener_descriptors import EventListenerDescriptor
from ..providers.base import Provider

Attributes = dict[str, Any]

SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
TEMPLATE = "messaging.destination.template"
SUBSCRIPTION = "messaging.destination.subscription.name"
GROUP = "messaging.consumer.group.name"
CLIENT_ID = "messaging.client.id"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
BODY_SIZE = "messaging.message.body.size"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
PROTOCOL = "network.protocol.name"
ERROR_TYPE = "error.type"

CAUSATION_ID = "aspyx_event.causation_id"
ATTEMPT = "aspyx_event.attempt"
REDELIVERED = "aspyx_event.redelivered"
REPLAY_OF = "aspyx_event.replay_of"
SETTLEMENT = "aspyx_event.settlement"
OUTCOME = "aspyx_event.outcome"

SENT_MESSAGES = "messaging.client.sent.messages"
CONSUMED_MESSAGES = "messaging.client.consumed.messages"
OPERATION_DURATION = "messaging.client.operation.duration"
PROCESS_DURATION = "messaging.process.duration"

_SYSTEMS = {"amqp": "activemq", "stomp": "activemq", "local": "in_process"}


def common_attributes(provider: Provider, system: str | None) -> Attributes:
    """Return what is the same in all that a manager tells.

    Args:
        provider: Of the manager.
        system: The broker's product, as the conventions call it; None tells it from the provider.
    """
    found: Attributes = {SYSTEM: system or _SYSTEMS.get(provider.name, provider.name)}
    servers = provider.servers
    if servers:
        host, _, port = servers[0].host.rpartition(":")
        found[SERVER_ADDRESS] = host.strip("[]")
        if port.isdigit():
            found[SERVER_PORT] = int(port)
        found[PROTOCOL] = provider.name
    if provider.server_name:
        found[CLIENT_ID] = provider.server_name
    return found


def operation(name: str, kind: str | None = None) -> Attributes:
    """Return what names an operation; its *kind* is one of those of the conventions, None if the name is."""
    return {OPERATION: name, OPERATION_TYPE: kind or name}


def listener_attributes(listener: EventListenerDescriptor) -> Attributes:
    """Return what names a subscription."""
    found: Attributes = {DESTINATION: listener.event.name, SUBSCRIPTION: listener.name}
    if listener.group:
        found[GROUP] = listener.group
    return found


def place_attributes(listener: EventListenerDescriptor, envelope: Envelope) -> Attributes:
    """Return where a message came from: that of its listener, and the event where the listener names a pattern."""
    found = listener_attributes(listener)
    name = envelope.headers.get(CE_TYPE)
    if name and name != listener.event.name:
        found[TEMPLATE], found[DESTINATION] = listener.event.name, name
    return found


def message_attributes(envelope: Envelope) -> Attributes:
    """Return what names a message. Never headers or bodies: they may be confidential."""
    headers, event_id = envelope.headers, envelope.id
    found: Attributes = {}
    if event_id:
        found[MESSAGE_ID] = event_id
    conversation = headers.get(CE_CORRELATION) or event_id
    if conversation:
        found[CONVERSATION_ID] = conversation
    if CE_CAUSATION in headers:
        found[CAUSATION_ID] = headers[CE_CAUSATION]
    if envelope.encoded:
        found[BODY_SIZE] = len(envelope.body)
    return found


def error_type(error: BaseException) -> str:
    """Return the full name of an error's class; a builtin's without its module."""
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
