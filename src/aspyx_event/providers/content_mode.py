"""Binary or structured mode of CloudEvents on the wire. Above the providers, messages are always in binary mode.

Source: AMQP Protocol Binding for CloudEvents v1.0.2, section 3; STOMP does the same.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from ..cloudevents.formats import is_structured
from ..cloudevents.messaging import to_binary, to_structured
from ..envelope import CONTENT_TYPE, Envelope
from ..exceptions import DeclarationError
from .base import AddressKind, Outgoing

ContentMode = Literal["binary", "structured"]
# Checked first, because nearly all events have it.
_JSON = "application/json"


def sends_structured(mode: ContentMode) -> bool:
    """Return whether events are to be sent in structured mode.

    Raises:
        DeclarationError: *mode* is neither of the two.
    """
    if mode not in ("binary", "structured"):
        raise DeclarationError(f'content_mode={mode!r} is neither "binary" nor "structured"')
    return mode == "structured"


def structured(message: Outgoing) -> Outgoing:
    """Return *message* with its event in structured mode.

    A message for a single queue (the next attempt, a dead letter, a replay) keeps the bytes it was received with, and
    a message that is not a CloudEvent is not changed.
    """
    if message.kind is AddressKind.QUEUE or message.only is not None:
        return message
    headers, body = to_structured(message.envelope.headers, message.envelope.body)
    envelope = Envelope(body, headers, message.envelope.event)
    envelope.options = message.envelope.options
    return replace(message, envelope=envelope)


def received_envelope(body: bytes, headers: dict[str, str]) -> Envelope:
    """Return the envelope of a received message of either mode. Never raises.

    A structured message that cannot be converted stays as it is, and fails when its body is decoded.
    """
    content_type = headers.get(CONTENT_TYPE)
    if content_type is not None and content_type != _JSON and is_structured(content_type):
        with suppress(Exception):  # not silent: the same error fails the decoding of the body
            headers, body = to_binary(headers, body)
    return Envelope(body, headers)
