"""What is kept in the database of the application: the event store and the inbox."""

from .base import EventStore as EventStore
from .base import FoundEvents as FoundEvents
from .base import InboxStore as InboxStore
from .event_store import SqlEventStore as SqlEventStore
from .inbox import SqlInboxStore as SqlInboxStore
from .memory import MemoryEventStore as MemoryEventStore
from .memory import MemoryInboxStore as MemoryInboxStore
from .records import EventQuery as EventQuery
from .records import EventStatus as EventStatus
from .records import StoredEvent as StoredEvent
