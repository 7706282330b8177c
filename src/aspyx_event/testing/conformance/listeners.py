"""Manager level: which listeners receive an event, and how they are called."""

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


class RecordingPipeline(AbstractEnvelopePipeline):
    """Logs each call: ("send", name of the event) or ("handle", name of the listener), and the body."""

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
        calls_of_pipeline, order = rig.log(), rig.event()
        manager = await rig.manager(pipelines=[RecordingPipeline(calls_of_pipeline)])
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
        sends = [item for item in calls_of_pipeline.items if item[0] == "send"]
        handles = [item for item in calls_of_pipeline.items if item[0] == "handle" and not item[1].endswith("marker")]
        assert (len(sends), len(handles)) == (6, 15)
        assert len(set(handles)) == 15, "an interceptor was called twice for one message and listener"

    @contract("competing")
    async def test_each_listener_gets_own_event_object(self, rig: Rig) -> None:
        """Each listener gets an equal event object of its own."""
        manager, order = await rig.manager(), rig.event()
        first, second = rig.calls(), rig.calls()
        await manager.subscribe(order, first, name=f"{rig.name}.first")
        await manager.subscribe(order, second, name=f"{rig.name}.second")
        sent = order(7, "gr\u00fc\u00dfe \U0001f600\n\t\"'\\ \x00 \u2028")
        await manager.send_event(sent)
        [call], [other] = await first.until(1), await second.until(1)
        assert call.event == sent
        assert other.event == sent
        assert type(call.event) is order
        assert call.event is not other.event

    @contract("competing")
    async def test_same_name_competes(self, rig: Rig) -> None:
        """Listeners with the same name in several managers share the events."""
        manager_a, manager_b, order, total = await rig.manager("a"), await rig.manager("b"), rig.event(), rig.log()
        release = asyncio.Event()

        async def handle(label: str, event: Any) -> None:
            total.add((label, event.number))
            await release.wait()

        await manager_a.subscribe(order, labelled(handle, "a"), name=f"{rig.name}.same", prefetch=1)
        await manager_b.subscribe(order, labelled(handle, "b"), name=f"{rig.name}.same", prefetch=1)
        for number in range(20):
            await manager_a.send_event(order(number))
        # Both are handling an event, and neither can receive more.
        both = await total.until(2)
        assert {label for label, _ in both} == {"a", "b"}
        release.set()
        everything = await total.until(20)
        assert sorted(number for _, number in everything) == list(range(20))

    @contract("competing")
    async def test_group_competes(self, rig: Rig) -> None:
        """Listeners of a group share the events, whatever their names."""
        manager_a, manager_b, order = await rig.manager("a"), await rig.manager("b"), rig.event()
        total, apart = rig.log(), rig.calls()

        async def handle(label: str, event: Any) -> None:
            total.add((label, event.number))

        group = f"{rig.name}.group"
        await manager_a.subscribe(order, labelled(handle, "a"), name=f"{rig.name}.first", group=group)
        await manager_b.subscribe(order, labelled(handle, "b"), name=f"{rig.name}.second", group=group)
        await manager_b.subscribe(order, apart, name=f"{rig.name}.third")
        for number in range(20):
            await manager_b.send_event(order(number))
        await apart.until(20)
        assert sorted(number for _, number in await total.until(20)) == list(range(20))

    @contract("per_process")
    async def test_per_process(self, rig: Rig) -> None:
        """Each per-process listener receives every event."""
        manager_a, manager_b, order = await rig.manager("a"), await rig.manager("b"), rig.event(durable=False)
        first, second = rig.calls(), rig.calls()
        await manager_a.subscribe(order, first, name=f"{rig.name}.same", per_process=True)
        await manager_b.subscribe(order, second, name=f"{rig.name}.same", per_process=True)
        for number in range(10):
            await manager_a.send_event(order(number))
        for calls in (first, second):
            await calls.until(10)
            assert calls.numbers == list(range(10))

    @contract("per_process", "durable")
    async def test_resumable_per_process(self, rig: Rig) -> None:
        """A resumable per-process listener receives the events sent while it was stopped."""
        order, sender = rig.event(), await rig.manager("sender")
        for server in ("a", "b"):
            manager = await rig.manager(server)
            await manager.subscribe(order, rig.calls(), name=f"{rig.name}.same", per_process=True, resumable=True)
            await manager.stop()
        await sender.send_event(order(1))
        for server in ("a", "b"):
            calls, manager = rig.calls(), await rig.manager(server)
            await manager.subscribe(order, calls, name=f"{rig.name}.same", per_process=True, resumable=True)
            await calls.until(1)

    @contract("per_process")
    async def test_broadcast(self, rig: Rig) -> None:
        """All listeners of a broadcast event are per-process listeners."""
        manager_a, manager_b, order = (
            await rig.manager("a"),
            await rig.manager("b"),
            rig.event(durable=False, broadcast=True),
        )
        first, second = rig.calls(), rig.calls()
        await manager_a.subscribe(order, first, name=f"{rig.name}.same")
        await manager_b.subscribe(order, second, name=f"{rig.name}.same")
        await manager_b.send_event(order(1))
        await first.until(1)
        await second.until(1)

    @contract("competing")
    async def test_sync_and_async_listeners(self, rig: Rig) -> None:
        """Handlers may be sync or async; a blocking sync handler runs in a thread and does not stop others."""
        manager, order, seen = await rig.manager(), rig.event(), rig.log()
        reached = threading.Event()

        def blocking(event: Any, context: EventContext) -> None:
            assert reached.wait(rig.timeout), "the async listener never ran"
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


def labelled(handle: Any, label: str) -> Any:
    """Return an async handler that passes the label to *handle*."""

    async def handler(event: Any) -> None:
        await handle(label, event)

    return handler
