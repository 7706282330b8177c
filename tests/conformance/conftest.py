"""What the conformance tests share: providers at the broker of the tests, and sweeping up behind them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from aspyx_event.testing import Management, ManagementError


@pytest.fixture
def sweep(management: Management) -> Callable[[str], None]:
    """Remove the queues, and with them the addresses, whose names contain a prefix."""

    def remove(prefix: str) -> None:
        for queue in management.queues():
            if prefix in queue:
                # One that vanishes with its consumers may do so meanwhile.
                with contextlib.suppress(ManagementError):
                    management.destroy_queue(queue)
        assert not [queue for queue in management.queues() if prefix in queue]

    return remove
