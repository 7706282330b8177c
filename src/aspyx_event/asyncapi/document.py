"""Builds the AsyncAPI 3.0 document of an application (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any
from urllib.parse import quote

from ..envelope import CE_CORRELATION, CE_TYPE, CE_VERSION
from ..events import EventDescriptor, is_event
from ..listener_descriptors import EventListenerDescriptor
from ..providers.base import ServerDescription
from ..schemas.examples import ExampleError, example_of
from ..topics import Topic
from .attributes import ATTRIBUTES_KEY, attributes_schema
from .channels import Channel, ChannelKind, channels_of
from .payloads import payload_schema

Document = dict[str, Any]
VERSION = "3.0.0"
# Binding names by server protocol. AsyncAPI reserves both names and defines no fields for them.
_BINDINGS = {"amqp": "amqp1", "amqps": "amqp1", "stomp": "stomp", "stomps": "stomp"}
_NOT_IN_KEYS = re.compile(r"[^\w.\-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Input of a document.

    Attributes:
        title: Name of the application.
        version: Version of the application.
        description: CommonMark.
        servers: Brokers; empty for an application in a single process.
        listeners: All listeners and handlers.
        events: Known event classes, in addition to those received and sent.
        topics: Known topics.
        senders: All sent events, with the names of their senders.
        content_type: Of the payloads.
        queues: Queue of each listener, in the order of `listeners`; "" for a queue without a name.
    """

    title: str
    version: str = "1.0.0"
    description: str = ""
    servers: Sequence[ServerDescription] = ()
    listeners: Sequence[EventListenerDescriptor] = ()
    events: Sequence[EventDescriptor] = ()
    topics: Sequence[Topic] = ()
    senders: Mapping[EventDescriptor, Sequence[str]] = field(default_factory=dict)
    content_type: str = "application/json"
    queues: Sequence[str] = ()


def document_of(application: Application) -> Document:
    """Return the document of *application*. Equal applications have equal documents.

    Raises:
        DeclarationError: an event class has fields that JSON Schema cannot express.
    """
    return _DocumentBuilder(application).document()


class _DocumentBuilder:
    """Builds a document."""

    def __init__(self, application: Application) -> None:
        self._application = application
        events = _declared_events(application)
        self._channels = channels_of(events.values(), application.listeners, application.topics)
        for channel in self._channels.values():
            events.update({event.name: event for event in channel.events})
        self._events = [events[name] for name in sorted(events)]
        self._unknown = [address for address, channel in self._channels.items() if not channel.events]
        self._keys = _component_keys([*sorted(events), *self._unknown])
        self._servers = _servers(application.servers)
        protocols = [server.protocol for server in application.servers]
        self._bindings: Document = {_BINDINGS[protocol]: {} for protocol in protocols if protocol in _BINDINGS}

    def document(self) -> Document:
        document: Document = {
            "asyncapi": VERSION,
            "info": self._info(),
            "defaultContentType": self._application.content_type,
            "servers": self._servers,
            "channels": {address: self._channel(channel) for address, channel in self._channels.items()},
            "operations": {**self._send_operations(), **self._receive_operations()},
            "components": _without_empty(
                {
                    "messages": self._messages(),
                    "schemas": self._schemas(),
                    "securitySchemes": self._security_schemes(),
                }
            ),
        }
        return _without_empty(document, keep=("channels", "operations"))

    def _info(self) -> Document:
        application = self._application
        tags = {tag for event in self._events for tag in event.tags}
        return _without_empty(
            {
                "title": application.title,
                "version": application.version,
                "description": application.description,
                "tags": _tags(tags),
            }
        )

    def _channel(self, channel: Channel) -> Document:
        return _without_empty(
            {
                "address": channel.address,
                "title": channel.title,
                "summary": _summary(channel.description),
                "description": cleandoc(channel.description) if channel.kind is ChannelKind.TOPIC else "",
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in self._message_keys(channel)},
                "servers": [{"$ref": f"#/servers/{name}"} for name in self._servers],
                "tags": _tags(channel.tags),
                "bindings": self._bindings,
                "x-kind": channel.kind.value if channel.kind is not ChannelKind.EVENT else "",
                "x-durable": channel.durable,
                "x-broadcast": channel.broadcast,
                "x-owner": channel.owner,
            }
        )

    def _send_operations(self) -> Document:
        application = self._application
        consumed = {route.address for listener in application.listeners for route in listener.routes}
        senders = {event.name: list(names) for event, names in application.senders.items()}
        # A topic without a listener here exists to send to it.
        senders.update({topic.name: [] for topic in application.topics if topic.name not in consumed})
        operations: Document = {}
        for address, names in sorted(senders.items()):
            channel = self._channels[address]
            operations[f"send.{address}"] = _without_empty(
                {
                    "action": "send",
                    **self._operation_target(channel),
                    "title": f"Sends {channel.title}",
                    "description": f"Sent by {', '.join(names)}." if names else "",
                    "bindings": self._bindings,
                    "x-senders": names,
                }
            )
        return operations

    def _receive_operations(self) -> Document:
        listeners, queues = self._application.listeners, self._application.queues
        queues = [*queues, *[""] * (len(listeners) - len(queues))]
        operations: Document = {}
        for listener, queue in zip(listeners, queues, strict=True):
            for route in listener.routes:
                name = _unused(f"receive.{route.address}.{listener.name}", operations)
                operations[name] = _without_empty(
                    {
                        "action": "receive",
                        **self._operation_target(self._channels[route.address]),
                        **_listener(listener, queue),
                        "bindings": self._bindings,
                    }
                )
        return operations

    def _operation_target(self, channel: Channel) -> Document:
        pointer = _pointer("channels", channel.address)
        return {
            "channel": {"$ref": pointer},
            "messages": [{"$ref": f"{pointer}/messages/{key}"} for key in self._message_keys(channel)],
            "tags": _tags(channel.tags),
        }

    def _message_keys(self, channel: Channel) -> list[str]:
        return [self._keys[event.name] for event in channel.events] or [self._keys[channel.address]]

    def _messages(self) -> Document:
        messages = {self._keys[event.name]: self._message(event) for event in self._events}
        messages.update({self._keys[address]: _unknown_message(address) for address in self._unknown})
        return messages

    def _message(self, event: EventDescriptor) -> Document:
        content_type = self._application.content_type
        headers: Document = {CE_TYPE: {"type": "string", "const": event.name}}
        if event.version != 1:
            headers[CE_VERSION] = {"type": "string", "const": event.wire_version}
        return _without_empty(
            {
                "name": event.name,
                "title": event.type.__name__,
                "summary": _summary(event.description),
                "description": cleandoc(event.description),
                "contentType": content_type,
                "headers": {
                    "type": "object",
                    "required": list(headers),
                    "properties": headers,
                    "allOf": [{"$ref": f"#/components/schemas/{ATTRIBUTES_KEY}"}],
                },
                "payload": {"$ref": f"#/components/schemas/{self._keys[event.name]}"},
                "correlationId": {
                    "location": f"$message.header#/{CE_CORRELATION}",
                    "description": "Shared by an event and all events that result from it.",
                },
                "tags": _tags(event.tags),
                "examples": _examples(event),
                "x-version": event.version,
                "x-owner": event.owner,
                "x-key": event.key if isinstance(event.key, str) else None,
            }
        )

    def _schemas(self) -> Document:
        schemas: Document = {}
        for event in self._events:
            key = self._keys[event.name]
            schemas[key] = payload_schema(event.schema, f"#/components/schemas/{key}")
        schemas[ATTRIBUTES_KEY] = attributes_schema()
        return schemas

    def _security_schemes(self) -> Document:
        kinds = sorted({server.security for server in self._application.servers} - {""})
        return {kind: {"type": kind} for kind in kinds}


