"""Maps the text of the broker's ERROR frames to the errors of this package, in a table."""

from __future__ import annotations

import re

from ...exceptions import (
    AuthenticationError,
    ConnectError,
    HeaderError,
    NotAcceptedError,
    PermissionDeniedError,
    ProviderError,
    UnsupportedError,
)
from ...printable import printable
from ..error_rules import ErrorRule, first_error

_MAX_REASON = 300
# Bytes of the body of an ERROR frame that are read.
_MAX_BODY = 4096


class ProtocolError(ProviderError):
    """The peer sent something that is not STOMP 1.2."""


class RefusedError(ProviderError):
    """The broker answered with an ERROR frame that the table does not know."""


# The first match wins. AMQ numbers are those of Artemis 2.44; the other texts are RabbitMQ's.
_RULES = (
    ErrorRule("AMQ229031|Security Error occurred|Bad CONNECT", AuthenticationError, "check user= and password="),
    ErrorRule(
        "AMQ22903[2-9]|AMQ229213|does not have permission|access.refused", PermissionDeniedError, "grant it to the user"
    ),
    ErrorRule("AMQ229102|is full", NotAcceptedError, "consume, or raise the limit of the address"),
    ErrorRule("AMQ339028|header too big", HeaderError, "send shorter or fewer headers"),
    ErrorRule(
        "AMQ339001|Destination does not exist|not_found",
        UnsupportedError,
        "the broker does not create it; create it there or switch auto-create on",
    ),
    ErrorRule("AMQ339041|Not allowed to specify", UnsupportedError, "the address exists with another routing type"),
    # Over STOMP, Artemis does not say why it refused a SEND (AMQ339011) or a SUBSCRIBE (AMQ339016).
    ErrorRule(
        "AMQ339011",
        NotAcceptedError,
        "the address is full, the user lacks the send right, or the headers exceed minLargeMessageSize: the broker's log says which",
    ),
    ErrorRule(
        "AMQ339016",
        PermissionDeniedError,
        "the user lacks the consume or createNonDurableQueue right, or the queue has its maximum of consumers",
    ),
)
# ERROR frames without a receipt-id that a SUBSCRIBE never causes: a failed ACK, a queue that was deleted, or a
# connection that an administrator closed.
_NOT_FROM_SUBSCRIBE = re.compile(
    r"AMQ339018|AMQ339025|AMQ339007|failed to ack|acknowledg|consumer with ID|AMQ22901[45]|AMQ229108|closed by management",
    re.IGNORECASE,
)


def error_reason(headers: dict[str, str], body: bytes) -> str:
    """Return the reason an ERROR frame gives, short enough for a log line.

    The `message` header of a refused SEND quotes the whole message with its properties, so only its beginning is
    used. The body contains the cause.
    """
    message = printable(headers.get("message", "").split("CoreMessage[", 1)[0].strip())
    cause = printable(" ".join(body[:_MAX_BODY].decode("utf-8", "replace").split()))
    if not message or cause[:9] == message[:9]:  # the body repeats the header, without escaped colons
        return (cause or "no reason given")[:_MAX_REASON]
    return (f"{message}: {cause}" if cause else message)[:_MAX_REASON]


def broker_error(operation: str, reason: str) -> Exception:
    """Return the error for an ERROR frame.

    Args:
        operation: What failed; the beginning of the error's message.
        reason: The result of `error_reason`.
    """
    return first_error(_RULES, operation, reason) or RefusedError(f"{operation}: {reason}")


def publish_error(operation: str, reason: str) -> Exception:
    """Like `broker_error`, limited to the errors that `Provider.publish` documents."""
    error = broker_error(operation, reason)
    return (
        error
        if isinstance(error, (NotAcceptedError, PermissionDeniedError, HeaderError))
        else NotAcceptedError(str(error))
    )


def connect_error(broker: str, reason: str) -> ConnectError:
    """Return the error for an ERROR frame that answers CONNECT.

    Args:
        broker: The broker's description, the beginning of the error's message.
        reason: The result of `error_reason`.
    """
    error = broker_error(broker, reason)
    return error if isinstance(error, ConnectError) else ConnectError(str(error))


def may_answer_subscribe(reason: str) -> bool:
    """Return whether an ERROR without a receipt-id may be the answer to a pending SUBSCRIBE."""
    return not _NOT_FROM_SUBSCRIBE.search(reason)
