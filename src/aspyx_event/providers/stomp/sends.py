"""The SEND frame of a message. Messages that differ in their values alone share the rest of it."""

from __future__ import annotations

import time

from ...envelope import CONTENT_TYPE, wire_name
from ..artemis import target
from ..base import AddressKind, Outgoing
from .frames import MAX_SENT_HEADER, encode, escape

# By what a frame is like; addresses and names are few and come again, but a caller may make them up.
_CACHE_LIMIT, _LONGEST_LAYOUT = 1024, 4096
_layouts: dict[tuple[object, ...], list[str]] = {}
#: Headers that messages to one address have in common.
_COMMON = frozenset({"destination", "destination-type", "persistent"})


def send_frame(message: Outgoing, receipt: str) -> bytes:
    """Return the frame of a message, which asks for a receipt: that of `send_headers`, in a shorter way where there is one.

    Raises:
        HeaderError: the headers are larger than brokers take.
    """
    body, headers = message.envelope.body, message.envelope.headers
    usual = (
        message.only is None
        and message.key is None
        and message.ttl is None
        and message.priority is None
        and not message.delay
    )
    if usual:
        looks = (message.address, message.kind is AddressKind.QUEUE, message.durable, *headers)
        layout = _layouts.get(looks) or _layout(message, looks)
        values = [*headers.values(), message.dedup_id, receipt]
        if CONTENT_TYPE in headers:
            values.append(headers[CONTENT_TYPE])
        text = "\n".join(values)
        if text.count("\n") == len(values) - 1 and "\\" not in text and "\r" not in text:
            parts = layout.copy()
            parts[1::2] = (text.replace(":", "\\c") if ":" in text else text).split("\n")
            head = "".join(parts).encode("utf-8", "replace")
            head += b"%d\n\n" % len(body)
            if len(head) < MAX_SENT_HEADER:
                return b"".join((head, body, b"\0"))
    return encode("SEND", {**send_headers(message), "receipt": receipt}, body)


def send_headers(message: Outgoing) -> dict[str, str]:
    """Return the headers of SEND (manual of Artemis, "STOMP"); the envelope's travel beside those of the protocol."""
    headers = {wire_name(name): value for name, value in message.envelope.headers.items()}
    headers["_AMQ_DUPL_ID"] = message.dedup_id
    headers["receipt"] = ""
    if CONTENT_TYPE in headers:
        # Artemis gives it to AMQP clients in the content-type field, where CloudEvents wants it.
        headers["JMS_AMQP_ContentType"] = headers[CONTENT_TYPE]
    headers["destination"] = destination = target(message)
    headers["persistent"] = "true" if message.durable else "false"
    if "::" not in destination:
        # Artemis routes a SEND to `address::queue` to every queue of the address if the SEND before it went to the
        # plain address with the same type, also with none: plain addresses always carry one and queues never do.
        headers["destination-type"] = "ANYCAST" if message.kind is AddressKind.QUEUE else "MULTICAST"
    if message.key is not None:
        headers["JMSXGroupID"] = message.key
    if message.delay > 0:
        headers["AMQ_SCHEDULED_DELAY"] = str(max(1, round(message.delay * 1000)))
    if message.ttl is not None:
        headers["expires"] = str(round((time.time() + message.ttl) * 1000))
    if message.priority is not None:
        headers["priority"] = str(message.priority)
    return headers


def _layout(message: Outgoing, looks: tuple[object, ...]) -> list[str]:
    """Return the head of a message's frame up to its length: what is between the values, and room for each of them.

    The values are those that are not common, in the order of `send_headers`.
    """
    layout, text = [], "SEND\n"
    for name, value in send_headers(message).items():
        text += escape(name) + ":"
        if name in _COMMON:
            text += escape(value)
        else:
            layout += [text, ""]
            text = ""
        text += "\n"
    layout.append(text + "content-length:")
    if sum(map(len, layout)) < _LONGEST_LAYOUT:
        if len(_layouts) >= _CACHE_LIMIT:
            _layouts.clear()
        _layouts[looks] = layout
    return layout
