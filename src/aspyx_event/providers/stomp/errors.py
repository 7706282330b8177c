"""What a broker's ERROR frame means to a caller: one table from its text to the errors of this package."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...exceptions import (
    AuthenticationError,
    ConnectError,
    HeaderError,
    NotAcceptedError,
    PermissionDeniedError,
    ProviderError,
    UnsupportedError,
)

_LONGEST = 300


class ProtocolError(ProviderError):
    """The peer sent something that is not STOMP 1.2."""


class RefusedError(ProviderError):
    """The broker answered with an ERROR frame that the table does not know."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    error: type[Exception]
    remedy: str


def _rule(pattern: str, error: type[Exception], remedy: str) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), error, remedy)


# The first match counts. AMQ numbers are those of Artemis 2.44; the other texts are RabbitMQ's.
_RULES = (
    _rule("AMQ229031|Security Error occurred|Bad CONNECT", AuthenticationError, "check user= and password="),
    _rule(
        "AMQ22903[2-9]|AMQ229213|does not have permission|access.refused", PermissionDeniedError, "grant it to the user"
    ),
    _rule("AMQ229102|is full", NotAcceptedError, "consume, or raise the limit of the address"),
    _rule("AMQ339028|header too big", HeaderError, "send shorter or fewer headers"),
    _rule(
        "AMQ339001|Destination does not exist|not_found",
        UnsupportedError,
        "the broker does not create it; create it there or switch auto-create on",
    ),
    _rule("AMQ339041|Not allowed to specify", UnsupportedError, "the address exists with another routing type"),
    # Over STOMP Artemis does not tell why it refused these two.
    _rule(
        "AMQ339011",
        NotAcceptedError,
        "the address is full, the user lacks the send right, or the headers exceed minLargeMessageSize: the broker's log says which",
    ),
    _rule(
        "AMQ339016",
        PermissionDeniedError,
        "the user lacks the consume or createNonDurableQueue right, or the queue has its maximum of consumers",
    ),
)
# ERROR frames without receipt-id that no SUBSCRIBE causes: a failed ACK, a queue that was deleted or a connection
# that an administrator closed while we used it.
_NOT_OF_A_SUBSCRIBE = re.compile(
    r"AMQ339018|AMQ339025|AMQ339007|failed to ack|acknowledg|consumer with ID|AMQ22901[45]|AMQ229108|closed by management",
    re.IGNORECASE,
)


def reason_of(headers: dict[str, str], body: bytes) -> str:
    """Return what an ERROR frame says, short enough for a log line.

    The `message` header of a refused SEND quotes the whole message with its properties, so only its beginning is
    kept; the cause stands in the body.
    """
    message = headers.get("message", "").split("CoreMessage[", 1)[0].strip()
    cause = body.decode("utf-8", "replace").strip()
    if not message or cause[:9] == message[:9]:  # the same text, with its colons
        return (cause or "no reason given")[:_LONGEST]
    return (f"{message}: {cause}" if cause else message)[:_LONGEST]


def broker_error(what: str, reason: str) -> Exception:
    """Return the error for an ERROR frame.

    Args:
        what: What we were about to do, the beginning of the message.
        reason: As `reason_of` gave it.
    """
    for rule in _RULES:
        if rule.pattern.search(reason):
            return rule.error(f"{what}: {reason}; {rule.remedy}")
    return RefusedError(f"{what}: {reason}")


def publish_error(what: str, reason: str) -> Exception:
    """As `broker_error`, within what `Provider.publish` may fail with."""
    error = broker_error(what, reason)
    return (
        error
        if isinstance(error, (NotAcceptedError, PermissionDeniedError, HeaderError))
        else NotAcceptedError(str(error))
    )


def connect_error(where: str, reason: str) -> ConnectError:
    """The error for an ERROR frame that answers CONNECT."""
    error = broker_error(where, reason)
    return error if isinstance(error, ConnectError) else ConnectError(str(error))


def may_be_of_a_subscribe(reason: str) -> bool:
    """Tell whether an ERROR without receipt-id can be the answer to a SUBSCRIBE under way."""
    return not _NOT_OF_A_SUBSCRIBE.search(reason)
