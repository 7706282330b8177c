"""Deliveries that no rule settles: released after a growing pause, and shown in the health."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest
from support_core import Recorder, eventually

from aspyx_event import EventManager, LocalProvider, Retry, event
from aspyx_event.exceptions import HeaderError, PoisonMessageError
from aspyx_event.providers import Outgoing
from aspyx_event.providers.local import LocalBroker


@event(name="unsettled.order", durable=True)
@dataclass
class Order:
    number: int


class Hello(Exception):
    """What the failing handlers raise."""


class BrokenLetters(LocalProvider):
    """Breaks on every dead letter, as long as it is broken.

    Args:
        error: Raised by the call, not by the future that it returns.
    """

    def __init__(self, error: Exception, **options) -> None:
        super().__init__(**options)
        self.error, self.broken, self.refusals = error, True, 0

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        if self.broken and message.address.startswith("dead-letters."):
            self.refusals += 1
            raise self.error
        return super().publish(message)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), HeaderError("headers are too large, even the fewest")])
async def test_a_dead_letter_that_cannot_be_stored_is_no_loop_and_shows_in_the_health(error):
    provider, calls = BrokenLetters(error), []

    async def fail(order: Order) -> None:
        calls.append(order.number)
        raise Hello

    async with EventManager(provider) as manager:
        subscription = await manager.subscribe(Order, fail, name="failing")
        await manager.send_event(Order(1))
        await eventually(lambda: len(calls) == 3)  # after pauses of 0.1 and 0.2 seconds
        health = await manager.health()
        assert not health.ready
        assert health.live
        assert any("does not settle: " in reason and str(error) in reason for reason in health.reasons)
        started = asyncio.get_running_loop().time()
        await eventually(lambda: len(calls) == 4)
        assert asyncio.get_running_loop().time() - started > 0.2
        assert subscription.stats.dead_letters == 0
        provider.broken = False
        await eventually(lambda: subscription.stats.dead_letters == 1)
        assert (await manager.health()).ready
        assert len(await manager.dead_letters.list()) == 1


async def test_a_stop_ends_the_pause_before_a_release():
    broker, seen = LocalBroker(), Recorder()
    provider = BrokenLetters(RuntimeError("a bug"), broker=broker)
    manager = EventManager(provider, stop_timeout=5.0)

    async def fail(order: Order) -> None:
        raise Hello

    await manager.subscribe(Order, fail, name="failing")
    await manager.send_event(Order(1))
    await eventually(lambda: provider.refusals >= 3)
    started = asyncio.get_running_loop().time()
    await manager.stop()
    assert asyncio.get_running_loop().time() - started < 4.0
    async with EventManager(LocalProvider(broker=broker)) as other:
        await other.subscribe(Order, seen, name="failing")
        await eventually(lambda: seen.handled == [Order(1)])


class Remote(LocalProvider):
    """Keeps a journal of the events in flight, as the providers of a broker do."""

    capabilities = replace(LocalProvider.capabilities, remote=True)


class Reports:
    """An exception manager that collects errors."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def get_handlers(self, _: type) -> object:
        return self

    def handle(self, error: BaseException) -> None:
        self.errors.append(error)


async def test_a_poison_message_is_reported():
    broker, entered, retry = LocalBroker(), asyncio.Event(), Retry(max_crashes=1)
    crashing = EventManager(Remote(broker=broker, server_name="one"), stop_timeout=0.0)

    async def hang(order: Order) -> None:
        entered.set()
        await asyncio.Event().wait()

    subscription = await crashing.subscribe(Order, hang, name="poison", retry=retry)
    await crashing.send_event(Order(1))
    await entered.wait()
    await crashing.provider.stop()  # the process is gone: nothing is marked as done
    await subscription.consumer.detach(0.0)
    reports, seen = Reports(), Recorder()
    async with EventManager(Remote(broker=broker, server_name="one"), reports) as manager:
        poisoned = await manager.subscribe(Order, seen, name="poison", retry=retry)
        await eventually(lambda: poisoned.stats.dead_letters == 1)
        assert [type(error) for error in reports.errors] == [PoisonMessageError]
        assert seen.events == []
