"""Port level: lifetime and messages of queues."""

from __future__ import annotations

import pytest

from ...deadlines import within
from ...exceptions import QueueClashError
from ...providers.base import AddressKind
from .rig import Rig
from .suite import ConformanceBase, contract


class QueueContract(ConformanceBase):
    """Durable, volatile, unnamed and point-to-point queues."""

    @contract("durable")
    async def test_durable_queue_keeps_messages(self, rig: Rig) -> None:
        """A durable queue keeps messages while it has no consumer."""
        provider, first, second = await rig.provider(), rig.inbox(), rig.inbox()
        consumer = await provider.subscribe(rig.binding(), first)
        await consumer.close()
        await rig.publish(provider, [b"1", b"2", b"3"])
        await provider.subscribe(rig.binding(), second)
        await second.until(3)
        assert (first.bodies, second.bodies) == ([], [b"1", b"2", b"3"])

    @contract("durable")
    async def test_durable_queue_outlives_provider(self, rig: Rig) -> None:
        """A durable queue keeps messages while its provider is stopped."""
        provider, other, inbox = await rig.provider("a"), await rig.provider("b"), rig.inbox()
        await provider.subscribe(rig.binding(), rig.inbox())
        await provider.stop()
        await rig.publish(other, [b"1", b"2"])
        await other.stop()
        await provider.start()
        await provider.subscribe(rig.binding(), inbox)
        await inbox.until(2)
        assert inbox.bodies == [b"1", b"2"]

    @contract("competing")
    async def test_volatile_queue_deleted_with_last_consumer(self, rig: Rig) -> None:
        """A volatile queue is deleted with its last consumer."""
        provider, inbox, later = await rig.provider(), rig.inbox(), rig.inbox()
        binding = rig.binding(durable=False)
        first = await provider.subscribe(binding, rig.inbox())
        second = await provider.subscribe(binding, inbox)
        await first.close()
        await rig.publish(provider, [b"1"], durable=False)
        assert await inbox.until_body(b"1")
        await second.close()
        await rig.publish(provider, [b"nobody is here"], durable=False)
        await provider.subscribe(binding, later)
        await rig.publish(provider, [b"marker"], durable=False)
        assert await later.until_body(b"marker") == [b"marker"]

    @contract("competing")
    async def test_volatile_queue_shared_by_providers(self, rig: Rig) -> None:
        """Consumers of several providers share a volatile queue."""
        provider_a, provider_b = await rig.provider("a"), await rig.provider("b")
        first, second, binding = rig.inbox(), rig.inbox(), rig.binding(durable=False)
        leaving = await provider_a.subscribe(binding, first)
        await provider_b.subscribe(binding, second)
        await leaving.close()
        await rig.publish(provider_a, [b"1", b"2"], durable=False)
        await second.until(2)
        assert first.bodies == []

    @contract("competing", "durable")
    async def test_queue_name_clash(self, rig: Rig) -> None:
        """Queue names are unique per broker: binding an existing name to a second address fails."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(), inbox)
        with pytest.raises(QueueClashError):
            await within(provider.subscribe(rig.binding(rig.address("other")), rig.inbox()), rig.timeout)
        await rig.publish(provider, [b"1"])
        await inbox.until(1)

    @contract("per_process")
    async def test_unnamed_queue_per_consumer(self, rig: Rig) -> None:
        """Each consumer without a queue name has its own queue and receives all messages."""
        provider_a, provider_b = await rig.provider("a"), await rig.provider("b")
        inboxes = [rig.inbox() for _ in range(3)]
        for provider, inbox in zip((provider_a, provider_a, provider_b), inboxes, strict=True):
            await provider.subscribe(rig.binding(queue=None), inbox)
        bodies = [b"%d" % number for number in range(10)]
        await rig.publish(provider_a, bodies)
        for inbox in inboxes:
            await inbox.until(10)
            assert inbox.bodies == bodies

    @contract("per_process")
    async def test_unnamed_queue_deleted_with_consumer(self, rig: Rig) -> None:
        """A queue without a name is deleted with its consumer."""
        provider, first, second = await rig.provider(), rig.inbox(), rig.inbox()
        consumer = await provider.subscribe(rig.binding(queue=None), first)
        await consumer.close()
        await rig.publish(provider, [b"nobody is here"])
        await provider.subscribe(rig.binding(queue=None), second)
        await rig.publish(provider, [b"marker"])
        assert await second.until_body(b"marker") == [b"marker"]
        assert first.bodies == []

    @contract("durable")
    async def test_point_to_point_queue_keeps_messages(self, rig: Rig) -> None:
        """A point-to-point queue keeps messages even if it never had a consumer, as dead letters need."""
        provider, inbox = await rig.provider(), rig.inbox()
        address = rig.address("plain")
        await rig.publish(provider, [b"1", b"2"], address, kind=AddressKind.QUEUE)
        binding = rig.plain_queue(address)
        consumer = await provider.subscribe(binding, inbox)
        await inbox.until(2)
        await consumer.close()
        await rig.publish(provider, [b"3"], address, kind=AddressKind.QUEUE)
        await provider.stop()
        await provider.start()
        await provider.subscribe(binding, inbox)
        await inbox.until(3)
        assert inbox.bodies == [b"1", b"2", b"3"]

    @contract("durable", "competing")
    async def test_consumers_share_point_to_point_queue(self, rig: Rig) -> None:
        """Consumers of a point-to-point queue share its messages."""
        provider_a, provider_b, address = await rig.provider("a"), await rig.provider("b"), rig.address("plain")
        first, second = rig.inbox(ack=False), rig.inbox(ack=False)
        await provider_a.subscribe(rig.plain_queue(address, prefetch=1), first)
        await provider_b.subscribe(rig.plain_queue(address, prefetch=1), second)
        await rig.publish(provider_a, [b"1", b"2"], address, kind=AddressKind.QUEUE)
        await first.until(1)
        await second.until(1)
        assert sorted(first.bodies + second.bodies) == [b"1", b"2"]

    @contract("competing")
    async def test_message_for_one_queue(self, rig: Rig) -> None:
        """A message for one queue of an address reaches only that queue, in order with messages for all queues."""
        provider = await rig.provider()
        for binding in rig.shared_bindings():
            mine, other = rig.inbox(), rig.inbox()
            await provider.subscribe(binding, mine)
            beside = rig.binding(binding.address, f"beside-{binding.durable}", durable=binding.durable)
            await provider.subscribe(beside, other)
            for body, only in ((b"1", binding), (b"2", None), (b"3", binding), (b"4", binding), (b"5", None)):
                await rig.publish(provider, [body], binding.address, only=only)
            assert await mine.until_body(b"5") == [b"1", b"2", b"3", b"4", b"5"]
            assert await other.until_body(b"5") == [b"2", b"5"]

    @contract("durable", "competing")
    async def test_message_for_one_queue_waits(self, rig: Rig) -> None:
        """A message for one queue waits there for a consumer."""
        provider, inbox, other = await rig.provider(), rig.inbox(), rig.inbox()
        await (await provider.subscribe(rig.binding(), inbox)).close()
        await provider.subscribe(rig.binding(queue="other"), other)
        await rig.publish(provider, [b"1"], only=rig.binding())
        await rig.publish(provider, [b"2"], only=rig.binding(), headers={"a": "b"})
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"marker"])
        assert await inbox.until_body(b"marker") == [b"1", b"2", b"marker"]
        assert await other.until_body(b"marker") == [b"marker"]
