"""Events for applications on a dependency-injection container, in one process or across machines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .exceptions import (
    AuthenticationError,
    BufferFullError,
    CodecError,
    ConfigurationError,
    ConfirmTimeoutError,
    ConnectError,
    ConnectionLostError,
    DeclarationError,
    DecodeError,
    DuplicateEventError,
    DuplicateStoredEventError,
    EncodeError,
    EntryPointError,
    EventException,
    EventNotInTopicError,
    EventStoreError,
    HandlerTimeoutError,
    HeaderError,
    InvalidCloudEventError,
    InvalidEventSchemaError,
    InvalidNameError,
    InvalidSchemaError,
    LimitExceededError,
    ListenerError,
    MissingDriverError,
    NoRouteError,
    NotAcceptedError,
    PermissionDeniedError,
    PoisonMessageError,
    ProviderError,
    QueueClashError,
    RequirementError,
    SchemaVersionError,
    SnapshotError,
    StateError,
    StopProcessing,
    StoreRefusedError,
    StoreUnavailableError,
    UnknownDeadLetterError,
    UnknownFormatError,
    UnknownStoredEventError,
    UnregisteredEventTypeError,
    UnregisteredTopicError,
    UnsupportedError,
    WebhookError,
    WebhookRefusedError,
)

if TYPE_CHECKING:
    from .asyncapi.app import DocumentApp
    from .clock import Clock, ManualClock, SystemClock
    from .codecs.base import Codec, UpcastingCodec
    from .codecs.json import JsonCodec
    from .codecs.upcasters import upcaster
    from .configuration import EventConfiguration
    from .context import EventContext, correlated, current_context
    from .contracts.check import Compatibility, ContractFinding, ContractReport, Contracts, FindingKind
    from .database import SqlEventStore, SqlInboxStore
    from .database.base import EventStore, FoundEvents, InboxStore
    from .database.deduplicate import Deduplicate
    from .database.memory import MemoryEventStore, MemoryInboxStore
    from .database.records import EventQuery, EventStatus, StoredEvent
    from .di import EventModule
    from .engine.operations.dead_letters import Cause, DeadLetter, DeadLetters
    from .engine.operations.health import Health, SubscriptionHealth
    from .engine.operations.statistics import ManagerStats
    from .engine.receiving.handlers import SubscriptionStats
    from .engine.runtime.operations import Operation
    from .engine.sending.receipt import Receipt
    from .engine.subscribing.subscriptions import Subscription
    from .envelope import Envelope, SendOptions
    from .events import EventDescriptor, event
    from .filters import header, want
    from .free_form import FreeFormEvent, GenericEvent
    from .http.health_app import HealthApp
    from .listener_descriptors import EventListenerDescriptor
    from .listeners import EventListener, event_handler, event_listener
    from .manager import EventManager
    from .observer import Observer, Settlement
    from .options import SubscriptionHooks, SubscriptionOptions
    from .ordering import Requirement
    from .pipeline import AbstractEnvelopePipeline, EnvelopePipeline, envelope_pipeline
    from .policies import AckPolicy, Backoff, Limits, QueueNaming, Retry, RetryMode
    from .providers.amqp import AMQPProvider
    from .providers.amqp import AMQPProvider as AMQProvider
    from .providers.base import (
        AddressKind,
        Binding,
        Capabilities,
        ConnectionHooks,
        Consumer,
        Delivery,
        Outgoing,
        Provider,
        ServerDescription,
    )
    from .providers.local import LocalBroker, LocalProvider
    from .providers.stomp import StompProvider
    from .senders import sends
    from .standard_events import DataOperation, Metric, StateTransition
    from .targets import ANY
    from .topics import Topic

__version__: str

# Where each name is that is loaded when it is first asked for: a module that declares events loads neither the engine
# nor asyncio, and no program loads what it does without. The imports above say the same to type checkers.
_LAZY = {
    name: module
    for module, names in {
        ".asyncapi.app": ("DocumentApp",),
        ".clock": ("Clock", "ManualClock", "SystemClock"),
        ".codecs.base": ("Codec", "UpcastingCodec"),
        ".codecs.json": ("JsonCodec",),
        ".configuration": ("EventConfiguration",),
        ".context": ("EventContext", "correlated", "current_context"),
        ".contracts.check": ("Compatibility", "ContractFinding", "ContractReport", "Contracts", "FindingKind"),
        ".senders": ("sends",),
        ".codecs.upcasters": ("upcaster",),
        ".di": ("EventModule",),
        ".engine.operations.dead_letters": ("Cause", "DeadLetter", "DeadLetters"),
        ".engine.operations.health": ("Health", "SubscriptionHealth"),
        ".engine.runtime.operations": ("Operation",),
        ".engine.sending.receipt": ("Receipt",),
        ".engine.operations.statistics": ("ManagerStats",),
        ".engine.receiving.handlers": ("SubscriptionStats",),
        ".engine.subscribing.subscriptions": ("Subscription",),
        ".envelope": ("Envelope", "SendOptions"),
        ".events": ("EventDescriptor", "event"),
        ".filters": ("header", "want"),
        ".free_form": ("FreeFormEvent", "GenericEvent"),
        ".database.deduplicate": ("Deduplicate",),
        ".listener_descriptors": ("EventListenerDescriptor",),
        ".listeners": ("EventListener", "event_handler", "event_listener"),
        ".manager": ("EventManager",),
        ".http.health_app": ("HealthApp",),
        ".observer": ("Observer", "Settlement"),
        ".options": ("SubscriptionHooks", "SubscriptionOptions"),
        ".ordering": ("Requirement",),
        ".pipeline": ("AbstractEnvelopePipeline", "EnvelopePipeline", "envelope_pipeline"),
        ".policies": ("AckPolicy", "Backoff", "Limits", "QueueNaming", "Retry", "RetryMode"),
        ".providers.amqp": ("AMQPProvider", "AMQProvider"),
        ".providers.base": (
            "AddressKind",
            "Binding",
            "Capabilities",
            "ConnectionHooks",
            "Consumer",
            "Delivery",
            "Outgoing",
            "Provider",
            "ServerDescription",
        ),
        ".providers.local": ("LocalBroker", "LocalProvider"),
        ".providers.stomp": ("StompProvider",),
        ".standard_events": ("DataOperation", "Metric", "StateTransition"),
        ".database.base": ("EventStore", "FoundEvents", "InboxStore"),
        ".database.memory": ("MemoryEventStore", "MemoryInboxStore"),
        ".database.records": ("EventQuery", "EventStatus", "StoredEvent"),
        ".database": ("SqlEventStore", "SqlInboxStore"),
        ".targets": ("ANY",),
        ".topics": ("Topic",),
    }.items()
    for name in names
}
# As the documentation of earlier versions has it.
_ALIASES = {"AMQProvider": "AMQPProvider"}

__all__ = [
    "AMQPProvider",
    "AMQProvider",
    "ANY",
    "AbstractEnvelopePipeline",
    "AckPolicy",
    "AddressKind",
    "AuthenticationError",
    "Backoff",
    "Binding",
    "BufferFullError",
    "Capabilities",
    "Cause",
    "Clock",
    "Codec",
    "CodecError",
    "Compatibility",
    "ConfigurationError",
    "ConfirmTimeoutError",
    "ConnectError",
    "ConnectionHooks",
    "ConnectionLostError",
    "Consumer",
    "ContractFinding",
    "ContractReport",
    "Contracts",
    "DataOperation",
    "DeadLetter",
    "DeadLetters",
    "DeclarationError",
    "DecodeError",
    "Deduplicate",
    "Delivery",
    "DocumentApp",
    "DuplicateEventError",
    "DuplicateStoredEventError",
    "EncodeError",
    "EntryPointError",
    "Envelope",
    "EnvelopePipeline",
    "EventConfiguration",
    "EventContext",
    "EventDescriptor",
    "EventException",
    "EventListener",
    "EventListenerDescriptor",
    "EventManager",
    "EventModule",
    "EventNotInTopicError",
    "EventQuery",
    "EventStatus",
    "EventStore",
    "EventStoreError",
    "FindingKind",
    "FoundEvents",
    "FreeFormEvent",
    "GenericEvent",
    "HandlerTimeoutError",
    "HeaderError",
    "Health",
    "HealthApp",
    "InboxStore",
    "InvalidCloudEventError",
    "InvalidEventSchemaError",
    "InvalidNameError",
    "InvalidSchemaError",
    "JsonCodec",
    "LimitExceededError",
    "Limits",
    "ListenerError",
    "LocalBroker",
    "LocalProvider",
    "ManagerStats",
    "ManualClock",
    "MemoryEventStore",
    "MemoryInboxStore",
    "Metric",
    "MissingDriverError",
    "NoRouteError",
    "NotAcceptedError",
    "Observer",
    "Operation",
    "Outgoing",
    "PermissionDeniedError",
    "PoisonMessageError",
    "Provider",
    "ProviderError",
    "QueueClashError",
    "QueueNaming",
    "Receipt",
    "Requirement",
    "RequirementError",
    "Retry",
    "RetryMode",
    "SchemaVersionError",
    "SendOptions",
    "ServerDescription",
    "Settlement",
    "SnapshotError",
    "SqlEventStore",
    "SqlInboxStore",
    "StateError",
    "StateTransition",
    "StompProvider",
    "StopProcessing",
    "StoreRefusedError",
    "StoreUnavailableError",
    "StoredEvent",
    "Subscription",
    "SubscriptionHealth",
    "SubscriptionHooks",
    "SubscriptionOptions",
    "SubscriptionStats",
    "SystemClock",
    "Topic",
    "UnknownDeadLetterError",
    "UnknownFormatError",
    "UnknownStoredEventError",
    "UnregisteredEventTypeError",
    "UnregisteredTopicError",
    "UnsupportedError",
    "UpcastingCodec",
    "WebhookError",
    "WebhookRefusedError",
    "__version__",
    "correlated",
    "current_context",
    "envelope_pipeline",
    "event",
    "event_handler",
    "event_listener",
    "header",
    "sends",
    "upcaster",
    "want",
]


if not TYPE_CHECKING:  # for type checkers this would be an answer to every name, misspelt ones too

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            # Reading it takes longer to import than most of the package.
            from importlib.metadata import version

            return version("aspyx-event")
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_LAZY[name], __name__), _ALIASES.get(name, name))
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
