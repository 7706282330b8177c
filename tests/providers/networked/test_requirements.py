"""Requirements and the order of handlers over a broker."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from aspyx_event import EventManager, GenericEvent

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("order", list(permutations(("first", "second", "third"))), ids="-".join)
async def test_handlers_of_a_running_manager_are_ordered_in_whatever_order_they_came(order, door, make, unique, until):
    bonds: dict[str, Any] = {"first": {}, "second": {}, "third": {"requires": (f"{unique}.first", f"{unique}.second")}}
    calls: list[str] = []
    async with EventManager(make(door)) as manager:
        for name in order:
            await manager.subscribe(
                unique, lambda event, name=name: calls.append(name), name=f"{unique}.{name}", **bonds[name]
            )
        await manager.send_event(GenericEvent(unique))
        await until(lambda: "third" in calls)
        assert sorted(calls) == ["first", "second", "third"]
        assert len({subscription.queue for subscription in manager.list_subscriptions()}) == 1


async def test_work_without_its_authorisation_is_a_dead_letter(door, make, unique, until):
    calls: list[str] = []
    async with EventManager(make(door)) as manager:
        await manager.subscribe(
            unique, lambda event: calls.append("work"), name=f"{unique}.work", requires=f"{unique}.authorise"
        )
        await manager.send_event(GenericEvent(unique))
        letters = await until(manager.dead_letters.list)
        assert [letter.cause.type.rpartition(".")[2] for letter in letters] == ["RequirementError"]
        assert calls == []
