"""Manager level: headers, CloudEvents attributes and send options."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ...deadlines import within
from ...envelope import CE_ID, CE_KEY, CE_SOURCE, CE_SPECVERSION, CE_TIME, CE_TYPE, CONTENT_TYPE, Envelope
from ...events import EventDescriptor
from ...exceptions import NoRouteError, UnsupportedError
from ...listener_descriptors import EventListenerDescriptor
from ...pipeline import AbstractEnvelopePipeline
from .messages import RESERVED, VALUES
from .options import TOLERANCE
from .rig import Rig
from .suite import ConformanceBase, contract

#: RFC 3339, as CloudEvents v1.0 requires.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class HeaderSettingPipeline(AbstractEnvelopePipeline):
    """Sets headers of sent events."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    async def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        for name, value in self._headers.items():
            envelope.set(name, value)
        await self.proceed_send(envelope, event_descriptor)


class HeaderRecordingPipeline(AbstractEnvelopePipeline):
    """Logs the headers of received events; stops events with the header ``stop: yes``."""

    def __init__(self, log: Any) -> None:
        self._log = log

    async def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        self._log.add(dict(envelope.headers))
        if envelope.get("stop") != "yes":
            await self.proceed_handle(envelope, event_listener_descriptor)


class EnvelopeContract(ConformanceBase):
    """Headers, CloudEvents attributes, send options."""

    @contract("headers", "competing")
    async def test_interceptor_headers(self, rig: Rig) -> None:
        """Headers set by an interceptor of the sender are seen by the receiver's interceptor and context."""
        headers_sent = {**VALUES, **{name: f"value of {name}" for name in RESERVED if not name.startswith("aspyx")}}
        seen, order, calls = rig.log(), rig.event(), rig.calls()
        sender = await rig.manager("sender", pipelines=[HeaderSettingPipeline(headers_sent)])
        receiver = await rig.manager("receiver", pipelines=[HeaderRecordingPipeline(seen)])
        await receiver.subscribe(order, calls, name=f"{rig.name}.listener")
        await sender.send_event(order(1))
        [headers], [call] = await seen.until(1), await calls.until(1)
        for name, value in headers_sent.items():
            assert headers.get(name) == value, f"header {name!r}"
            assert call.context.headers.get(name) == value, f"header {name!r}"
        assert call.context.envelope.get("never set") == ""

    @contract("headers", "competing")
    async def test_send_headers(self, rig: Rig) -> None:
        """Headers passed to `send_event` arrive."""
        manager, order, calls = await rig.manager(), rig.event(), rig.calls()
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await manager.send_event(order(1), headers={"tenant": "a", "type": "mine"})
        [call] = await calls.until(1)
        assert (call.context.headers.get("tenant"), call.context.headers.get("type")) == ("a", "mine")

    @contract("headers", "durable", "competing")
    async def test_stopped_by_interceptor(self, rig: Rig) -> None:
        """An event that an interceptor stops is acknowledged: no listener receives it, now or later."""
        order, first, second, seen = rig.event(), rig.calls(), rig.calls(), rig.log()
        manager_a = await rig.manager("a", pipelines=[HeaderRecordingPipeline(seen)])
        await manager_a.subscribe(order, first, name=f"{rig.name}.listener")
        await manager_a.send_event(order(1), headers={"stop": "yes"})
        await manager_a.send_event(order(2))
        await first.until(1)
        await manager_a.stop()
        manager_b = await rig.manager("b")
        await manager_b.subscribe(order, second, name=f"{rig.name}.listener")
        await manager_b.send_event(order(3))
        assert await second.until_number(3) == [3]
        assert first.numbers == [2]
        assert len(seen.items) == 2

    @contract("headers", "competing")
    async def test_cloudevent(self, rig: Rig) -> None:
        """An event is sent as a CloudEvent v1.0 in binary mode: attributes in headers, data in the body."""
        manager, order, calls = await rig.manager("server-1", source="/shop/a b"), rig.event(), rig.calls()
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        before = datetime.now(timezone.utc)
        receipt = manager.send_event(order(1, "text"), key="k" if rig.capabilities.ordered_keys else None)
        await receipt
        [call] = await calls.until(1)
        headers = call.context.headers
        assert headers[CE_SPECVERSION] == "1.0"
        assert headers[CE_TYPE] == call.context.event_name == rig.address()
        assert headers[CE_SOURCE] == call.context.source == "/shop/a%20b"
        assert headers[CE_ID] == call.context.event_id == receipt.id
        assert uuid.UUID(headers[CE_ID])
        assert _TIME.fullmatch(headers[CE_TIME])
        assert call.context.time == headers[CE_TIME]
        moment = datetime.fromisoformat(headers[CE_TIME].replace("Z", "+00:00"))
        assert before - timedelta(seconds=1) < moment < datetime.now(timezone.utc) + timedelta(seconds=1)
        assert headers[CONTENT_TYPE] == "application/json"
        assert json.loads(call.context.envelope.body) == {"number": 1, "text": "text"}
        if rig.capabilities.ordered_keys:
            assert headers[CE_KEY] == call.context.key == "k"

    @contract("competing", "headers")
    async def test_context_of_first_delivery(self, rig: Rig) -> None:
        """The context of a first delivery has the id from the receipt, attempt 1, and is not redelivered."""
        manager, order, first, second = await rig.manager(), rig.event(), rig.calls(), rig.calls()
        await manager.subscribe(order, first, name=f"{rig.name}.first")
        await manager.subscribe(order, second, name=f"{rig.name}.second")
        ids = [manager.send_event(order(number)) for number in range(3)]
        for calls in (first, second):
            await calls.until(3)
            assert [call.context.event_id for call in calls.items] == [receipt.id for receipt in ids]
            assert [(call.context.attempt, call.context.redelivered) for call in calls.items] == [(1, False)] * 3

    @contract("delay", "competing")
    async def test_send_delay(self, rig: Rig) -> None:
        """`send_event(delay=)` delays the event, and later events overtake it."""
        manager, order, calls, loop = await rig.manager(), rig.event(), rig.calls(), asyncio.get_running_loop()
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        sent = loop.time()
        await manager.send_event(order(1), delay=0.5)
        await manager.send_event(order(2))
        await calls.until(2)
        assert loop.time() - sent >= 0.5 - TOLERANCE
        assert calls.numbers == [2, 1]

    @contract("ttl", "durable", "competing")
    async def test_send_ttl(self, rig: Rig) -> None:
        """`send_event(ttl=)` discards the event after its time to live."""
        manager, order, calls = await rig.manager(), rig.event(), rig.calls()
        subscription = await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await subscription.cancel()
        await manager.send_event(order(1), ttl=0.3)
        await manager.send_event(order(2), ttl=300)
        await asyncio.sleep(0.3 + TOLERANCE)  # the passing of time is what is tested
        await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await manager.send_event(order(3))
        assert await calls.until_number(3) == [2, 3]

    @contract("priority", "durable", "competing")
    async def test_send_priority(self, rig: Rig) -> None:
        """`send_event(priority=)` puts the event before events with a lower priority."""
        manager, order, calls = await rig.manager(), rig.event(), rig.calls()
        subscription = await manager.subscribe(order, calls, name=f"{rig.name}.listener")
        await subscription.cancel()
        for number, priority in enumerate((1, None, 8)):
            await manager.send_event(order(number), priority=priority)
        await manager.subscribe(order, calls, name=f"{rig.name}.listener", prefetch=1)
        await calls.until(3)
        assert calls.numbers == [2, 1, 0]

    @contract("ordered_keys", "competing")
    async def test_key_order_across_managers(self, rig: Rig) -> None:
        """Events with the same key are handled in order, one at a time, across managers."""
        order, steps = rig.event(key="text"), rig.log()

        async def handle(event: Any) -> None:
            steps.add(("begin", event.text, event.number))
            # Different durations, or handlers in step by chance would look like handlers that wait for each other.
            await asyncio.sleep(0.02 if event.text == "a" else 0.001)
            steps.add(("end", event.text, event.number))

        managers = [await rig.manager("a"), await rig.manager("b")]
        for manager in managers:
            await manager.subscribe(order, handle, name=f"{rig.name}.listener", concurrency=3)
        for number in range(10):
            for key in "abcdefg":
                managers[0].send_event(order(number, key))
        await steps.until(140)
        for key in "abcdefg":
            mine = [(step, number) for step, text, number in steps.items if text == key]
            assert mine == [(step, number) for number in range(10) for step in ("begin", "end")]

    @contract("require_route")
    async def test_send_require_route(self, rig: Rig) -> None:
        """`send_event(require_route=True)` fails if no queue receives the event."""
        manager, order = await rig.manager(), rig.event()
        with pytest.raises(NoRouteError):
            await within(_awaited(manager.send_event(order(1), require_route=True)), rig.timeout)

    @contract()
    async def test_missing_capabilities_refused(self, rig: Rig) -> None:
        """Options that the provider does not support raise an UnsupportedError and are never ignored."""
        manager, order, capabilities = await rig.manager(), rig.event(durable=False), rig.capabilities
        options: dict[str, dict[str, Any]] = {
            "delay": {"delay": 1.0},
            "ttl": {"ttl": 1.0},
            "priority": {"priority": 7},
            "ordered_keys": {"key": "k"},
            "require_route": {"require_route": True},
        }
        for capability, option in options.items():
            if not getattr(capabilities, capability):
                with pytest.raises(UnsupportedError):
                    await _awaited(manager.send_event(order(1), **option))
        listeners: dict[str, tuple[type, dict[str, Any]]] = {
            "durable": (rig.event("durable", durable=True), {}),
            "competing": (order, {}),
            "per_process": (order, {"per_process": True}),
        }
        for capability, (target, keywords) in listeners.items():
            if not getattr(capabilities, capability):
                with pytest.raises(UnsupportedError):
                    await _awaited(manager.subscribe(target, rig.calls(), name=f"{rig.name}.{capability}", **keywords))


async def _awaited(operation: Any) -> Any:
    return await operation
