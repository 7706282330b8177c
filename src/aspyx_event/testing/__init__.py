"""Tools for tests of applications and of providers: a container for each test, and a real broker for a test run."""

from __future__ import annotations

from .broker import ArtemisBroker, BrokerConfig, BrokerDataUnreadable, BrokerUnavailable
from .isolation import isolated_container
from .management import Management, ManagementError

__all__ = [
    "ArtemisBroker",
    "BrokerConfig",
    "BrokerDataUnreadable",
    "BrokerUnavailable",
    "Management",
    "ManagementError",
    "isolated_container",
]
