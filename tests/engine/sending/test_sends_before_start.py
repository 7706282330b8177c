"""Sending before the manager is started: nothing is lost, overtaken or sent under another's name."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass

import pytest
from support_core import Recorder, eventually

from aspyx_event import AbstractEnvelopePipeline, EventManager, LocalProvider, event, event_handler
from aspyx_event.exceptions import ConnectError, NoRouteError


@event(name="early.order")
@dataclass
class Order:
    number: int


class SlowStart(LocalProvider):
    """Takes a few turns of the loop to start, and refuses the first starts if so told."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.starts, self.refusals = 0, refusals

    async def start(self) -> None:
        self.starts += 1
        for _ in range(5):
            await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise ConnectError("nobody there")
        await super().start()


class Capturing(AbstractEnvelopePipeline):
    async def send(self, envelope, event_descriptor):
        envelope.set("session", session.get())
        await self.proceed_send(envelope, event_descriptor)


session: ContextVar[str] = ContextVar("session", default="")
SEEN: list[int] = []


@event_handler(Order)
async def declared(event: Order) -> None:
    SEEN.append(event.number)


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


async def passes_by(manager: EventManager) -> None:
    """Return in the very turn of the loop in which the manager is started."""
    while not manager.running:  # noqa: ASYNC110  an event would be a turn late
        await asyncio.sleep(0)


async def test_what_was_sent_before_the_start_was_over_goes_first_and_in_order():
    manager = EventManager(SlowStart(), listeners=[declared])
    for number in (1, 2):
        manager.send_event(Order(number))
    await passes_by(manager)
    manager.send_event(Order(3))
    await eventually(lambda: SEEN == [1, 2, 3])
    await manager.stop()


async def test_events_sent_before_the_start_keep_the_context_of_their_sender():
    manager, seen = EventManager(SlowStart(), pipelines=[Capturing()]), Recorder()
    manager.subscribe(Order, seen, name="l")
    for number in (1, 2):
        session.set(f"s-{number}")
        manager.send_event(Order(number))
    session.set("later")
    await eventually(lambda: len(seen.handled) == 2)
    assert [context.headers["session"] for context in seen.contexts] == ["s-1", "s-2"]
    await manager.stop()


async def test_a_send_given_up_before_the_start_is_over_is_not_sent_and_disturbs_no_other():
    manager = EventManager(SlowStart(), listeners=[declared])
    given_up = asyncio.ensure_future(_await(manager.send_event(Order(1))))
    await asyncio.sleep(0)
    given_up.cancel()
    await manager.send_event(Order(2))
    await eventually(lambda: SEEN == [2])
    await manager.stop()


async def test_a_stop_right_after_the_first_send_waits_until_it_is_sent():
    provider = SlowStart()
    manager = EventManager(provider)
    receipt = manager.send_event(Order(1), require_route=True)
    await manager.stop()
    assert (manager.running, provider.starts) == (False, 1)
    with pytest.raises(NoRouteError):
        await receipt


async def test_when_the_start_fails_every_send_that_waits_for_it_does():
    provider = SlowStart(refusals=1)
    manager = EventManager(provider)
    receipts = [manager.send_event(Order(number)) for number in range(3)]
    for receipt in receipts:
        with pytest.raises(ConnectError, match="nobody there"):
            await receipt
    assert provider.starts == 1
    await manager.send_event(Order(4))
    await manager.stop()


async def _await(receipt) -> None:
    await receipt
