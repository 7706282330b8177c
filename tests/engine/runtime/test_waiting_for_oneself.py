"""A handler, a stop or a start that could wait for itself, and a stop that must not wait for ever."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest
from support_core import eventually, run_program

from aspyx_event import EventManager, LocalProvider, StateError, event
from aspyx_event.exceptions import ConfirmTimeoutError


@event(name="waiting.order")
@dataclass
class Order:
    number: int = 1


async def test_a_handler_may_await_the_stop_of_its_manager():
    """The stop waits for the handler, so the handler must not wait for the stop: the event would come again."""
    manager = EventManager(LocalProvider(), stop_timeout=30.0)
    handled = []

    async def on(event):
        await manager.stop()
        handled.append(event.number)

    await manager.start()
    subscription = await manager.subscribe(Order, on, name="l")
    began = time.monotonic()
    await manager.send_event(Order())
    assert await manager.wait_stopped(10)
    assert handled == [1], "the handler went on"
    assert (subscription.stats.count, subscription.stats.failures) == (1, 0)
    assert time.monotonic() - began < 15


def test_join_returns_when_an_async_handler_stops_the_manager(tmp_path):
    done = run_program(
        """
        from aspyx_event import EventManager, GenericEvent, LocalProvider

        manager = EventManager(LocalProvider(), stop_timeout=60.0)

        async def on(event):
            await manager.stop()

        manager.subscribe("foo", on, name="l")
        manager.send_event(GenericEvent("foo", 1))
        print(manager.join(20), manager.running)
        """,
        tmp_path,
    )
    assert (done.stdout, done.returncode) == ("True False\n", 0), done.stderr


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_handler_may_cancel_its_own_subscription(kind):
    manager = EventManager(LocalProvider(), stop_timeout=30.0)
    answers = []

    async def async_handler(event):
        answers.append(await subscription.cancel())

    def sync_handler(event):
        answers.append(bool(subscription.cancel()))

    async with manager:
        subscription = await manager.subscribe(Order, async_handler if kind == "async" else sync_handler, name="l")
        began = time.monotonic()
        await manager.send_event(Order())
        await eventually(lambda: answers == [True])
        await eventually(lambda: subscription.stats.count == 1)
        assert subscription.stats.failures == 0
        assert time.monotonic() - began < 15
        assert manager.list_subscriptions() == []


async def test_the_delivery_of_a_handler_that_cancels_itself_is_acknowledged():
    shared = LocalProvider()
    async with EventManager(shared) as manager:
        handled = []

        async def on(event):
            handled.append(event.number)
            await subscription.cancel()

        subscription = await manager.subscribe(Order, on, name="l", resumable=True)
        await manager.send_event(Order(1))
        await eventually(lambda: handled == [1])
        await eventually(lambda: subscription.stats.count == 1)
    async with EventManager(LocalProvider(broker=shared.broker)) as second:
        again = []
        await second.subscribe(Order, lambda event: again.append(event.number), name="l", resumable=True)
        await second.send_event(Order(2))
        await eventually(lambda: again == [2])


async def test_a_handler_that_waits_for_the_end_of_its_manager_is_told():
    errors = []
    async with EventManager(LocalProvider()) as manager:

        async def on(event):
            try:
                await manager.wait_stopped()
            except StateError as error:
                errors.append(str(error))

        def sync(event):
            try:
                manager.join()
            except StateError as error:
                errors.append(str(error))

        await manager.subscribe(Order, on, name="a")
        await manager.subscribe(Order, sync, name="b")
        await manager.send_event(Order())
        await eventually(lambda: len(errors) == 2)
        assert all("handler" in error for error in errors)


class Slow(LocalProvider):
    """Connects, or stops, only when it is let."""

    def __init__(self, phase: str) -> None:
        super().__init__()
        self._phase = phase

    async def start(self) -> None:
        await super().start()
        if self._phase == "start":
            await asyncio.Event().wait()

    async def stop(self) -> None:
        if self._phase == "stop":
            await asyncio.Event().wait()
        await super().stop()


async def test_a_stop_cancels_a_start_in_progress():
    manager = EventManager(Slow("start"))
    starting = asyncio.ensure_future(manager.start())
    await asyncio.sleep(0)
    await asyncio.wait_for(manager.stop(), 10)
    with pytest.raises(StateError, match="stopped while it started"):
        await asyncio.wait_for(starting, 10)
    assert not manager.running


async def test_a_stop_ends_although_the_provider_does_not(caplog):
    manager = EventManager(Slow("stop"), stop_timeout=0.1)
    await manager.start()
    await asyncio.wait_for(manager.stop(), 20)
    assert await manager.wait_stopped(0)
    assert "disconnecting" in caplog.text


async def test_every_coroutine_of_the_manager_can_be_cancelled_in_the_turn_of_its_result():
    """A cancellation that is lost leaves its task running for ever."""

    async def program(work):
        await work()
        await asyncio.Event().wait()

    shared = LocalProvider()
    async with EventManager(shared) as manager:
        subscription = await manager.subscribe(Order, lambda event: None, name="l", resumable=True)
        works = {
            "send_event": lambda: manager.send_event(Order()),
            "health": manager.health,
            "list": manager.dead_letters.list,
            "purge": manager.dead_letters.purge,
            "process": lambda: manager.process_async(Order()),
            "pause": subscription.pause,
            "resume": subscription.resume,
            "start": manager.start,
            "connect": manager.connect,
            "wait_stopped": lambda: manager.wait_stopped(0.001),
            "stop": manager.stop,
        }
        for name, work in works.items():
            for turns in range(12):  # one of them is the turn in which the result comes

                async def awaiting(work=work):
                    await work()

                task = asyncio.ensure_future(program(awaiting))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                done, _ = await asyncio.wait({task}, timeout=5)
                assert done, f"{name}: the cancellation was lost after {turns} turns"


async def test_a_send_has_a_time_limit_of_its_own():
    class Silent(LocalProvider):
        def publish(self, message):
            return asyncio.get_running_loop().create_future()

    async with EventManager(Silent()) as manager:
        with pytest.raises(ConfirmTimeoutError, match=r"waiting\.order.*0\.05 s"):
            await manager.send_event(Order(), timeout=0.05)
