"""Manager level: which listeners get an event, and how they are called."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from ...context import EventContext
from ...envelope import Envelope
from ...listener_descriptors import EventListenerDescriptor
from ...pipeline import AbstractEnvelopePipeline
from .rig import Log, Rig
from .suite import ConformanceBase, contract


class Watching(AbstractEnvelopePipeline):
    """Notes each passage: ("send", name of the event) or ("handle", name of the listener), and the body."""

    def __init__(self, log: Log[Any]) -> None:
        self._log = log

    def send(self, envelope: Envelope, event_descriptor: Any) -> Any:
        self._log.add(("send", event_descriptor.name, envelope.body))
        return super().send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Any:
        self._log.add(("handle", event_listener_descriptor.name, envelope.body))
        return super().handle(envelope, event_listener_descriptor)


class ListenerContract(ConformanceBase):
    """Listeners, groups, processes."""

    @contract("competing")
    async def test_each_listener_called_once(self, rig: Rig) -> None:
        """Each of several listeners is called once per event, and interceptors once per message and listener."""
        passages, order = rig.log(), rig.event()
        manager = await rig.manager(pipelines=[Watching(passages)])
        logs = {name: rig.calls() for name in ("alpha", "beta", "gamma")}
        for name, calls in logs.items():
            await manager.subscribe(order, calls, name=f"{rig.name}.{name}")
        for number in range(5):
            await manager.send_event(order(number))
        marker = rig.event("marker")
        behind = rig.calls()
        await manager.subscribe(marker, behind, name=f"{rig.name}.marker")
        await manager.send_event(marker(0))
        await behind.until(1)
        for calls in logs.values():
            await calls.until(5)
            assert calls.numbers == [0, 1, 2, 3, 4]
        sends = [item for item in passages.items if item[0] == "send"]
        handles = [item for item in passages.items if item[0] == "handle" and not item[1].endswith("marker")]
        assert (len(sends), len(handles)) == (6, 15)
        assert len(set(handles)) == 15, "an interceptor saw a message twice for one listener"

    @contract("competing")
    async def test_each_listener_gets_own_event_object(self, rig: Rig) -> None:
        """Each listener gets an equal event object of its own."""
        manager, order = await rig.manager(), rig.event()
        first, second = rig.calls(), rig.calls()
        await manager.subscribe(order, first, name=f"{rig.name}.first")
        await manager.subscribe(order, second, name=f"{rig.name}.second")
        sent = order(7, "gr\u00fc\u00dfe \U0001f600\n\t\"'\\ \x00 \u2028")
        await manager.send_event(sent)
        [one], [other] = await first.until(1), await second.until(1)
        assert one.event == sent
        assert other.event == sent
        assert type(one.event) is order
        assert one.event is not other.event

    @contract("competing")
    async def test_same_name_competes(self, rig: Rig) -> None:
        """Listeners with the same name in several managers share the events."""
        one, two, order, total = await rig.manager("one"), await rig.manager("two"), rig.event(), rig.log()
        release = asyncio.Event()

        async def handle(where: str, event: Any) -> None:
            total.add((where, event.number))
            await release.wait()

        await one.subscribe(order, at_place(handle, "one"), name=f"{rig.name}.same", prefetch=1)
        await two.subscribe(order, at_place(handle, "two"), name=f"{rig.name}.same", prefetch=1)
        for number in range(20):
            await one.send_event(order(number))
        # Both are at work on one event each, and neither can have more.
        both = await total.until(2)
        assert {where for where, _ in both} == {"one", "two"}
        release.set()
        everything = await total.until(20)
        assert sorted(number for _, number in everything) == list(range(20))

    @contract("competing")
    async def test_group_competes(self, rig: Rig) -> None:
        """Listeners of one group share the events, whatever their names."""
        one, two, order = await rig.manager("one"), await rig.manager("two"), rig.event()
        total, apart = rig.log(), rig.calls()

        async def handle(where: str, event: Any) -> None:
            total.add((where, event.number))

        group = f"{rig.name}.group"
        await one.subscribe(order, at_place(handle, "one"), name=f"{rig.name}.first", group=group)
        await two.subscribe(order, at_place(handle, "two"), name=f"{rig.name}.second", group=group)
        await two.subscribe(order, apart, name=f"{rig.name}.third")
        for number in range(20):
            await two.send_event(order(number))
        await apart.until(20)
        assert sorted(number for _, number in await total.until(20)) == list(range(20))

    @contract("per_process")
    async def test_per_process(self, rig: Rig) -> None:
        """Each per-process listener receives every event."""
        one, two, order = await rig.manager("one"), await rig.manager("two"), rig.event(durable=False)
        first, second = rig.calls(), rig.calls()
        await one.subscribe(order, first, name=f"{rig.name}.same", per_process=True)
        await two.subscribe(order, second, name=f"{rig.name}.same", per_process=True)
        for number in range(10):
            await one.send_event(order(number))
        for calls in (first, second):
            await calls.until(10)
            assert calls.numbers == list(range(10))

    @contract("per_process", "durable")
    async def test_resumable_per_process(self, rig: Rig) -> None:
        """A resumable per-process listener receives the events sent while it was stopped."""
        order, sender = rig.event(), await rig.manager("sender")
        for server in ("one", "two"):
            manager = await rig.manager(server)
            await manager.subscribe(order, rig.calls(), name=f"{rig.name}.same", per_process=True, resumable=True)
            await manager.stop()
        await sender.send_event(order(1))
        for server in ("one", "two"):
            calls, manager = rig.calls(), await rig.manager(server)
            await manager.subscribe(order, calls, name=f"{rig.name}.same", per_process=True, resumable=True)
            await calls.until(1)

    @contract("per_process")
    async def test_broadcast(self, rig: Rig) -> None:
        """All listeners of a broadcast event are per-process listeners."""
        one, two, order = await rig.manager("one"), await rig.manager("two"), rig.event(durable=False, broadcast=True)
        first, second = rig.calls(), rig.calls()
        await one.subscribe(order, first, name=f"{rig.name}.same")
        await two.subscribe(order, second, name=f"{rig.name}.same")
        await two.send_event(order(1))
        await first.until(1)
        await second.until(1)

    @contract("competing")
    async def test_sync_and_async_listeners(self, rig: Rig) -> None:
        """Handlers may be sync or async; a blocking sync handler runs in a thread and does not stop others."""
        manager, order, seen = await rig.manager(), rig.event(), rig.log()
        reached = threading.Event()

        def blocking(event: Any, context: EventContext) -> None:
            assert reached.wait(rig.patience), "the async listener never ran"
            seen.add(("sync", event.number, context.attempt))

        async def quick(event: Any) -> None:
            seen.add(("async", event.number, 1))
            reached.set()

        await manager.subscribe(order, blocking, name=f"{rig.name}.blocking")
        await manager.subscribe(order, quick, name=f"{rig.name}.quick")
        await manager.send_event(order(1))
        assert await seen.until(2) == [("async", 1, 1), ("sync", 1, 1)]

    @contract("competing")
    async def test_send_in_handler(self, rig: Rig) -> None:
        """A handler may send events and wait for the confirmation; a sync handler may do so in its thread."""
        manager, done = await rig.manager(), rig.calls()
        first, second, third = rig.event("first"), rig.event("second"), rig.event("third")

        async def answer(event: Any) -> None:
            await manager.send_event(second(event.number + 1))

        def answer_blocking(event: Any) -> None:
            manager.send_event(third(event.number + 1))

        await manager.subscribe(first, answer, name=f"{rig.name}.first")
        await manager.subscribe(second, answer_blocking, name=f"{rig.name}.second")
        await manager.subscribe(third, done, name=f"{rig.name}.third")
        for number in range(10):
            await manager.send_event(first(number * 10))
        await done.until(10)
        assert done.numbers == [number * 10 + 2 for number in range(10)]

    @contract("competing")
    async def test_listener_handles_in_order(self, rig: Rig) -> None:
        """A listener handles events in order, one at a time."""
        manager, order, steps = await rig.manager(), rig.event(), rig.log()

        async def handle(event: Any) -> None:
            steps.add(("begin", event.number))
            await asyncio.sleep(0)
            steps.add(("end", event.number))

        await manager.subscribe(order, handle, name=f"{rig.name}.listener")
        await asyncio.gather(*(manager.send_event(order(number)) for number in range(50)))
        await steps.until(100)
        assert steps.items == [(step, number) for number in range(50) for step in ("begin", "end")]

    @contract("competing")
    async def test_concurrency_keeps_key_order(self, rig: Rig) -> None:
        """With concurrency, a listener handles events with the same key in order, one at a time."""
        manager, order, steps = await rig.manager(), rig.event(), rig.log()

        async def handle(event: Any) -> None:
            steps.add(("begin", event.text, event.number))
            await asyncio.sleep(0.002)
            steps.add(("end", event.text, event.number))

        await manager.subscribe(order, handle, name=f"{rig.name}.listener", concurrency=4, order_by="text")
        for number in range(10):
            for key in "abcd":
                await manager.send_event(order(number, key))
        await steps.until(80)
        for key in "abcd":
            mine = [(step, number) for step, text, number in steps.items if text == key]
            assert mine == [(step, number) for number in range(10) for step in ("begin", "end")]


def at_place(handle: Any, where: str) -> Any:
    """Return an async handler that says where it ran."""

    async def handler(event: Any) -> None:
        await handle(where, event)

    return handler
