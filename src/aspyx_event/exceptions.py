"""Every error of this package.

`docs/errors.md` has the tree and the remedy for each error; a test compares it with the classes below. `StopProcessing` is
not an error: a handler raises it on purpose, and `except EventException` does not catch it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EventException(Exception):
    """Root of all errors of this package."""


class DeclarationError(EventException):
    """A declaration (event, listener, pipeline, name) is wrong; the message names the remedy."""


class UnregisteredEventTypeError(DeclarationError):
    """An object or class that is not declared as an event was used as an event."""


class DuplicateEventError(DeclarationError):
    """Two classes claim the same event name in a manager."""

    def __init__(self, name: str, first: type, second: type) -> None:
        super().__init__(
            f"event name {name!r} is claimed by {first.__module__}.{first.__qualname__} and by "
            f"{second.__module__}.{second.__qualname__}; rename either of them: @event(name=...)"
        )
        self.name, self.first, self.second = name, first, second


class InvalidNameError(DeclarationError):
    """A name has characters that brokers interpret as syntax."""


class InvalidSchemaError(DeclarationError):
    """`@event(schema=...)` is not a JSON Schema; the message names the event, the place in the schema and the reason."""


class ListenerError(DeclarationError):
    """A listener has no `on`, or cannot be built by the container."""


class QueueClashError(DeclarationError):
    """Two subscriptions use the same queue for different events; queue names are unique per broker."""


class UnsupportedError(DeclarationError):
    """A declaration or an option needs a feature that the provider does not have."""


class RequirementError(DeclarationError):
    """Requirements between handlers form a cycle, or a required handler is missing or does not accept the event."""


class UnregisteredTopicError(DeclarationError):
    """A topic is not registered with the manager."""


class EventNotInTopicError(DeclarationError):
    """An event was sent to a topic that does not carry its class."""


class ConfigurationError(DeclarationError):
    """A configuration is invalid; the message names file, line and key as far as they are known."""


class EntryPointError(DeclarationError):
    """An entry point of an installed distribution cannot be loaded or has no handler; the message names both."""


class CodecError(EventException):
    """An event cannot be encoded or decoded. A retry cannot help."""


class EncodeError(CodecError):
    """An event has a value that its class cannot encode."""


class DecodeError(CodecError):
    """A body does not match its event class; the message names event, field and reason."""


class InvalidEventSchemaError(EncodeError, ValueError):
    """An event to be sent does not match its class or its JSON Schema.

    Attributes:
        event_name: Name of the event.
        errors: A line for each mismatch: the place in the payload, and the reason.
    """

    def __init__(self, event_name: str, errors: Sequence[str], against: str = "its class") -> None:
        shown = "; ".join(errors[:3]) + (f" (and {len(errors) - 3} more)" if len(errors) > 3 else "")
        super().__init__(f"event {event_name!r} is not what {against} says: {shown}")
        self.event_name, self.errors = event_name, list(errors)


class SchemaVersionError(DecodeError):
    """This program cannot read the payload's version: it is newer than its class, or too old for its upcasters."""


class InvalidCloudEventError(DecodeError):
    """A received message is not a CloudEvent of version 1.0.

    Attributes:
        attribute: Name of the invalid attribute or member; "" if the error concerns none of them.
    """

    def __init__(self, message: str, attribute: str = "") -> None:
        super().__init__(message)
        self.attribute = attribute


class UnknownFormatError(DecodeError):
    """No reader is registered for the format of a received CloudEvent, or of a batch of CloudEvents."""


class LimitExceededError(CodecError):
    """An event is larger than the manager's `Limits` allow."""


class SnapshotError(EventException):
    """A contracts folder cannot be read or written, or an event is incompatible with its recorded contract."""


class UnknownDeadLetterError(EventException, LookupError):
    """No dead letter has this id; it may have been replayed or purged."""


class PoisonMessageError(EventException):
    """The cause of a dead letter whose event was in flight at several crashes of its process."""


class HandlerTimeoutError(EventException, TimeoutError):
    """An attempt took longer than `Retry(timeout=...)` allows."""


class WebhookError(EventException):
    """The receiver of a webhook could not be reached, or did not accept the event.

    Attributes:
        status: The HTTP status code; None without a response.
        retry_after: Seconds to wait, as requested by the receiver; None if it does not say.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class WebhookRefusedError(WebhookError):
    """The receiver of a webhook refuses the event for good: sending it again does not help."""


class HeaderError(EventException):
    """A header has a reserved or invalid name, or a value that is not text."""


class StateError(EventException):
    """The manager is stopped, or bound to an event loop that has ended."""


class MissingDriverError(EventException):
    """A provider's driver is not installed; the message has the command that installs it."""


class ProviderError(EventException):
    """The broker or the connection to it failed."""


class ConnectError(ProviderError):
    """No connection: nothing listens, the host is unknown, the port speaks another protocol, or TLS failed."""


class AuthenticationError(ConnectError):
    """The broker refused the user or the password. Trying again does not help."""


class ConnectionLostError(ProviderError):
    """The connection ended during the operation, and the operation cannot be repeated."""


class PermissionDeniedError(ProviderError):
    """The user lacks a permission on the broker: to create a queue, to send, to consume or to manage."""


class ConfirmTimeoutError(ProviderError, TimeoutError):
    """No confirmation before the deadline: the broker may or may not have stored the message."""


class BufferFullError(ProviderError):
    """The bounded buffer for unconfirmed messages has no room."""


class NotAcceptedError(ProviderError):
    """The broker refused a message, for example because the address is full."""


class NoRouteError(ProviderError):
    """The send has `require_route=True` and no queue is bound to the address: the broker would drop the event."""


class StopProcessing(Exception):
    """Raised by a handler: no further handler of its chain gets the event. The delivery counts as successful.

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
    """An operation of the event store failed. An event that should be stored before it is sent was not sent."""


class StoreUnavailableError(EventStoreError):
    """The store is locked, lost, full or too slow. A retry may help; no event was sent without being stored."""


class StoreRefusedError(EventStoreError):
    """The store refuses the operation, and a retry does not help: wrong password, another program's tables, invalid value."""


class DuplicateStoredEventError(StoreRefusedError):
    """The store has an event with this id already."""


class UnknownStoredEventError(StoreRefusedError, LookupError):
    """The store has no event with this id."""
