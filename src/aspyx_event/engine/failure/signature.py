"""Signatures of the messages that the engine sends to queues: copies for a retry, dead letters, replays, notes, markers.

Whoever may send to an address may send any header to any of its queues, and a broker does not tell how a message came
into a queue. So headers with the prefix `aspyx-`, which decide about attempts and skipped handlers, count only in a
message that carries a signature of this application.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from ...envelope import ATTEMPT, FRAMEWORK_PREFIX, Envelope
from ...free_form import FREE_FORM
from ...log_fields import log_fields
from ...providers.base import AddressKind, Binding, Consume, Delivery, Outgoing, Provider
from ...safe_logger import SafeLogger
from .republish import FAILED_HANDLER

logger = SafeLogger(logging.getLogger("aspyx.event"))
#: Two times HMAC-SHA256, 16 bytes in hexadecimal each: over the queue, the body and all other headers, and over the queue,
#: the body and the headers of the framework alone.
SIGNATURE = FRAMEWORK_PREFIX + "signature"
_LENGTH = 32


def signed(provider: Provider, message: Outgoing) -> Outgoing:
    """Return *message*, which goes to a single queue, with a signature."""
    envelope = message.envelope
    headers = {name: value for name, value in envelope.headers.items() if name != SIGNATURE}
    destination = message.address if message.only is None else _queue_of(message.only)
    key, body = provider.signing_key, envelope.body
    headers[SIGNATURE] = _signature(key, destination, headers, body) + _signature(
        key, destination, _own_headers(headers), body
    )
    return replace(message, envelope=Envelope(body, headers, envelope.event))


def is_signed(provider: Provider, destination: str, envelope: Envelope) -> bool:
    """Return whether a message was signed by this application for the queue that it came from, and arrived unchanged.

    Args:
        provider: Has the key.
        destination: The queue, as `address::queue`; the address of a queue that is its own address.
        envelope: As it was received.
    """
    stated = _stated_signature(envelope)
    return bool(stated) and hmac.compare_digest(
        stated[:_LENGTH], _signature(provider.signing_key, destination, envelope.headers, envelope.body)
    )


def _is_counted(provider: Provider, destination: str, envelope: Envelope) -> bool:
    """Return whether a message is a copy of this application in which other headers arrived changed."""
    stated = _stated_signature(envelope)
    return bool(stated) and hmac.compare_digest(
        stated[_LENGTH:],
        _signature(provider.signing_key, destination, _own_headers(envelope.headers), envelope.body),
    )


def _stated_signature(envelope: Envelope) -> str:
    """Return the signature that a message has; "" if that cannot be one."""
    stated = envelope.headers.get(SIGNATURE, "")
    return stated if len(stated) == 2 * _LENGTH and stated.isascii() else ""


def _own_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(FRAMEWORK_PREFIX) and name != FREE_FORM}


def without_framework_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* without those that only a signed message may have.

    `FREE_FORM` stays: every sender of a `GenericEvent` writes it, and it only chooses the class of an event that has none.
    """
    return {
        name: value for name, value in headers.items() if not name.startswith(FRAMEWORK_PREFIX) or name == FREE_FORM
    }


class SignatureCheck:
    """Removes the headers of the framework from deliveries that are not signed, before anything reads them.

    Args:
        provider: Has the key.
        binding: The queue that the deliveries come from.
        consume: Gets every delivery.
    """

    __slots__ = ("_binding", "_consume", "_provider", "_warned")

    def __init__(self, provider: Provider, binding: Binding, consume: Consume) -> None:
        self._provider, self._binding, self._consume = provider, binding, consume
        self._warned = False

    def __call__(self, delivery: Delivery) -> None:
        """Pass *delivery* on; a provider calls this as its `Consume`."""
        # Joined, because searching a single text is much cheaper than looking at every name.
        if FRAMEWORK_PREFIX in "\n".join(delivery.received.headers):
            self._check(delivery)
        self._consume(delivery)

    def _check(self, delivery: Delivery) -> None:
        received = delivery.received
        headers = received.headers
        if SIGNATURE in headers and is_signed(self._provider, _queue_of(self._binding), received):
            delivery.replace_headers({name: value for name, value in headers.items() if name != SIGNATURE})
            return
        allowed = without_framework_headers(headers)
        if len(allowed) == len(headers):
            return
        if SIGNATURE in headers and _is_counted(self._provider, _queue_of(self._binding), received):
            # A header did not survive the way through the broker. Attempts count all the same: otherwise a sender with such
            # a header would make an event that is tried for ever.
            allowed.update((name, headers[name]) for name in (ATTEMPT, FAILED_HANDLER) if name in headers)
            delivery.replace_headers(allowed)
            return
        delivery.replace_headers(allowed)
        logger.log(
            logging.DEBUG if self._warned else logging.WARNING,
            "listener %r: the %s headers of an event are ignored, because its sender is not this application%s",
            self._binding.label,
            FRAMEWORK_PREFIX,
            "; if it is, give both processes the same secret=" if SIGNATURE in headers else "",
            extra=log_fields(received, self._binding.label),
        )
        self._warned = True


def _queue_of(binding: Binding) -> str:
    return binding.address if binding.kind is AddressKind.QUEUE else f"{binding.address}::{binding.queue}"


def _signature(key: bytes, destination: str, headers: Mapping[str, str], body: bytes) -> str:
    # With the length before each part, no two messages have the same text.
    parts = [destination]
    for name in sorted(headers):
        if name != SIGNATURE:
            parts += (name, headers[name])
    text = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
    return hmac.digest(key, text + sha256(body).digest(), "sha256").hex()[:_LENGTH]
