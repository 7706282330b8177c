"""Tools for tests of applications and providers: a real broker that is started and stopped with the tests."""

from __future__ import annotations

from .broker import ArtemisBroker, BrokerConfig, BrokerDataUnreadable, BrokerUnavailable
from .management import Management, ManagementError

__all__ = [
    "ArtemisBroker",
    "BrokerConfig",
    "BrokerDataUnreadable",
    "BrokerUnavailable",
    "Management",
    "ManagementError",
]
