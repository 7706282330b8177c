"""Maps AMQP error conditions of connections, links and outcomes to the errors of this package, in a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from ...exceptions import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    EventException,
    NotAcceptedError,
    PermissionDeniedError,
    ProviderError,
    QueueClashError,
    UnsupportedError,
)
from ..error_rules import ErrorRule, first_error


class Stage(Enum):
    """The operation that failed with a condition."""

    OPENING = "opening the connection"
    CONNECTION = "on the open connection"
    SENDER = "attaching to send to"
    RECEIVER = "attaching to consume"
    OUTCOME = "sending to"


@dataclass(frozen=True, slots=True)
class Condition:
    """An AMQP error (core specification 2.8.14): a symbolic name such as ``amqp:not-found``, and free text."""

    name: str = ""
    description: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.description}" if self.name else self.description


def read_condition(condition: Any) -> Condition:
    """Return proton's condition object, or None, as a `Condition`."""
    if condition is None:
        return Condition("", "no reason given")
    return Condition(condition.name or "", condition.description or "")


_OPENING = frozenset({Stage.OPENING})
_RECEIVER = frozenset({Stage.RECEIVER})
_SENDER = frozenset({Stage.SENDER, Stage.OUTCOME})
_LINK = _RECEIVER | _SENDER

_CLASH = (
    "queue names are unique per broker, and this name belongs to another address; give the listener another name=, "
    "or the provider queue_naming=QueueNaming.QUALIFIED"
)
_PERMISSION = (
    "grant the user the missing permission (security-settings of the broker), or create address and queue beforehand"
)
_NOT_CREATED = "it does not exist and the broker does not create it"
_KIND = "the address exists with the other routing type; use another event name or queue name"

# The first match wins. The text is the condition's name, if it has one, and its description. Artemis 2.44 has stable
# codes (AMQ229032) in descriptions whose condition is not specific.
_RULES = (
    (_OPENING, ErrorRule("^amqp:unauthorized-access:", AuthenticationError, "check user= and password=")),
    (
        _OPENING,
        ErrorRule("^amqp:connection:framing-error:", ConnectError, "does the port speak AMQP, without TLS?"),
    ),
    (_RECEIVER, ErrorRule("^amqp:not-found:.*does not exist for address", QueueClashError, _CLASH)),
    (_RECEIVER, ErrorRule("AMQ229082", QueueClashError, _CLASH)),
    (_LINK, ErrorRule("AMQ229032|AMQ229213", PermissionDeniedError, _PERMISSION)),
    (_LINK, ErrorRule("^amqp:unauthorized-access:", PermissionDeniedError, _PERMISSION)),
    (_RECEIVER, ErrorRule("^amqp:not-found:", UnsupportedError, _NOT_CREATED)),
    (_SENDER, ErrorRule("^amqp:not-found:", NotAcceptedError, _NOT_CREATED)),
    (_RECEIVER, ErrorRule("^amqp:illegal-state:.*not configured for", UnsupportedError, _KIND)),
    (_SENDER, ErrorRule("^amqp:illegal-state:.*not configured for", NotAcceptedError, _KIND)),
    (
        _SENDER,
        ErrorRule(
            "^amqp:resource-limit-exceeded:", NotAcceptedError, "the address is full; are its consumers running?"
        ),
    ),
)
_DEFAULT: dict[Stage, type[EventException]] = {
    Stage.OPENING: ConnectError,
    Stage.CONNECTION: ConnectionLostError,
    Stage.SENDER: NotAcceptedError,
    Stage.RECEIVER: ProviderError,
    Stage.OUTCOME: NotAcceptedError,
}


def error_for(stage: Stage, condition: Condition, subject: str) -> EventException:
    """Return the error for *condition*.

    Args:
        stage: The operation that failed.
        condition: Named by the broker or the driver.
        subject: The broker, address or queue, for the message.
    """
    operation, reason = f"{stage.value} {subject}", str(condition)
    rules = (rule for stages, rule in _RULES if stage in stages)
    return first_error(rules, operation, reason) or _DEFAULT[stage](f"{operation}: {reason}")
