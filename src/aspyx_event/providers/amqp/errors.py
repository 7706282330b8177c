"""What an AMQP error condition means to the caller: one table for connections, links and outcomes."""

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


class Stage(Enum):
    """What was under way when the broker, or the driver, named a condition."""

    OPENING = "opening the connection"
    CONNECTION = "on the open connection"
    SENDER = "attaching to send to"
    RECEIVER = "attaching to consume"
    OUTCOME = "sending to"


@dataclass(frozen=True, slots=True)
class Condition:
    """An AMQP error (core specification 2.8.14): a symbolic name such as ``amqp:not-found`` and free text."""

    name: str = ""
    description: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.description}" if self.name else self.description


def read_condition(condition: Any) -> Condition:
    """Return proton's condition object, or None, as ours."""
    if condition is None:
        return Condition("", "no reason given")
    return Condition(condition.name or "", condition.description or "")


@dataclass(frozen=True, slots=True)
class _Rule:
    stages: frozenset[Stage]
    #: Condition name, "" for any.
    name: str
    #: Part of the description, "" for any. Artemis has stable codes (AMQ229032) where the condition says nothing.
    text: str
    error: type[EventException]
    cure: str


_OPENING = frozenset({Stage.OPENING})
_RECEIVER = frozenset({Stage.RECEIVER})
_SENDER = frozenset({Stage.SENDER, Stage.OUTCOME})
_LINK = _RECEIVER | _SENDER

_CLASH = (
    "queue names are unique per broker, and this one belongs to another address; give the listener another name=, "
    "or the provider queue_naming=QueueNaming.QUALIFIED"
)
_RIGHTS = "give the user the missing right (security-settings of the broker), or create address and queue beforehand"
_KIND = "the address exists with the other routing type; use another event name or queue name"

# The first rule that fits wins. Conditions and codes as Artemis 2.44 sends them.
_RULES = (
    _Rule(_OPENING, "amqp:unauthorized-access", "", AuthenticationError, "check user= and password="),
    _Rule(_OPENING, "amqp:connection:framing-error", "", ConnectError, "does the port speak AMQP, without TLS?"),
    _Rule(_RECEIVER, "amqp:not-found", "does not exist for address", QueueClashError, _CLASH),
    _Rule(_RECEIVER, "", "AMQ229082", QueueClashError, _CLASH),
    _Rule(_LINK, "", "AMQ229032", PermissionDeniedError, _RIGHTS),
    _Rule(_LINK, "", "AMQ229213", PermissionDeniedError, _RIGHTS),
    _Rule(_LINK, "amqp:unauthorized-access", "", PermissionDeniedError, _RIGHTS),
    _Rule(_RECEIVER, "amqp:not-found", "", UnsupportedError, "it does not exist and the broker does not create it"),
    _Rule(_SENDER, "amqp:not-found", "", NotAcceptedError, "it does not exist and the broker does not create it"),
    _Rule(_RECEIVER, "amqp:illegal-state", "not configured for", UnsupportedError, _KIND),
    _Rule(_SENDER, "amqp:illegal-state", "not configured for", NotAcceptedError, _KIND),
    _Rule(_SENDER, "amqp:resource-limit-exceeded", "", NotAcceptedError, "the address is full; are its consumers up?"),
)
_OTHERWISE: dict[Stage, type[EventException]] = {
    Stage.OPENING: ConnectError,
    Stage.CONNECTION: ConnectionLostError,
    Stage.SENDER: NotAcceptedError,
    Stage.RECEIVER: ProviderError,
    Stage.OUTCOME: NotAcceptedError,
}


def error_for(stage: Stage, condition: Condition, subject: str) -> EventException:
    """Return the error for *condition*.

    Args:
        stage: What was under way.
        condition: What the broker or the driver said.
        subject: The broker, address or queue that it is about, for the message.
    """
    for rule in _RULES:
        if stage in rule.stages and rule.name in ("", condition.name) and rule.text in condition.description:
            return rule.error(f"{stage.value} {subject}: {condition}; {rule.cure}")
    return _OTHERWISE[stage](f"{stage.value} {subject}: {condition}")
