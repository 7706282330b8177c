"""`Service`: what ends a run besides a signal."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from aspyx_event import EventManager, LocalProvider
from aspyx_event.cli.service import Service
from aspyx_event.exceptions import ConnectionLostError


class Environment:
    """Starts and stops a manager, as a container does."""

    def __init__(self, manager):
        self.start, self.stop = manager.start, manager.stop


async def test_a_run_ends_with_the_error_when_the_provider_stops_reconnecting(until):
    manager = EventManager(LocalProvider())
    running = asyncio.create_task(Service(cast("Any", Environment(manager)), manager, "shop").run(None))
    await until(lambda: manager.running)
    # What a networked provider does after `max_retries` attempts.
    await manager.provider.hooks.on_give_up(ConnectionLostError("no broker"))
    with pytest.raises(ConnectionLostError, match="no broker"):
        await asyncio.wait_for(running, 20)
    assert not manager.running
