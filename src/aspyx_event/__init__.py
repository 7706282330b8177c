"""Events for applications on a dependency-injection container, in one process or across machines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .clock import Clock, ManualClock, SystemClock
from .codecs.base import Codec, UpcastingCodec
from .codecs.json import JsonCodec
from .configuration import EventConfiguration
from .context import EventContext, correlated, current_context
from .contracts.senders import sends
from .contracts.upcasters import upcaster
from .di import EventModule
from .engine.receipts import Operation, Receipt
from .engine.statistics import ManagerStats
from .engine.steps import SubscriptionStats
from .engine.subscriptions import Subscription
from .envelope import Envelope, SendOptions
from .events import EventDescriptor, event
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
    EventStoreError,
    ForeignEventError,
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
    ProcessDiedError,
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
from .filters import header, want
from .free_form import FreeFormEvent, GenericEvent
from .listeners import EventListener, EventListenerDescriptor, event_handler, event_listener
from .manager import EventManager
from .observing import Observer, Settlement
from .options import SubscriptionHooks, SubscriptionOptions
from .ordering import Requirement
from .pipeline import AbstractEnvelopePipeline, EnvelopePipeline, envelope_pipeline
from .policies import AckPolicy, Backoff, Limits, QueueNaming, Retry, RetryMode
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
from .store.base import EventStore, FoundEvents, InboxStore
from .store.records import EventQuery, EventStatus, StoredEvent
from .targets import ANY
from .topics import Topic

if TYPE_CHECKING:
    from .asyncapi.app import DocumentApp
    from .contracts.check import Compatibility, ContractFinding, ContractReport, Contracts, FindingKind
    from .engine.dead_letters import Cause, DeadLetter, DeadLetters
    from .engine.health import Health, SubscriptionHealth
    from .inbox import Deduplicate
    from .observability.health_app import HealthApp
    from .providers.amqp import AMQPProvider
    from .providers.amqp import AMQPProvider as AMQProvider
    from .providers.local import LocalBroker, LocalProvider
    from .providers.stomp import StompProvider
    from .standard_events import DataOperation, Metric, StateTransition
    from .store.memory import MemoryEventStore, MemoryInboxStore
    from .store.sql import SqlEventStore, SqlInboxStore

__version__: str

# Loaded when first asked for: what a program uses one of, or what most programs do without.
_LAZY = {
    "AMQPProvider": (".providers.amqp", "AMQPProvider"),
    "AMQProvider": (".providers.amqp", "AMQPProvider"),
    "Cause": (".engine.dead_letters", "Cause"),
    "Compatibility": (".contracts.check", "Compatibility"),
    "ContractFinding": (".contracts.check", "ContractFinding"),
    "ContractReport": (".contracts.check", "ContractReport"),
    "Contracts": (".contracts.check", "Contracts"),
    "DataOperation": (".standard_events", "DataOperation"),
    "DeadLetter": (".engine.dead_letters", "DeadLetter"),
    "DeadLetters": (".engine.dead_letters", "DeadLetters"),
    "Deduplicate": (".inbox", "Deduplicate"),
    "DocumentApp": (".asyncapi.app", "DocumentApp"),
    "FindingKind": (".contracts.check", "FindingKind"),
    "Health": (".engine.health", "Health"),
    "HealthApp": (".observability.health_app", "HealthApp"),
    "LocalBroker": (".providers.local", "LocalBroker"),
    "LocalProvider": (".providers.local", "LocalProvider"),
    "MemoryEventStore": (".store.memory", "MemoryEventStore"),
    "MemoryInboxStore": (".store.memory", "MemoryInboxStore"),
    "Metric": (".standard_events", "Metric"),
    "SqlEventStore": (".store.sql", "SqlEventStore"),
    "SqlInboxStore": (".store.sql", "SqlInboxStore"),
    "StateTransition": (".standard_events", "StateTransition"),
    "StompProvider": (".providers.stomp", "StompProvider"),
    "SubscriptionHealth": (".engine.health", "SubscriptionHealth"),
}

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
    "EventQuery",
    "EventStatus",
    "EventStore",
    "EventStoreError",
    "FindingKind",
    "ForeignEventError",
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
    "ProcessDiedError",
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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Reading it takes longer to import than most of the package.
        from importlib.metadata import version

        return version("aspyx-event")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found = globals()[name] = getattr(import_module(module, __name__), attribute)
    return found
