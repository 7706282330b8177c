"""Queues of the framework's own end with what needs them, and looking creates none."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from aspyx_event import EventManager, Retry, event

pytestmark = pytest.mark.broker


@pytest.fixture
def order(unique):
    """The class of an event with a name of its own."""

    @event(f"{unique}.order", durable=True)
    @dataclass
    class Order:
        number: int

    return Order


async def test_looking_for_dead_letters_creates_no_queue(broker, make, management, unique, order):
    async with EventManager(make(broker)) as manager:
        await manager.subscribe(order, lambda _: None, name=f"{unique}.listener")
        before = set(management.queues())
        assert await manager.dead_letters.list() == []
        assert await manager.dead_letters.purge() == 0
        assert {name for name in set(management.queues()) - before if unique in name} == set()


async def test_letters_are_listed_when_there_are_some(broker, make, unique, order, until):
    def fail(_):
        raise ValueError("no")

    async with EventManager(make(broker)) as manager:
        name = f"{unique}.listener"
        await manager.subscribe(order, fail, name=name, retry=Retry(attempts=1))
        await manager.send_event(order(1))
        letters = await until(lambda: manager.dead_letters.list(name))
        assert [letter.attempts for letter in letters] == [1]


async def test_the_journal_of_a_server_name_ends_with_its_process(broker, make, management, unique, order, until):
    """A pod has a new name at every start: nothing may stay on the broker of each."""

    address, handled = f"aspyx.attempts.{unique}", []
    settings = {"autoDeleteQueues": True, "autoDeleteAddresses": True}  # as Artemis has it without other settings
    management.op("broker", "addAddressSettings", f"{address}.#", json.dumps(settings))
    async with EventManager(make(broker, server_name=unique), retry=Retry(max_crashes=2)) as manager:
        await manager.subscribe(order, handled.append, name=f"{unique}.listener")
        for number in range(5):
            await manager.send_event(order(number))
        await until(lambda: len(handled) == 5)
        assert address in management.queues()
    await until(lambda: address not in management.queues())


async def test_without_automatic_deletion_the_journal_is_empty_after_a_stop(
    broker, make, management, unique, order, until
):
    address, handled = f"aspyx.attempts.{unique}", []
    async with EventManager(make(broker, server_name=unique), retry=Retry(max_crashes=2)) as manager:
        await manager.subscribe(order, handled.append, name=f"{unique}.listener")
        await manager.send_event(order(1))
        await until(lambda: handled)
    await until(lambda: management.messages(address) == 0)


async def test_a_user_without_the_permission_to_manage_lists_dead_letters_too(
    strict_broker, make, unique, order, until
):
    def fail(_):
        raise ValueError("no")

    async with EventManager(make(strict_broker, user="app", password="secret")) as manager:
        name = f"{unique}.listener"
        await manager.subscribe(order, fail, name=name, retry=Retry(attempts=1))
        assert await manager.dead_letters.list(name) == []
        await manager.send_event(order(1))
        letters = await until(lambda: manager.dead_letters.list(name))
        assert [letter.attempts for letter in letters] == [1]
