"""Dead letters: what selects them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support_core import eventually

from aspyx_event import EventManager, LocalProvider, Retry, event
from aspyx_event.exceptions import DeclarationError


@event(name="letters.order", durable=True)
@dataclass
class Order:
    number: int


@pytest.mark.parametrize("nothing", ["", [], False, 0])
async def test_a_false_value_does_not_select_all_letters(nothing):
    async def fail(order: Order) -> None:
        raise LookupError(order.number)

    async with EventManager(LocalProvider(), retry=Retry(attempts=1)) as manager:
        subscription = await manager.subscribe(Order, fail, name="billing")
        await manager.send_event(Order(1))
        await eventually(lambda: subscription.stats.dead_letters == 1)
        with pytest.raises(DeclarationError, match="purge"):
            await manager.dead_letters.purge(nothing)
        with pytest.raises(DeclarationError, match="replay_all"):
            await manager.dead_letters.replay_all(nothing)
        assert len(await manager.dead_letters.list()) == 1
        assert await manager.dead_letters.purge() == 1
