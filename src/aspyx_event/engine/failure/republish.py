"""Messages that are published again: the next attempt of a delayed retry, a dead letter, a replay.

The copy is published before the delivery is acknowledged. After a crash between the two, a second copy has the same
`dedup_id`, so a broker with duplicate detection drops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from hashlib import blake2b
from urllib.parse import quote, unquote
from uuid import uuid4

from ...envelope import ATTEMPT, CE_EXPIRY, CE_KEY, CE_SOURCE, FRAMEWORK_PREFIX, REPLAY_RUN, Envelope, SendOptions
from ...error_text import message_of, traceback_frames, traceback_text, type_name
from ...listener_descriptors import EventListenerDescriptor
from ...names import DEAD_LETTER_PREFIX, literal
from ...providers.base import AddressKind, Binding, Outgoing
from .reporter import user_frames

LETTER_ID = FRAMEWORK_PREFIX + "dead-letter-id"
CAUSE_TYPE = FRAMEWORK_PREFIX + "cause-type"
CAUSE_MESSAGE = FRAMEWORK_PREFIX + "cause-message"
CAUSE_TRACEBACK = FRAMEWORK_PREFIX + "cause-traceback"
ATTEMPTS = FRAMEWORK_PREFIX + "attempts"
FAILED_AT = FRAMEWORK_PREFIX + "failed-at"
ORIGINAL_ADDRESS = FRAMEWORK_PREFIX + "original-address"
ORIGINAL_QUEUE = FRAMEWORK_PREFIX + "original-queue"
SUBSCRIPTION = FRAMEWORK_PREFIX + "subscription"
#: Handlers of a chain that have handled the event: the next attempt skips them.
FINISHED = FRAMEWORK_PREFIX + "finished"
#: The handler of a chain whose attempts the copy counts.
FAILED_HANDLER = FRAMEWORK_PREFIX + "failed-handler"
REPLAY_OF = FRAMEWORK_PREFIX + "replay-of"

#: Headers that describe the failure of a dead letter; a replay removes them.
LETTER_HEADERS = frozenset(
    {
        LETTER_ID,
        CAUSE_TYPE,
        CAUSE_MESSAGE,
        CAUSE_TRACEBACK,
        ATTEMPTS,
        FAILED_AT,
        ORIGINAL_ADDRESS,
        ORIGINAL_QUEUE,
        SUBSCRIPTION,
    }
)


def dead_letter_address(event_name: str, subscription: str) -> str:
    """Return the address, and queue, of the dead letters of a subscription."""
    return f"{DEAD_LETTER_PREFIX}{literal(event_name)}.{subscription}"


def letter_name(listener: EventListenerDescriptor, *, alone: bool) -> str:
    """Return the name of a listener in the address of its dead letters.

    Args:
        listener: Its descriptor.
        alone: The listener shares its queue with no other handler.
    """
    name = listener.consumer_name if alone else listener.name
    return f"{listener.scope}.{name}" if listener.scope else name


def finished_handlers(headers: Mapping[str, str]) -> list[str]:
    """Return the names of the handlers that have handled an event."""
    stated = headers.get(FINISHED)
    return [unquote(name) for name in stated.split(",")] if stated else []


def with_finished(headers: dict[str, str], finished: Iterable[str]) -> dict[str, str]:
    """Return *headers* with the names of the handlers that have handled the event."""
    names = ",".join(quote(name, safe="") for name in finished)
    others = {name: value for name, value in headers.items() if name != FINISHED}
    return {**others, FINISHED: names} if names else others


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
    """Return the dead letter of a failed delivery: the original headers and bytes, and the cause of the failure.

    Args:
        body: The received body.
        headers: The received headers.
        error: The exception of the last attempt.
        event_name: Event and address of the subscription.
        subscription: Name of the listener or group.
        queue: The queue it was received from; "" for a queue without a name.
        attempts: Number of attempts.
        event_id: Id of the event, part of the id by which the broker drops a second copy. "" keeps every copy.
    """
    address = dead_letter_address(event_name, subscription)
    # An event that fails again after a replay is another letter.
    identity = _identity(address, event_id, headers, body)
    cause = {
        LETTER_ID: blake2b(identity.encode(), digest_size=10).hexdigest(),
        CAUSE_TYPE: type_name(error),
        CAUSE_MESSAGE: message_of(error),
        CAUSE_TRACEBACK: traceback_text(error, user_frames(traceback_frames(error))),
        ATTEMPTS: str(attempts),
        FAILED_AT: datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
        ORIGINAL_ADDRESS: event_name,
        ORIGINAL_QUEUE: queue,
        SUBSCRIPTION: subscription,
    }
    original = {name: value for name, value in headers.items() if name not in (ATTEMPT, FAILED_HANDLER)}
    return Outgoing(
        address=address,
        envelope=Envelope(body, {**original, **cause}),
        dedup_id=identity,
        kind=AddressKind.QUEUE,
        durable=True,
    )


def retry_copy(received: Envelope, binding: Binding, attempt: int, delay: float, now: float) -> Outgoing:
    """Return the copy of a delivery that reaches the same queue, and no other, *delay* seconds after *now*."""
    headers = {**received.headers, ATTEMPT: str(attempt)}
    queue = f"{binding.address}::{binding.queue}|{headers.get(FAILED_HANDLER, '')}|{attempt}"
    return Outgoing(
        address=binding.address,
        envelope=Envelope(received.body, headers),
        dedup_id=_identity(queue, received.id, headers, received.body),
        only=binding,
        durable=binding.durable,
        options=SendOptions(key=headers.get(CE_KEY) or None, delay=delay, ttl=time_left(headers, now)),
    )


def replay_copy(
    body: bytes,
    headers: Mapping[str, str],
    letter_id: str,
    binding: Binding,
    *,
    run: str = "",
    failed_at: str = "",
    wait_handled: bool = False,
) -> Outgoing:
    """Return the event of a dead letter, or of an event store, for a queue: the original headers and bytes.

    Args:
        body: The body as it was sent.
        headers: The headers as they were received or stored.
        letter_id: Id of the dead letter, or of the stored event.
        binding: The queue.
        run: Id of the replay, if the event may have been handled before and is to be handled again. "" for a dead letter.
        failed_at: Time of the failure: if the letter was not removed in time and is replayed again, a broker with
            duplicate detection drops the second copy. "" makes every copy unique.
    """
    original = {name: value for name, value in headers.items() if name not in LETTER_HEADERS}
    if run:
        # The replay was requested now, so the expiry of the original send does not count.
        original.pop(CE_EXPIRY, None)
        original[REPLAY_RUN] = run
    return Outgoing(
        address=binding.address,
        envelope=Envelope(body, {**original, REPLAY_OF: letter_id}),
        dedup_id=f"replay|{letter_id}|{failed_at or uuid4()}",
        only=binding,
        durable=True,
        options=SendOptions(key=original.get(CE_KEY) or None, wait_handled=wait_handled),
    )


def _identity(destination: str, event_id: str, headers: Mapping[str, str], body: bytes) -> str:
    # The same for both copies around a crash. The digest distinguishes events of other senders with the same id, because
    # an id is unique only within its source.
    digest = blake2b(headers.get(CE_SOURCE, "").encode("utf-8", "replace") + b"\0" + body, digest_size=8).hexdigest()
    return f"{destination}|{event_id or uuid4()}|{headers.get(REPLAY_OF, '')}|{digest}"


def time_left(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds after *now* until the event expires, at least 0.001; None if it does not expire."""
    stated = headers.get(CE_EXPIRY)
    if not stated:
        return None
    try:
        end = datetime.fromisoformat(stated.replace("Z", "+00:00"))
        return max((end - datetime.fromtimestamp(now, timezone.utc)).total_seconds(), 0.001)
    except (ValueError, TypeError):
        return None  # another sender's format of a time
