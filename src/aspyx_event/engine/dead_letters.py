"""Where an event goes that a listener could not handle: one queue per subscription, with the reason beside it."""

from __future__ import annotations

import traceback
from datetime import datetime, timezone
from hashlib import blake2b
from uuid import uuid4

from ..envelope import FRAMEWORK_PREFIX, Envelope
from ..names import DEAD_LETTER_PREFIX
from ..providers.base import AddressKind, Outgoing
from .failures import users_part

CAUSE_TYPE = FRAMEWORK_PREFIX + "cause-type"
CAUSE_MESSAGE = FRAMEWORK_PREFIX + "cause-message"
CAUSE_TRACEBACK = FRAMEWORK_PREFIX + "cause-traceback"
ATTEMPTS = FRAMEWORK_PREFIX + "attempts"
FAILED_AT = FRAMEWORK_PREFIX + "failed-at"
ORIGINAL_ADDRESS = FRAMEWORK_PREFIX + "original-address"
ORIGINAL_QUEUE = FRAMEWORK_PREFIX + "original-queue"
SUBSCRIPTION = FRAMEWORK_PREFIX + "subscription"

_MESSAGE_LIMIT, _TRACEBACK_LIMIT = 1_000, 4_000


def dead_letter_address(event_name: str, subscription: str) -> str:
    """Return the address, and queue, of the dead letters of one subscription."""
    return f"{DEAD_LETTER_PREFIX}{event_name}.{subscription}"


def dead_letter(
    body: bytes,
    headers: dict[str, str],
    error: BaseException,
    *,
    event_name: str,
    subscription: str,
    queue: str,
    attempts: int,
    event_id: str,
) -> Outgoing:
    """Return the dead letter of a failed delivery: original headers and bytes, and why it failed.

    Args:
        body: As it was received.
        headers: As they were received.
        error: What the last attempt raised.
        event_name: Event and address of the subscription.
        subscription: Name of the listener or group.
        queue: The queue it was received from; "" for one that has no name.
        attempts: How often it was tried.
        event_id: Id of the event, part of the id by which the broker drops a second copy. "" keeps every copy.
    """
    text = "".join(traceback.format_exception(type(error), error, users_part(error.__traceback__)))
    notes = {
        CAUSE_TYPE: f"{type(error).__module__}.{type(error).__qualname__}",
        CAUSE_MESSAGE: str(error)[:_MESSAGE_LIMIT],
        CAUSE_TRACEBACK: text[-_TRACEBACK_LIMIT:],
        ATTEMPTS: str(attempts),
        FAILED_AT: datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
        ORIGINAL_ADDRESS: event_name,
        ORIGINAL_QUEUE: queue,
        SUBSCRIPTION: subscription,
    }
    address = dead_letter_address(event_name, subscription)
    return Outgoing(
        address=address,
        envelope=Envelope(body, {**headers, **notes}),
        # The same for a letter that a crash makes twice; the digest tells foreign events of one id apart.
        dedup_id=f"{address}|{event_id or uuid4()}|{blake2b(body, digest_size=8).hexdigest()}",
        kind=AddressKind.QUEUE,
        durable=True,
    )
