"""An AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of what an application does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any
from urllib.parse import quote

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
from ..events import EventDescriptor, is_event
from ..listener_descriptors import EventListenerDescriptor
from ..providers.base import ServerDescription
from ..schemas.examples import ExampleError, example_of
from ..topics import Topic
from .channels import Channel, ChannelKind, channels_of
from .payloads import payload_schema

Document = dict[str, Any]
VERSION = "3.0.0"
_ATTRIBUTES = "CloudEventAttributes"
# Protocol of a server to the name of its bindings; AsyncAPI keeps both names and defines nothing below them.
_BINDINGS = {"amqp": "amqp1", "amqps": "amqp1", "stomp": "stomp", "stomps": "stomp"}
_NOT_IN_KEYS = re.compile(r"[^\w.\-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What a document is made of.

    Attributes:
        title: Name of the application.
        version: Of the application.
        description: CommonMark.
        servers: Brokers; none for an application in one process.
        listeners: Everything that receives.
        events: Event classes that are known, besides those received and sent.
        topics: Topics that are known.
        senders: Everything that is known to be sent, with the names of those who send it.
        content_type: Of the payloads.
        queues: Queue of each listener, in the order of `listeners`; "" for one without a name.
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
    """Return the document of *application*, the same for the same application.

    Raises:
        DeclarationError: the class of an event has fields that JSON Schema cannot tell.
    """
    events = {one.name: one for one in (*application.events, *application.senders)}
    for listener in application.listeners:
        for source in listener.routes:
            if source.topic is None:
                events.update({one.name: one for one in source.events if is_event(one.type)})
    channels = channels_of(events.values(), application.listeners, application.topics)
    for channel in channels.values():
        events.update({one.name: one for one in channel.events})
    ordered = [events[name] for name in sorted(events)]
    nameless = [address for address, channel in channels.items() if not channel.events]
    keys = _keys([*(one.name for one in ordered), *nameless])
    servers = _servers(application.servers)
    bindings: Document = {_BINDINGS[one.protocol]: {} for one in application.servers if one.protocol in _BINDINGS}
    info = {"title": application.title, "version": application.version, "description": application.description}
    logins = sorted({one.security for one in application.servers} - {""})
    components = {
        "messages": {
            **{keys[one.name]: _message(one, keys[one.name], application) for one in ordered},
            **{keys[address]: _open_message(address) for address in nameless},
        },
        "schemas": {
            **{keys[one.name]: payload_schema(one.schema, f"#/components/schemas/{keys[one.name]}") for one in ordered},
            _ATTRIBUTES: _attributes(),
        },
        "securitySchemes": {kind: {"type": kind} for kind in logins},
    }
    document: Document = {
        "asyncapi": VERSION,
        "info": _filled({**info, "tags": _tags({tag for one in ordered for tag in one.tags})}),
        "defaultContentType": application.content_type,
        "servers": servers,
        "channels": {name: _channel(one, keys, list(servers), bindings) for name, one in channels.items()},
        "operations": _operations(application, channels, keys, bindings),
        "components": _filled(components),
    }
    return _filled(document, keep=("channels", "operations"))


def _servers(found: Sequence[ServerDescription]) -> Document:
    return {
        "broker" if not number else f"broker-{number + 1}": _filled(
            {
                "host": one.host,
                "protocol": one.protocol,
                "protocolVersion": one.protocol_version,
                "security": [{"$ref": f"#/components/securitySchemes/{one.security}"}] if one.security else [],
                "description": "Taken in turn when the first cannot be reached." if number else "",
                "bindings": {_BINDINGS[one.protocol]: {}} if one.protocol in _BINDINGS else {},
            }
        )
        for number, one in enumerate(found)
    }


def _channel(channel: Channel, keys: Mapping[str, str], servers: list[str], bindings: Document) -> Document:
    found = [keys[one.name] for one in channel.events] or [keys[channel.address]]
    return _filled(
        {
            "address": channel.address,
            "title": channel.title,
            "summary": _summary(channel.description),
            "description": cleandoc(channel.description) if channel.kind is ChannelKind.TOPIC else "",
            "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in found},
            "servers": [{"$ref": f"#/servers/{one}"} for one in servers],
            "tags": _tags(channel.tags),
            "bindings": bindings,
            "x-kind": channel.kind.value if channel.kind is not ChannelKind.EVENT else "",
            "x-durable": channel.durable,
            "x-broadcast": channel.broadcast,
            "x-owner": channel.owner,
        }
    )


def _operations(
    application: Application, channels: Mapping[str, Channel], keys: Mapping[str, str], bindings: Document
) -> Document:
    operations: Document = {}
    heard = {source.address for listener in application.listeners for source in listener.routes}
    sent = {event.name: list(names) for event, names in application.senders.items()}
    # A topic that nobody listens to here is there to be sent on.
    sent.update({one.name: [] for one in application.topics if one.name not in heard})
    for address, names in sorted(sent.items()):
        operations[f"send.{address}"] = _filled(
            {
                "action": "send",
                **_about(channels[address], keys),
                "title": f"Sends {channels[address].title}",
                "description": f"Sent by {', '.join(names)}." if names else "",
                "bindings": bindings,
                "x-senders": names,
            }
        )
    queues = [*application.queues, *[""] * (len(application.listeners) - len(application.queues))]
    for listener, queue in zip(application.listeners, queues, strict=True):
        for source in listener.routes:
            name = number = f"receive.{source.address}.{listener.name}"
            while number in operations:
                number = f"{name}-{int(number[len(name) + 1 :] or 1) + 1}"
            about = _about(channels[source.address], keys)
            operations[number] = {"action": "receive", **about, **_listener(listener, queue), "bindings": bindings}
    return {name: _filled(one) for name, one in operations.items()}


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


def _about(channel: Channel, keys: Mapping[str, str]) -> Document:
    pointer = _pointer("channels", channel.address)
    found = [keys[one.name] for one in channel.events] or [keys[channel.address]]
    return {
        "channel": {"$ref": pointer},
        "messages": [{"$ref": f"{pointer}/messages/{key}"} for key in found],
        "tags": _tags(channel.tags),
    }


def _open_message(address: str) -> Document:
    return {
        "title": f"Whatever is called {address}",
        "description": "No class of this application has such a name: it may be any event.",
        "headers": {"$ref": f"#/components/schemas/{_ATTRIBUTES}"},
        "payload": {},
    }


def _message(event: EventDescriptor, key: str, application: Application) -> Document:
    own: Document = {CE_TYPE: {"type": "string", "const": event.name}}
    if event.version != 1:
        own[CE_VERSION] = {"type": "string", "const": event.wire_version}
    return _filled(
        {
            "name": event.name,
            "title": event.type.__name__,
            "summary": _summary(event.description),
            "description": cleandoc(event.description),
            "contentType": application.content_type,
            "headers": {
                "type": "object",
                "required": list(own),
                "properties": own,
                "allOf": [{"$ref": f"#/components/schemas/{_ATTRIBUTES}"}],
            },
            "payload": {"$ref": f"#/components/schemas/{key}"},
            "correlationId": {
                "location": f"$message.header#/{CE_CORRELATION}",
                "description": "The same for all events that follow from one.",
            },
            "tags": _tags(event.tags),
            "examples": _examples(event),
            "x-version": event.version,
            "x-owner": event.owner,
            "x-key": event.key if isinstance(event.key, str) else None,
        }
    )


def _examples(event: EventDescriptor) -> list[Document]:
    try:
        payload = example_of(event.schema)
    except ExampleError:
        return []
    # The specification wants a map here; other payloads have their examples in their schema.
    return [{"name": "all-fields", "payload": payload}] if isinstance(payload, dict) else []


def _attributes() -> Document:
    """Return the schema of the headers that every message has: a CloudEvent in binary mode."""
    text, moment = {"type": "string", "minLength": 1}, {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "title": "CloudEvents 1.0 attributes",
        "description": "Application properties over AMQP, headers over STOMP: CloudEvents 1.0 in binary mode.",
        "required": [CE_SPECVERSION, CE_ID, CE_SOURCE, CE_TYPE],
        "properties": {
            CE_SPECVERSION: {"type": "string", "const": SPECVERSION},
            CE_ID: {**text, "description": "With the source, unique; the same at every attempt."},
            CE_SOURCE: {"type": "string", "format": "uri-reference", "minLength": 1, "description": "Who sent it."},
            CE_TYPE: {**text, "description": "Name of the event."},
            CE_TIME: {**moment, "description": "When it was sent."},
            CE_CORRELATION: {**text, "description": "Id of the event that all these follow from."},
            CE_CAUSATION: {**text, "description": "Id of the event whose handler sent this one."},
            CE_KEY: {**text, "description": "Events of one key are handled in order."},
            CE_EXPIRY: {**moment, "description": "When it is of no use any more."},
            CE_VERSION: {
                "type": "string",
                "pattern": "^[1-9][0-9]*$",
                "description": "Version of the payload; absent: 1.",
            },
        },
    }


def _keys(names: Iterable[str]) -> dict[str, str]:
    """Return keys for components, which may have fewer characters than names of events."""
    keys: dict[str, str] = {}
    taken = {_ATTRIBUTES}
    for name in names:
        key = candidate = _NOT_IN_KEYS.sub("_", name)
        number = 1
        while candidate in taken:
            number += 1
            candidate = f"{key}-{number}"
        taken.add(candidate)
        keys[name] = candidate
    return keys


def _pointer(*parts: str) -> str:
    # RFC 6901 in a fragment of a URI, section 6.
    escaped = (quote(part.replace("~", "~0").replace("/", "~1"), safe="!$&'()*+,;=:@-._~") for part in parts)
    return "#/" + "/".join(escaped)


def _tags(names: Iterable[str]) -> list[Document]:
    return [{"name": name} for name in sorted(names)]


def _summary(text: str) -> str:
    return " ".join(text.split("\n\n", 1)[0].split())


def _filled(found: Document, keep: tuple[str, ...] = ()) -> Document:
    """Return what has a value."""
    return {key: value for key, value in found.items() if key in keep or value not in (None, "", [], {}, False)}
