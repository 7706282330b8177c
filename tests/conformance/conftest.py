"""What the conformance tests share: providers at the broker of the tests, and sweeping up behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aspyx_event.testing import Management, ManagementError


@pytest.fixture
def sweep(management: Management) -> Callable[[str], None]:
    """Remove the queues, and with them the addresses, whose names contain a prefix."""

    def remove(prefix: str) -> None:
        for queue in management.queues():
            if prefix in queue:
                try:
                    management.destroy_queue(queue)
                except ManagementError as error:
                    # A queue that vanishes with its consumers may do so meanwhile.
                    assert queue not in management.queues(), error

    return remove
