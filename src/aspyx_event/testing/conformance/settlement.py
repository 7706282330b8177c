"""Port level: settling deliveries; pausing and closing consumers."""

from __future__ import annotations

from .rig import Rig
from .suite import ConformanceBase, contract


class SettlementContract(ConformanceBase):
    """Acknowledge, release, hold, pause, close."""

    @contract("competing")
    async def test_acknowledged_not_redelivered(self, rig: Rig) -> None:
        """An acknowledged message is not delivered again, not even to a later consumer."""
        provider = await rig.provider()
        for binding in rig.shared_bindings():
            first, second = rig.inbox(), rig.inbox()
            consumer = await provider.subscribe(binding, first)
            await rig.publish(provider, [b"1", b"2"], binding.address)
            await first.until(2)
            remaining = await provider.subscribe(binding, second)
            await consumer.close()
            await rig.publish(provider, [b"marker"], binding.address)
            assert await second.until_body(b"marker") == [b"marker"]
            await remaining.close()

    @contract()
    async def test_released_redelivered(self, rig: Rig) -> None:
        """A released message is delivered again and marked as redelivered."""
        provider, inbox = await rig.provider(), rig.inbox(ack=False)
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"1"])
        [first] = await inbox.until(1)
        assert not first.redelivered
        first.release()
        _, second = await inbox.until(2)
        assert second.envelope.body == b"1"
        assert second.redelivered
        second.ack()
        await rig.publish(provider, [b"marker"])
        assert await inbox.until_body(b"marker") == [b"1", b"1", b"marker"]

    @contract("competing")
    async def test_released_goes_to_other_consumer(self, rig: Rig) -> None:
        """A released message goes to another consumer when its consumer closes."""
        provider, first, second = await rig.provider(), rig.inbox(ack=False), rig.inbox()
        consumer = await provider.subscribe(rig.binding(), first)
        await rig.publish(provider, [b"1"])
        await first.until(1)
        await provider.subscribe(rig.binding(), second)
        first.items[0].release()
        await consumer.close()
        await second.until_body(b"1")

    @contract("durable")
    async def test_unsettled_redelivered_after_close(self, rig: Rig) -> None:
        """Messages that are unsettled when their consumer closes are delivered again, in order."""
        provider, first, second = await rig.provider(), rig.inbox(ack=False), rig.inbox()
        consumer = await provider.subscribe(rig.binding(prefetch=3), first)
        await rig.publish(provider, [b"1", b"2", b"3", b"4", b"5"])
        await first.until(3)
        await consumer.close()
        await provider.subscribe(rig.binding(), second)
        await second.until(5)
        assert second.bodies == [b"1", b"2", b"3", b"4", b"5"]

    @contract("durable")
    async def test_unsettled_redelivered_after_stop(self, rig: Rig) -> None:
        """Messages that are unsettled when the provider stops are delivered again."""
        provider_a, provider_b = await rig.provider("a"), await rig.provider("b")
        first, second = rig.inbox(ack=False), rig.inbox()
        await provider_a.subscribe(rig.binding(prefetch=2), first)
        await rig.publish(provider_b, [b"1", b"2", b"3"])
        await first.until(2)
        first.items[0].ack()
        await rig.round_trips(provider_a, 1)
        await provider_a.stop()
        await provider_b.subscribe(rig.binding(), second)
        assert await second.until_body(b"3") == [b"2", b"3"]

    @contract("durable")
    async def test_stale_when_nobody_can_settle(self, rig: Rig) -> None:
        """A delivery that nobody settled is stale as soon as its consumer is closed; a settled one never is."""
        provider = await rig.provider()
        for end in ("close", "stop"):
            inbox, address = rig.inbox(ack=False), rig.address(end)
            consumer = await provider.subscribe(rig.binding(address, end, prefetch=3), inbox)
            await rig.publish(provider, [b"1", b"2", b"3"], address)
            deliveries = await inbox.until(3)
            acknowledged, released, unsettled = deliveries
            acknowledged.ack()
            assert not any(delivery.stale for delivery in deliveries)
            await consumer.pause()
            released.release()
            assert not any(delivery.stale for delivery in deliveries), "a paused consumer can settle what it has"
            await (consumer.close() if end == "close" else provider.stop())
            assert [delivery.stale for delivery in deliveries] == [False, False, True]
            unsettled.release()
            assert not any(delivery.stale for delivery in deliveries)

    @contract("durable")
    async def test_first_settlement_counts(self, rig: Rig) -> None:
        """Settling again, or after the consumer closed or the provider stopped, has no effect."""
        provider_a, provider_b = await rig.provider("a"), await rig.provider("b")
        first, second = rig.inbox(ack=False), rig.inbox()
        consumer = await provider_a.subscribe(rig.binding(prefetch=3), first)
        await rig.publish(provider_b, [b"1", b"2", b"3"])
        acknowledged, late, later = await first.until(3)
        acknowledged.ack()
        acknowledged.ack()
        acknowledged.release()
        await consumer.close()
        late.ack()
        late.release()
        await provider_a.stop()
        later.release()
        later.ack()
        await provider_b.subscribe(rig.binding(), second)
        await rig.publish(provider_b, [b"marker"])
        assert await second.until_body(b"marker") == [b"2", b"3", b"marker"]

    @contract()
    async def test_prefetch_limits_unsettled(self, rig: Rig) -> None:
        """A consumer never has more unsettled messages than its prefetch."""
        provider, inbox = await rig.provider(), rig.inbox(ack=False)
        await provider.subscribe(rig.binding(prefetch=3), inbox)
        await rig.publish(provider, [b"%d" % number for number in range(20)])
        for settled in range(4):
            await inbox.until(3 + settled)
            await rig.round_trips(provider)
            assert len(inbox.items) == 3 + settled, "more messages were delivered than may be unsettled"
            inbox.items[settled].ack()
        inbox.settle_all()
        await inbox.until(20)
        assert inbox.bodies == [b"%d" % number for number in range(20)]

    @contract()
    async def test_prefetch_of_one(self, rig: Rig) -> None:
        """A prefetch of one does not stall the queue."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(prefetch=1), inbox)
        await rig.publish(provider, [b"%d" % number for number in range(50)])
        await inbox.until(50)

    @contract("competing")
    async def test_paused_consumer_keeps_only_its_messages(self, rig: Rig) -> None:
        """A paused consumer can settle the messages it has; all others go to another consumer."""
        provider = await rig.provider()
        for binding in rig.shared_bindings(prefetch=2):
            first, second = rig.inbox(ack=False), rig.inbox()
            paused = await provider.subscribe(binding, first)
            await rig.publish(provider, [b"%d" % number for number in range(10)], binding.address)
            await first.until(2)
            await paused.pause()
            await paused.pause()
            await provider.subscribe(binding, second)
            await rig.publish(provider, [b"10"], binding.address)
            for delivery in first.items:
                delivery.ack()
            await second.when(lambda items: len(items) >= 9, "the rest")
            await rig.publish(provider, [b"marker"], binding.address)
            received = await second.until_body(b"marker")
            assert sorted(received) == sorted([*(b"%d" % number for number in range(2, 11)), b"marker"])
            assert first.bodies == [b"0", b"1"]

    @contract("competing")
    async def test_resumed_consumer_receives_again(self, rig: Rig) -> None:
        """A resumed consumer receives messages again."""
        provider = await rig.provider()
        for binding in rig.shared_bindings():
            first, second = rig.inbox(), rig.inbox()
            paused = await provider.subscribe(binding, first)
            other = await provider.subscribe(binding, second)
            await paused.pause()
            await rig.publish(provider, [b"1", b"2", b"3"], binding.address)
            await second.until(3)
            await paused.resume()
            await paused.resume()
            await other.close()
            await rig.publish(provider, [b"4", b"5"], binding.address)
            await first.until(2)
            assert (first.bodies, second.bodies) == ([b"4", b"5"], [b"1", b"2", b"3"])

    @contract()
    async def test_pause_loses_nothing(self, rig: Rig) -> None:
        """The queue of a paused consumer keeps messages of every kind and delivers them in order after resuming."""
        provider = await rig.provider()
        bindings = rig.shared_bindings() if rig.capabilities.competing else []
        if rig.capabilities.per_process:
            bindings.append(rig.binding(rig.address("temporary"), None))
        for binding in bindings:
            inbox = rig.inbox()
            consumer = await provider.subscribe(binding, inbox)
            await rig.publish(provider, [b"0"], binding.address)
            await inbox.until(1)
            await consumer.pause()
            await rig.publish(provider, [b"1", b"2", b"3"], binding.address)
            await rig.round_trips(provider)
            assert inbox.bodies == [b"0"], f"a paused consumer of {binding} received more"
            await consumer.resume()
            await inbox.until(4)
            assert inbox.bodies == [b"0", b"1", b"2", b"3"]

    @contract("competing")
    async def test_closed_consumer_receives_nothing(self, rig: Rig) -> None:
        """After a consumer has closed, the other consumer receives all messages."""
        provider = await rig.provider()
        for binding in rig.shared_bindings():
            first, second = rig.inbox(), rig.inbox()
            leaving = await provider.subscribe(binding, first)
            await provider.subscribe(binding, second)
            await rig.publish(provider, [b"%d" % number for number in range(10)], binding.address)
            await second.when(bool, "a share of the messages")
            await leaving.close()
            before = set(first.bodies)
            later = [b"later-%d" % number for number in range(20)]
            await rig.publish(provider, later, binding.address)
            await second.until_body(later[-1])
            await second.until(30 - len(before))
            assert set(first.bodies) == before
            assert sorted([*before, *second.bodies]) == sorted([*(b"%d" % number for number in range(10)), *later])

    @contract()
    async def test_calls_on_closed_consumer(self, rig: Rig) -> None:
        """Pausing, resuming and closing a closed consumer has no effect."""
        provider, inbox = await rig.provider(), rig.inbox()
        consumer = await provider.subscribe(rig.binding(), inbox)
        await consumer.close()
        await consumer.close()
        await consumer.pause()
        await consumer.resume()
        await consumer.close()
        again = await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"marker"])
        await inbox.until(1)
        await provider.stop()
        await again.pause()
        await again.resume()
        await again.close()
