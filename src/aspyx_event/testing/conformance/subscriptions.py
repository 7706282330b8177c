"""Manager level: cancelling, pausing and resuming subscriptions, and stopping managers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ...exceptions import StateError
from .rig import Rig
from .suite import ConformanceBase, contract


class SubscriptionContract(ConformanceBase):
    """Cancel, pause, stop, restart."""

    @contract("durable", "competing")
    async def test_durable_events_wait(self, rig: Rig) -> None:
        """Durable events wait for a stopped receiver and arrive in order, before later events."""
        sender, order = await rig.manager("sender"), rig.event()
        receiver = await rig.manager("receiver")
        await receiver.subscribe(order, rig.calls(), name=f"{rig.name}.listener")
        await receiver.stop()
        for number in range(20):
            await sender.send_event(order(number))
        calls, again = rig.calls(), await rig.manager("receiver")
        await again.subscribe(order, calls, name=f"{rig.name}.listener")
        await sender.send_event(order(20))
        await calls.until(21)
        assert calls.numbers == list(range(21))

    @contract("competing")
    async def test_volatile_events_do_not_wait(self, rig: Rig) -> None:
        """Events that are not durable do not wait for a stopped listener, because its queue would fill the broker."""
        manager, order, calls = await rig.manager(), rig.event(durable=False), rig.calls()
        subscription = await manager.subscribe(order, rig.calls(), name=f"{rig.name}.listener")
        await subscription.cancel()
        await manager.send_event(order(1))
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await manager.send_event(order(2))
        assert await calls.until_number(2) == [2]

    @contract("durable", "competing")
    async def test_resumable(self, rig: Rig) -> None:
        """A resumable listener receives the events sent while it was detached, also events that are not durable."""
        manager, order, calls = await rig.manager(), rig.event(durable=False), rig.calls()
        subscription = await manager.subscribe(order, rig.calls(), name=f"{rig.name}.listener", resumable=True)
        await subscription.cancel()
        await manager.send_event(order(1))
        await manager.subscribe(order, calls, name=f"{rig.name}.listener", resumable=True)
        await calls.until(1)

    @contract("durable", "competing")
    async def test_unsubscribe(self, rig: Rig) -> None:
        """After unsubscribing, the queue keeps later events, and another process receives them."""
        manager_a, manager_b, order = await rig.manager("a"), await rig.manager("b"), rig.event()
        first, witness, second = rig.calls(), rig.calls(), rig.calls()
        subscription = await manager_a.subscribe(order, first, name=f"{rig.name}.listener")
        await manager_a.subscribe(order, witness, name=f"{rig.name}.witness")
        await manager_a.send_event(order(1))
        await first.until(1)
        assert await manager_a.unsubscribe(subscription.id)
        assert not await manager_a.unsubscribe(subscription.id)
        assert not await subscription.cancel()
        await manager_a.send_event(order(2))
        await witness.until_number(2)
        await manager_b.subscribe(order, second, name=f"{rig.name}.listener")
        await manager_a.send_event(order(3))
        await second.until(2)
        assert (first.numbers, second.numbers) == ([1], [2, 3])

    @contract("competing")
    async def test_pause(self, rig: Rig) -> None:
        """Events of a paused subscription go to other consumers."""
        order, manager_a, manager_b = rig.event(), await rig.manager("a"), await rig.manager("b")
        first, second = rig.calls(), rig.calls()
        paused = await manager_a.subscribe(order, first, name=f"{rig.name}.listener")
        other = await manager_b.subscribe(order, second, name=f"{rig.name}.listener")
        await paused.pause()
        for number in range(10):
            await manager_a.send_event(order(number))
        await second.until(10)
        await paused.resume()
        await other.cancel()
        await manager_a.send_event(order(10))
        await first.until(1)
        assert (first.numbers, second.numbers) == ([10], list(range(10)))

    @contract("durable", "competing")
    async def test_stop_finishes_running_handlers(self, rig: Rig) -> None:
        """Stopping finishes running handlers and releases the other events, which are redelivered in order."""
        order, started, finished, second = rig.event(), rig.log(), rig.log(), rig.calls()
        proceed = asyncio.Event()
        manager_a = await rig.manager("a")

        async def handle(event: Any) -> None:
            started.add(event.number)
            await proceed.wait()
            await asyncio.sleep(0.02)
            finished.add(event.number)

        await manager_a.subscribe(order, handle, name=f"{rig.name}.listener")
        for number in range(20):
            await manager_a.send_event(order(number))
        await started.until(1)
        stopping = asyncio.ensure_future(manager_a.stop())
        await asyncio.sleep(0)
        proceed.set()
        await stopping
        done = len(finished.items)
        assert finished.items == started.items == list(range(done))
        manager_b = await rig.manager("b")
        await manager_b.subscribe(order, second, name=f"{rig.name}.listener")
        await manager_b.send_event(order(20))
        assert await second.until_number(20) == list(range(done, 21))

    @contract("durable", "competing")
    async def test_stop_timeout(self, rig: Rig) -> None:
        """The event of a handler that does not finish within the stop timeout is redelivered."""
        order, started, second = rig.event(), rig.log(), rig.calls()
        manager_a = await rig.manager("a", stop_timeout=0.05)

        async def hang(event: Any) -> None:
            started.add(event.number)
            await asyncio.Event().wait()

        await manager_a.subscribe(order, hang, name=f"{rig.name}.listener")
        await manager_a.send_event(order(1))
        await manager_a.send_event(order(2))
        await started.until(1)
        await manager_a.stop()
        manager_b = await rig.manager("b")
        await manager_b.subscribe(order, second, name=f"{rig.name}.listener")
        await second.until(2)
        assert second.numbers == [1, 2]

    @contract("competing")
    async def test_manager_restart(self, rig: Rig) -> None:
        """A stopped manager refuses to send and subscribe, and can be started again."""
        manager, order, calls = await rig.manager(), rig.event(), rig.calls()
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await manager.send_event(order(1))
        await calls.until(1)
        await manager.stop()
        await manager.stop()
        with pytest.raises(StateError):
            await _awaited(manager.send_event(order(2)))
        with pytest.raises(StateError):
            await _awaited(manager.subscribe(order, calls, name=f"{rig.name}.other"))
        await manager.start()
        await manager.send_event(order(3))
        await calls.until(2)
        assert calls.numbers == [1, 3]

    @contract("competing")
    async def test_stop_waits_for_sends(self, rig: Rig) -> None:
        """Stopping waits for the confirmation of pending sends."""
        sender, receiver = await rig.manager("sender"), await rig.manager("receiver")
        order, calls = rig.event(), rig.calls()
        await receiver.subscribe(order, calls, name=f"{rig.name}.listener")
        receipts = [sender.send_event(order(number)) for number in range(50)]
        await sender.stop()
        for receipt in receipts:
            await receipt
        await calls.until(50)
        assert calls.numbers == list(range(50))

    @contract("competing")
    async def test_start_on_first_use(self, rig: Rig) -> None:
        """The first use starts the manager."""
        manager, order, calls = await rig.manager(start=False), rig.event(), rig.calls()
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await manager.send_event(order(1))
        await calls.until(1)


async def _awaited(operation: Any) -> Any:
    return await operation
