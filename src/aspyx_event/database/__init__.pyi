"""Stores in the application's database: event store and inbox."""

from .base import EventStore as EventStore
from .base import FoundEvents as FoundEvents
from .base import InboxStore as InboxStore
from .errors import DuplicateStoredEventError as DuplicateStoredEventError
from .errors import EventStoreError as EventStoreError
from .errors import StoreRefusedError as StoreRefusedError
from .errors import StoreUnavailableError as StoreUnavailableError
from .errors import UnknownStoredEventError as UnknownStoredEventError
from .memory import MemoryEventStore as MemoryEventStore
from .memory import MemoryInboxStore as MemoryInboxStore
from .query import EventQuery as EventQuery
from .sql_event_store import SqlEventStore as SqlEventStore
from .sql_inbox_store import SqlInboxStore as SqlInboxStore
from .stored_event import EventStatus as EventStatus
from .stored_event import StoredEvent as StoredEvent
