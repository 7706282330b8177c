"""What a subscription is told of its fate, and rest between messages: rows VR of the features."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from support_core import Recorder, eventually

from aspyx_event import (
    ConnectionHooks,
    DeclarationError,
    EventManager,
    LocalBroker,
    LocalProvider,
    SubscriptionHooks,
    event,
    event_handler,
)
from aspyx_event.clock import ManualClock
from aspyx_event.providers.base import Binding, Consume, Consumer


@event(name="hooks.tick")
@dataclass
class Tick:
    number: int = 0


class Wire(LocalProvider):
    """A local provider whose connection is told to come and go."""

    async def start(self) -> None:
        await super().start()
        await self.hooks.on_connect()

    async def lose(self, reason: Exception) -> None:
        await self.hooks.on_disconnect(reason)

    async def find(self) -> None:
        await self.hooks.on_connect()


async def test_hooks_are_told_of_attaching_of_loss_and_of_what_was_given_up():
    told: list[Any] = []
    own = ConnectionHooks(on_connect=lambda: told.append("own"), on_disconnect=lambda reason: told.append("own lost"))

    async def on_connect(subscription: Any) -> None:
        told.append(("connected", subscription.name))

    hooks = SubscriptionHooks(
        on_connect=on_connect,
        on_disconnect=lambda subscription, reason: told.append(("lost", subscription.name, str(reason))),
        on_error=lambda subscription, error: told.append(("error", subscription.name, str(error))),
    )
    provider = Wire()
    seen = Recorder(failures=[ValueError("no")])
    listeners = [event_handler(Tick, name="declared", hooks=hooks)(_calling(seen))]
    manager = EventManager(provider, hooks=own, listeners=listeners)
    await manager.start()
    assert told == ["own", ("connected", "declared")]
    await manager.subscribe(Tick, Recorder(), name="later", hooks=hooks)
    assert told[2:] == [("connected", "later")]
    await manager.send_event(Tick())
    await eventually(lambda: len(told) == 4)
    assert told[3:] == [("error", "declared", "no")]
    await provider.lose(OSError("gone"))
    assert told[4:] == ["own lost", ("lost", "declared", "gone"), ("lost", "later", "gone")]
    await provider.find()
    await eventually(lambda: len(told) == 10)
    assert told[7:] == ["own", ("connected", "declared"), ("connected", "later")]
    await manager.stop()


class DetachingConsumer(Consumer):
    """A consumer that the test detaches and attaches."""

    attached = True

    async def pause(self) -> None:
        """Nothing to hold back."""

    async def resume(self) -> None:
        """Nothing to hold back."""

    async def close(self) -> None:
        """Nothing to give back."""

    def reattach(self) -> None:
        self.attached = True
        assert self.on_reattach is not None
        self.on_reattach()


class Detaching(Wire):
    """A provider whose queues stay detached after the connection is back, and whose state the test sets."""

    connected = True

    def __init__(self) -> None:
        super().__init__()
        self.consumers: list[DetachingConsumer] = []

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        self.consumers.append(DetachingConsumer())
        return self.consumers[-1]

    async def lose(self, reason: Exception) -> None:
        self.connected = False
        for consumer in self.consumers:
            consumer.attached = False
        await super().lose(reason)

    async def find(self) -> None:
        self.connected = True
        await super().find()


async def test_on_connect_waits_until_all_queues_are_attached_again():
    """It is called once, also if the connection was lost again in between, and not after the subscription's end."""
    connected: list[str] = []
    hooks = SubscriptionHooks(on_connect=lambda subscription: connected.append(subscription.name))
    provider = Detaching()
    async with EventManager(provider) as manager:
        await manager.subscribe((Tick, "hooks.other"), Recorder(), name="two", hooks=hooks)
        ended = await manager.subscribe(Tick, Recorder(), name="ended", hooks=hooks)
        assert connected == ["two", "ended"]
        first, second, third = provider.consumers
        for _ in range(2):
            await provider.lose(OSError("gone"))
            await provider.find()
            await _turns()
            first.reattach()
            await _turns()
        await ended.cancel()
        third.reattach()
        await _turns()
        assert connected == ["two", "ended"]
        second.reattach()
        await eventually(lambda: len(connected) == 3)
        await _turns()
    assert connected == ["two", "ended", "two"]


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_hook_that_fails_is_logged_and_changes_nothing(caplog):
    def fails(*_: Any) -> None:
        raise ValueError("a hook")

    provider, seen = Wire(), Recorder()
    hooks = SubscriptionHooks(on_connect=fails, on_disconnect=fails, on_error=fails)
    async with EventManager(provider, hooks=ConnectionHooks(on_connect=fails)) as manager:
        await manager.subscribe(Tick, seen, name="l", hooks=hooks)
        await provider.lose(OSError("gone"))
        await manager.send_event(Tick())
        await eventually(lambda: seen.handled)
    assert caplog.text.count("a hook failed") == 3


def _calling(seen: Recorder):
    async def handler(event: Any, context: Any) -> None:
        await seen(event, context)

    return handler


async def test_a_subscription_rests_after_each_message_by_the_clock():
    clock, seen = ManualClock(), Recorder()
    async with EventManager(LocalProvider(broker=LocalBroker(clock))) as manager:
        await manager.subscribe(Tick, seen, name="l", cooldown=30)
        await manager.send_event(Tick(1))
        await manager.send_event(Tick(2))
        await eventually(lambda: seen.handled)
        for _ in range(20):
            await manager.health()
        assert seen.events == [Tick(1)]
        await clock.advance(31)
        await eventually(lambda: len(seen.events) == 2)


@pytest.mark.parametrize("hooks", [5, ConnectionHooks()])
def test_hooks_of_a_subscription_are_subscription_hooks(hooks):
    with pytest.raises(DeclarationError, match=r"write hooks=SubscriptionHooks\(\.\.\.\)"):
        event_handler(Tick, hooks=hooks)