def _declared_events(application: Application) -> dict[str, EventDescriptor]:
    """Return the events that the application names itself, by name; channels may add further ones."""
    events = {event.name: event for event in (*application.events, *application.senders)}
    for listener in application.listeners:
        for route in listener.routes:
            if route.topic is None:
                events.update({event.name: event for event in route.events if is_event(event.type)})
    return events


def _servers(descriptions: Sequence[ServerDescription]) -> Document:
    servers: Document = {}
    for number, server in enumerate(descriptions, start=1):
        security = [{"$ref": f"#/components/securitySchemes/{server.security}"}] if server.security else []
        servers["broker" if number == 1 else f"broker-{number}"] = _without_empty(
            {
                "host": server.host,
                "protocol": server.protocol,
                "protocolVersion": server.protocol_version,
                "security": security,
                "description": "Used when the brokers before it cannot be reached." if number > 1 else "",
                "bindings": {_BINDINGS[server.protocol]: {}} if server.protocol in _BINDINGS else {},
            }
        )
    return servers


def _listener(listener: EventListenerDescriptor, queue: str) -> Document:
    options = listener.options
    description = cleandoc(getattr(listener.type, "__doc__", "") or "")
    return {
        "title": listener.name,
        "summary": _summary(description),
        "description": description,
        "x-queue": queue,
        "x-group": listener.group,
        "x-per-process": listener.per_process,
        "x-concurrency": options.concurrency if options.concurrency > 1 else None,
        "x-order-by": options.order_by if isinstance(options.order_by, str) else None,
    }


def _unknown_message(address: str) -> Document:
    return {
        "title": f"Any event named {address}",
        "description": "This application has no class with such a name; the payload may be anything.",
        "headers": {"$ref": f"#/components/schemas/{ATTRIBUTES_KEY}"},
        "payload": {},
    }


def _examples(event: EventDescriptor) -> list[Document]:
    try:
        payload = example_of(event.schema)
    except ExampleError:
        return []
    # The specification allows only a map here. Other payloads have examples in their schema.
    return [{"name": "all-fields", "payload": payload}] if isinstance(payload, dict) else []


def _component_keys(names: Iterable[str]) -> dict[str, str]:
    """Return a distinct component key for each name; keys allow fewer characters than event names."""
    keys: dict[str, str] = {}
    used = {ATTRIBUTES_KEY}
    for name in names:
        keys[name] = _unused(_NOT_IN_KEYS.sub("_", name), used)
        used.add(keys[name])
    return keys


def _unused(name: str, used: Iterable[str]) -> str:
    """Return *name*, with a number appended if it is in *used*."""
    candidate, number = name, 1
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _pointer(*parts: str) -> str:
    # RFC 6901 in a URI fragment, section 6.
    escaped = (quote(part.replace("~", "~0").replace("/", "~1"), safe="!$&'()*+,;=:@-._~") for part in parts)
    return "#/" + "/".join(escaped)


def _tags(names: Iterable[str]) -> list[Document]:
    return [{"name": name} for name in sorted(names)]


def _summary(text: str) -> str:
    return " ".join(text.split("\n\n", 1)[0].split())


def _without_empty(values: Document, keep: tuple[str, ...] = ()) -> Document:
    """Return *values* without empty ones."""
    return {key: value for key, value in values.items() if key in keep or value not in (None, "", [], {}, False)}
