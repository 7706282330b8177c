"""The errors of stores that an application may catch; defined in `aspyx_event.exceptions`."""

from ..exceptions import (
    DuplicateStoredEventError,
    EventStoreError,
    StoreRefusedError,
    StoreUnavailableError,
    UnknownStoredEventError,
)

__all__ = [
    "DuplicateStoredEventError",
    "EventStoreError",
    "StoreRefusedError",
    "StoreUnavailableError",
    "UnknownStoredEventError",
]
