"""Writes the SEND frame of a message. Messages that differ only in their values share a template."""

from __future__ import annotations

import time

from ...envelope import CONTENT_TYPE, NO_OPTIONS, wire_name
from ..artemis import destination
from ..base import AddressKind, Outgoing
from .frames import MAX_SENT_HEADER, encode, escape

# By address, queue type, durability and header names. They are few and recur; bounded, because a caller may invent them.
_CACHE_LIMIT, _MAX_TEMPLATE = 1024, 4096
_templates: dict[tuple[object, ...], list[str]] = {}
#: Headers whose values are part of the template.
_CONSTANT = frozenset({"destination", "destination-type", "persistent"})


def send_frame(message: Outgoing, receipt: str) -> bytes:
    """Return the SEND frame of a message, with a receipt header.

    A message without a key, ttl, priority, delay or single target is written by a template; any other by `send_headers`
    and `encode`.

    Raises:
        HeaderError: the headers are larger than brokers accept.
    """
    body, headers, options = message.envelope.body, message.envelope.headers, message.options
    has_template = message.only is None and (
        options is NO_OPTIONS
        or (options.key is None and options.ttl is None and options.priority is None and not options.delay)
    )
    if has_template:
        key = (message.address, message.kind is AddressKind.QUEUE, message.durable, *headers)
        template = _templates.get(key) or _template(message, key)
        values = [*headers.values(), message.dedup_id, receipt]
        if CONTENT_TYPE in headers:
            values.append(headers[CONTENT_TYPE])
        text = "\n".join(values)
        if text.count("\n") == len(values) - 1 and "\\" not in text and "\r" not in text:
            parts = template.copy()
            parts[1::2] = (text.replace(":", "\\c") if ":" in text else text).split("\n")
            head = "".join(parts).encode("utf-8", "replace")
            head += b"%d\n\n" % len(body)
            if len(head) < MAX_SENT_HEADER:
                return b"".join((head, body, b"\0"))
    return encode("SEND", {**send_headers(message), "receipt": receipt}, body)


def send_headers(message: Outgoing) -> dict[str, str]:
    """Return the headers of SEND (manual of Artemis, "STOMP"): those of the envelope and those of the protocol."""
    headers = {wire_name(name): value for name, value in message.envelope.headers.items()}
    headers["_AMQ_DUPL_ID"] = message.dedup_id
    headers["receipt"] = ""
    if CONTENT_TYPE in headers:
        # Artemis passes it to AMQP clients in the content-type field, where CloudEvents requires it.
        headers["JMS_AMQP_ContentType"] = headers[CONTENT_TYPE]
    headers["destination"] = address = destination(message)
    headers["persistent"] = "true" if message.durable else "false"
    if "::" not in address:
        # Artemis routes a SEND to `address::queue` to every queue of the address if the previous SEND went to the
        # plain address with the same type, or both had none: plain addresses always have a type and queues never do.
        headers["destination-type"] = "ANYCAST" if message.kind is AddressKind.QUEUE else "MULTICAST"
    options = message.options
    if options.key is not None:
        headers["JMSXGroupID"] = options.key
    if options.delay > 0:
        headers["AMQ_SCHEDULED_DELAY"] = str(max(1, round(options.delay * 1000)))
    if options.ttl is not None:
        headers["expires"] = str(round((time.time() + options.ttl) * 1000))
    if options.priority is not None:
        headers["priority"] = str(options.priority)
    return headers


def _template(message: Outgoing, key: tuple[object, ...]) -> list[str]:
    """Return the head of a message's frame, up to the number of content-length.

    The parts alternate between constant text and an empty slot for a value. The values are those of the headers that
    are not constant, in the order of `send_headers`.
    """
    template, text = [], "SEND\n"
    for name, value in send_headers(message).items():
        text += escape(name) + ":"
        if name in _CONSTANT:
            text += escape(value)
        else:
            template += [text, ""]
            text = ""
        text += "\n"
    template.append(text + "content-length:")
    if sum(map(len, template)) < _MAX_TEMPLATE:
        if len(_templates) >= _CACHE_LIMIT:
            _templates.clear()
        _templates[key] = template
    return template
