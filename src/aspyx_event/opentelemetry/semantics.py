"""Names of attributes and metrics, and attributes of managers, listeners and messages.

Names under ``messaging``, ``server``, ``network`` and ``error`` come from the OpenTelemetry semantic conventions, which are
still in development for messaging. Names under ``aspyx_event`` are specific to this framework.
"""

from __future__ import annotations

from typing import Any

from ..envelope import CE_CAUSATION, CE_CORRELATION, CE_TYPE, Envelope
from ..error_text import type_name
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
    """Return the attributes of all spans and measurements of a manager.

    Args:
        provider: Provider of the manager.
        system: The broker, as the conventions name it; None derives it from the provider.
    """
    attributes: Attributes = {SYSTEM: system or _SYSTEMS.get(provider.name, provider.name)}
    servers = provider.servers
    if servers:
        host, _, port = servers[0].host.rpartition(":")
        attributes[SERVER_ADDRESS] = host.strip("[]")
        if port.isdigit():
            attributes[SERVER_PORT] = int(port)
        attributes[PROTOCOL] = provider.name
    if provider.server_name:
        attributes[CLIENT_ID] = provider.server_name
    return attributes


def operation(name: str, operation_type: str | None = None) -> Attributes:
    """Return the attributes of an operation; *operation_type* is defined by the conventions, None uses *name*."""
    return {OPERATION: name, OPERATION_TYPE: operation_type or name}


def listener_attributes(listener: EventListenerDescriptor) -> Attributes:
    """Return the attributes of a subscription."""
    attributes: Attributes = {DESTINATION: listener.event.name, SUBSCRIPTION: listener.name}
    if listener.group:
        attributes[GROUP] = listener.group
    return attributes


def destination_attributes(listener: EventListenerDescriptor, envelope: Envelope) -> Attributes:
    """Return the attributes of a subscription, with the event name as destination if the listener has a pattern."""
    attributes = listener_attributes(listener)
    name = envelope.headers.get(CE_TYPE)
    if name and name != listener.event.name:
        attributes[TEMPLATE], attributes[DESTINATION] = listener.event.name, name
    return attributes


def message_attributes(envelope: Envelope) -> Attributes:
    """Return the attributes of a message. Headers and bodies are left out, because they may be confidential."""
    headers, event_id = envelope.headers, envelope.id
    attributes: Attributes = {}
    if event_id:
        attributes[MESSAGE_ID] = event_id
    conversation = headers.get(CE_CORRELATION) or event_id
    if conversation:
        attributes[CONVERSATION_ID] = conversation
    if CE_CAUSATION in headers:
        attributes[CAUSATION_ID] = headers[CE_CAUSATION]
    if envelope.encoded:
        attributes[BODY_SIZE] = len(envelope.body)
    return attributes


def error_type(error: BaseException) -> str:
    """Return the full class name of an error; built-in classes without their module."""
    return type_name(error).removeprefix("builtins.")
