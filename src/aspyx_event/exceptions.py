"""Every error of this package, sorted by what the caller does about it.

* EventException
  + DeclarationError            fix the declaration; raised at import, at start or by the call that meets it
    - UnregisteredEventTypeError
    - DuplicateEventError
    - InvalidNameError
    - InvalidSchemaError
    - ListenerError
    - QueueClashError
    - UnsupportedError
    - RequirementError            the order asked for cannot be kept
    - UnregisteredTopicError
    - EventNotInTopicError
    - EntryPointError
    - ConfigurationError
  + CodecError                  discard: bytes and event do not fit each other, a retry cannot help
    - EncodeError
      * InvalidEventSchemaError
    - DecodeError
      * SchemaVersionError
      * InvalidCloudEventError
      * UnknownFormatError
    - LimitExceededError
  + SnapshotError               look at the folder of contracts, or raise the event's version
  + UnknownDeadLetterError      there is no such dead letter (any more)
  + PoisonMessageError            find out why the event kills its process
  + HandlerTimeoutError         make the handler faster, or its time longer
  + WebhookError                try again, or look at the receiver
    - WebhookRefusedError       discard, or fix what is posted
  + HeaderError                 fix the header
  + StateError                  the manager is not in a state to do this
  + MissingDriverError          install the driver
  + ProviderError               retry, or look at the broker
    - ConnectError
      * AuthenticationError
    - ConnectionLostError
    - PermissionDeniedError
    - ConfirmTimeoutError
    - BufferFullError
    - NotAcceptedError
    - NoRouteError
  + EventStoreError             the store of events did not do what it was asked
    - StoreUnavailableError     try again: it is locked, lost, full or too slow
    - StoreRefusedError         look at the database or the event; trying again does not help
      * DuplicateStoredEventError
      * UnknownStoredEventError

`StopProcessing` is none of these: it is what a handler raises on purpose, and no `except EventException` takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EventException(Exception):
    """Root of all errors of this package."""


class DeclarationError(EventException):
    """A declaration (event, listener, pipeline, name) is wrong; the message names the cure."""


class UnregisteredEventTypeError(DeclarationError):
    """An object or class was used as an event that is not declared as one."""


class DuplicateEventError(DeclarationError):
    """Two classes claim one event name in one manager."""

    def __init__(self, name: str, first: type, second: type) -> None:
        super().__init__(
            f"event name {name!r} is claimed by {first.__module__}.{first.__qualname__} and by "
            f"{second.__module__}.{second.__qualname__}; give one of them another name: @event(name=...)"
        )
        self.name, self.first, self.second = name, first, second


class InvalidNameError(DeclarationError):
    """A name has characters that the brokers read as syntax."""


class InvalidSchemaError(DeclarationError):
    """`@event(schema=...)` is no JSON Schema; the message names the event, the place in the schema and the reason."""


class ListenerError(DeclarationError):
    """A listener has no `on`, or cannot be built by the container."""


class QueueClashError(DeclarationError):
    """Two subscriptions claim one queue for two events; queue names are unique per broker."""


class UnsupportedError(DeclarationError):
    """A declaration or an option needs what the provider does not offer."""


class RequirementError(DeclarationError):
    """Handlers require each other in a ring, or one requires what is not there or does not want the event."""


class UnregisteredTopicError(DeclarationError):
    """A topic is not registered with the manager."""


class EventNotInTopicError(DeclarationError):
    """An event was sent on a topic that does not carry its class."""


class ConfigurationError(DeclarationError):
    """A configuration says what cannot be; the message names file, line and key as far as they are known."""


class EntryPointError(DeclarationError):
    """What an installed distribution offers as a handler cannot be loaded; the message names both."""


class CodecError(EventException):
    """An event and its bytes do not fit each other. A retry cannot help."""


class EncodeError(CodecError):
    """An event holds values that its class cannot write."""


class DecodeError(CodecError):
    """A body is not what its event class says; the message names event, field and reason."""


class InvalidEventSchemaError(EncodeError, ValueError):
    """An event that was to be sent is not what its class or its JSON Schema says.

    Attributes:
        event_name: Name of the event.
        errors: One line for each thing that is wrong: the place in the payload, and why.
    """

    def __init__(self, event_name: str, errors: Sequence[str], against: str = "its class") -> None:
        shown = "; ".join(errors[:3]) + (f" (and {len(errors) - 3} more)" if len(errors) > 3 else "")
        super().__init__(f"event {event_name!r} is not what {against} says: {shown}")
        self.event_name, self.errors = event_name, list(errors)


class SchemaVersionError(DecodeError):
    """A payload has a version that this program does not read: newer than its class, or too old for its upcasters."""


class InvalidCloudEventError(DecodeError):
    """What came in is no CloudEvent of version 1.0.

    Attributes:
        attribute: Name of the attribute or member that is wrong; "" where it is none of them.
    """

    def __init__(self, message: str, attribute: str = "") -> None:
        super().__init__(message)
        self.attribute = attribute


class UnknownFormatError(DecodeError):
    """A CloudEvent came in a format, or a number of them in a batch format, that nobody reads here."""


class LimitExceededError(CodecError):
    """An event is larger than the manager's `Limits` allow."""


