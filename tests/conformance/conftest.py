"""What the conformance tests share: providers at the broker of the tests, and sweeping up behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aspyx_event.testing import ArtemisBroker, Management


@pytest.fixture
def sweep(management: Management) -> Callable[[str], None]:
    """Remove the queues, and with them the addresses, whose names contain a prefix."""

    def remove(prefix: str) -> None:
        management.destroy_queues(prefix)
        assert not [queue for queue in management.queues() if prefix in queue]

    return remove


@pytest.fixture
def arguments(broker: ArtemisBroker) -> Callable[[str], dict[str, Any]]:
    """Keyword arguments of a provider for the broker of the tests, given the name of its server."""

    def of(server_name: str) -> dict[str, Any]:
        return {
            "server_name": server_name,
            "host": broker.host,
            "port": broker.port,
            "user": broker.user,
            "password": broker.password,
        }

    return of
