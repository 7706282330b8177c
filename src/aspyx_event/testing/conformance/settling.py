"""Port level: what becomes of a delivery, and how a consumer pauses and leaves."""

from __future__ import annotations

from .rig import Rig
from .suite import ConformanceBase, contract


class SettlingContract(ConformanceBase):
    """Acknowledge, release, hold, pause, close."""

    @contract("competing")
    async def test_what_is_acknowledged_is_gone(self, rig: Rig) -> None:
        """Also for a consumer that comes later."""
        provider = await rig.provider()
        for binding in rig.shared_bindings():
            first, second = rig.inbox(), rig.inbox()
            consumer = await provider.subscribe(binding, first)
            await rig.publish(provider, [b"1", b"2"], binding.address)
            await first.until(2)
            keeper = await provider.subscribe(binding, second)
            await consumer.close()
            await rig.publish(provider, [b"marker"], binding.address)
            assert await second.until_body(b"marker") == [b"marker"]
            await keeper.close()

    @contract()
    async def test_what_is_released_comes_again_and_says_so(self, rig: Rig) -> None:
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
    async def test_what_is_released_reaches_another_consumer_when_this_one_closes(self, rig: Rig) -> None:
        provider, first, second = await rig.provider(), rig.inbox(ack=False), rig.inbox()
        consumer = await provider.subscribe(rig.binding(), first)
        await rig.publish(provider, [b"1"])
        await first.until(1)
        await provider.subscribe(rig.binding(), second)
        first.items[0].release()
        await consumer.close()
        await second.until_body(b"1")

    @contract("durable")
    async def test_what_is_unsettled_when_a_consumer_closes_comes_again_in_order(self, rig: Rig) -> None:
        provider, first, second = await rig.provider(), rig.inbox(ack=False), rig.inbox()
        consumer = await provider.subscribe(rig.binding(prefetch=3), first)
        await rig.publish(provider, [b"1", b"2", b"3", b"4", b"5"])
        await first.until(3)
        await consumer.close()
        await provider.subscribe(rig.binding(), second)
        await second.until(5)
        assert second.bodies == [b"1", b"2", b"3", b"4", b"5"]

    @contract("durable")
    async def test_what_is_unsettled_when_a_provider_stops_comes_again(self, rig: Rig) -> None:
        one, two = await rig.provider("one"), await rig.provider("two")
        first, second = rig.inbox(ack=False), rig.inbox()
        await one.subscribe(rig.binding(prefetch=2), first)
        await rig.publish(two, [b"1", b"2", b"3"])
        await first.until(2)
        first.items[0].ack()
        await rig.round_trips(one, 1)
        await one.stop()
        await two.subscribe(rig.binding(), second)
        assert await second.until_body(b"3") == [b"2", b"3"]

    @contract("durable")
    async def test_the_first_settlement_counts(self, rig: Rig) -> None:
        """Settling a second time, or after the consumer closed or the provider stopped, is harmless."""
        one, two = await rig.provider("one"), await rig.provider("two")
        first, second = rig.inbox(ack=False), rig.inbox()
        consumer = await one.subscribe(rig.binding(prefetch=3), first)
        await rig.publish(two, [b"1", b"2", b"3"])
        acknowledged, late, later = await first.until(3)
        acknowledged.ack()
        acknowledged.ack()
        acknowledged.release()
        await consumer.close()
        late.ack()
        late.release()
        await one.stop()
        later.release()
        later.ack()
        await two.subscribe(rig.binding(), second)
        await rig.publish(two, [b"marker"])
        assert await second.until_body(b"marker") == [b"2", b"3", b"marker"]

    @contract()
    async def test_prefetch_bounds_what_is_unsettled(self, rig: Rig) -> None:
        provider, inbox = await rig.provider(), rig.inbox(ack=False)
        await provider.subscribe(rig.binding(prefetch=3), inbox)
        await rig.publish(provider, [b"%d" % number for number in range(20)])
        for settled in range(4):
            await inbox.until(3 + settled)
            await rig.round_trips(provider)
            assert len(inbox.items) == 3 + settled, "more was handed over than may be unsettled"
            inbox.items[settled].ack()
        inbox.settle_all()
        await inbox.until(20)
        assert inbox.bodies == [b"%d" % number for number in range(20)]

    @contract()
    async def test_a_prefetch_of_one_goes_on_to_the_end(self, rig: Rig) -> None:
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(prefetch=1), inbox)
        await rig.publish(provider, [b"%d" % number for number in range(50)])
        await inbox.until(50)

    @contract("competing")
    async def test_a_paused_consumer_leaves_the_rest_to_another(self, rig: Rig) -> None:
        """What it holds stays its own and can be settled; once that is done, others have got all the rest."""
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
    async def test_a_resumed_consumer_takes_part_again(self, rig: Rig) -> None:
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
    async def test_a_paused_consumer_that_is_alone_misses_nothing(self, rig: Rig) -> None:
        """Its queue stays, of whatever kind it is, and hands over what came meanwhile, in order."""
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
            assert inbox.bodies == [b"0"], f"a paused consumer of {binding} was given more"
            await consumer.resume()
            await inbox.until(4)
            assert inbox.bodies == [b"0", b"1", b"2", b"3"]

    @contract("competing")
    async def test_a_closed_consumer_gets_nothing_more(self, rig: Rig) -> None:
        """The other one gets all; nothing goes to a consumer that only looks closed."""
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
    async def test_a_closed_consumer_takes_no_harm(self, rig: Rig) -> None:
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