class SnapshotError(EventException):
    """A folder of contracts cannot be read or written, or an event breaks what is recorded there."""


class UnknownDeadLetterError(EventException, LookupError):
    """No dead letter has the id; somebody may have replayed or purged it."""


class PoisonMessageError(EventException):
    """The cause of a dead letter whose event was in hand when processes died, again and again."""


class HandlerTimeoutError(EventException, TimeoutError):
    """An attempt took longer than `Retry(timeout=...)` allows."""


class WebhookError(EventException):
    """The receiver of a webhook could not be reached, or did not take the event.

    Attributes:
        status: Its HTTP status code; None where there was no answer.
        retry_after: Seconds that it asks to wait; None where it does not.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class WebhookRefusedError(WebhookError):
    """The receiver of a webhook will not take the event, also when it is sent again."""


class HeaderError(EventException):
    """A header has a reserved or impossible name, or a value that is not text."""


class StateError(EventException):
    """The manager is stopped, or bound to an event loop that has ended."""


class MissingDriverError(EventException):
    """A provider's driver is not installed; the message has the command that installs it."""


class ProviderError(EventException):
    """The broker or the connection to it failed."""


class ConnectError(ProviderError):
    """No connection: nobody listens, the host is unknown, the port speaks another protocol, TLS failed."""


class AuthenticationError(ConnectError):
    """The broker refused the user or the password. Trying again does not help."""


class ConnectionLostError(ProviderError):
    """The connection ended while the operation was under way and the operation cannot be repeated."""


class PermissionDeniedError(ProviderError):
    """The user lacks a right on the broker: to create a queue, to send, to consume or to manage."""


class ConfirmTimeoutError(ProviderError, TimeoutError):
    """No confirmation before the deadline: the broker may or may not have stored the message."""


class BufferFullError(ProviderError):
    """The bounded buffer for unconfirmed messages has no room."""


class NotAcceptedError(ProviderError):
    """The broker answered a message with a refusal, for example because the address is full."""


class NoRouteError(ProviderError):
    """`require_route=True` was asked and no queue is bound to the address: the broker would drop the event."""


class StopProcessing(Exception):
    """Raised by a handler: no further handler of its chain gets this event. Not an error: the delivery succeeded.

    Args:
        value: What `EventManager.process` returns, at once: events returned by earlier handlers are dropped. Without a
            value they are still processed.
    """

    def __init__(self, *value: Any) -> None:
        if len(value) > 1:
            raise TypeError(f"StopProcessing takes one value at most, {len(value)} were given")
        super().__init__(*value)

    @property
    def has_value(self) -> bool:
        """True if a value was given, also None."""
        return bool(self.args)

    @property
    def value(self) -> Any:
        return self.args[0] if self.args else None


class EventStoreError(EventException):
    """A store of events did not do what it was asked. An event that was to be stored before it is sent was not sent."""


class StoreUnavailableError(EventStoreError):
    """The store is locked, lost, full or too slow. Trying again later may help; nothing was sent that is not stored."""


class StoreRefusedError(EventStoreError):
    """The store refuses, and will again: a wrong password, tables of another program, a value it cannot hold."""


class DuplicateStoredEventError(StoreRefusedError):
    """The store has an event of this id."""


class UnknownStoredEventError(StoreRefusedError, LookupError):
    """The store has no event of this id."""
