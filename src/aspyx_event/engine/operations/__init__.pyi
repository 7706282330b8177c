"""What operators ask for: dead letters, replay, health, statistics, in-process dispatch."""

from .dead_letters import Cause as Cause
from .dead_letters import DeadLetter as DeadLetter
from .dead_letters import DeadLetters as DeadLetters
from .event_types import EventTypes as EventTypes
from .health import Health as Health
from .health import SubscriptionHealth as SubscriptionHealth
from .statistics import ManagerStats as ManagerStats
from .stored_events import StoredEvents as StoredEvents
