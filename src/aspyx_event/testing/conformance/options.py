"""Port level: delay, time to live, priority, keys, duplicates."""

from __future__ import annotations

import asyncio
from functools import partial

from ...deadlines import within
from ...providers.base import Delivery
from .rig import Rig
from .suite import ConformanceBase, contract

#: Seconds by which the clocks of the transport and the test may differ.
TOLERANCE = 0.05


class OptionContract(ConformanceBase):
    """Options of a message."""

    @contract("delay")
    async def test_delay(self, rig: Rig) -> None:
        """A delayed message does not arrive early and does not hold up later messages."""
        provider, inbox, loop = await rig.provider(), rig.inbox(), asyncio.get_running_loop()
        await provider.subscribe(rig.binding(), inbox)
        published = loop.time()
        await rig.publish(provider, [b"delayed"], delay=1.0)
        await rig.publish(provider, [b"at once"])
        await inbox.until(1)
        overtaken = loop.time() - published
        await inbox.until(2)
        waited = loop.time() - published
        assert inbox.bodies == [b"at once", b"delayed"]
        assert overtaken < waited
        assert waited >= 1.0 - TOLERANCE, f"it arrived after {waited:.3f} s"

    @contract("delay", "durable")
    async def test_delayed_message_waits_for_consumer(self, rig: Rig) -> None:
        """A delayed message waits in the queue for a consumer."""
        provider, inbox = await rig.provider(), rig.inbox()
        await (await provider.subscribe(rig.binding(), inbox)).close()
        await rig.publish(provider, [b"delayed"], delay=0.3)
        await provider.subscribe(rig.binding(), inbox)
        await inbox.until(1)

    @contract("ttl", "durable")
    async def test_ttl(self, rig: Rig) -> None:
        """A message is not delivered after its time to live."""
        provider, inbox = await rig.provider(), rig.inbox()
        await (await provider.subscribe(rig.binding(), inbox)).close()
        await rig.publish(provider, [b"too late"], ttl=0.3)
        await rig.publish(provider, [b"in time"], ttl=300.0)
        await asyncio.sleep(0.3 + TOLERANCE)  # the passing of time is what is tested
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"marker"])
        assert await inbox.until_body(b"marker") == [b"in time", b"marker"]

    @contract("priority", "durable")
    async def test_priority(self, rig: Rig) -> None:
        """Messages with a higher priority are delivered first."""
        provider, inbox = await rig.provider(), rig.inbox()
        await (await provider.subscribe(rig.binding(), inbox)).close()
        for priority in (0, 9, None, 4, 7, 9):
            await rig.publish(provider, [b"%d" % (4 if priority is None else priority)], priority=priority)
        await provider.subscribe(rig.binding(prefetch=1), inbox)
        await inbox.until(6)
        assert inbox.bodies == [b"9", b"9", b"7", b"4", b"4", b"0"]

    @contract("ordered_keys", "competing")
    async def test_key_order(self, rig: Rig) -> None:
        """One consumer at a time has the messages of a key, in order. The keys are spread over the consumers."""
        provider_a, provider_b = await rig.provider("a"), await rig.provider("b")
        with_consumer: dict[bytes, set[str]] = {}
        log = rig.log()

        def consume(label: str, delivery: Delivery) -> None:
            key, _, number = delivery.envelope.body.partition(b"-")
            with_consumer.setdefault(key, set()).add(label)
            log.add((key, int(number), label, frozenset(with_consumer[key])))
            asyncio.get_running_loop().call_later(0.002, settle, key, label, delivery)

        def settle(key: bytes, label: str, delivery: Delivery) -> None:
            with_consumer[key].discard(label)
            delivery.ack()

        for provider, label in ((provider_a, "first"), (provider_b, "second")):
            await provider.subscribe(rig.binding(prefetch=4), partial(consume, label))
        for provider in (provider_a, provider_b):
            # A broker that knows only one consumer would assign all keys to it.
            await rig.round_trips(provider)
        # An odd number: with an even number, round-robin would send each key to one consumer by chance.
        keys = [b"%d" % number for number in range(7)]
        futures = [
            provider_a.publish(rig.outgoing(body=b"%s-%d" % (key, number), key=key.decode()))
            for number in range(15)
            for key in keys
        ]
        await within(asyncio.gather(*futures), rig.timeout)
        items = await log.until(15 * len(keys))
        for key in keys:
            assert [number for item_key, number, _, _ in items if item_key == key] == list(range(15))
        assert all(len(holders) == 1 for _, _, _, holders in items), "two consumers had messages of one key"
        assert {label for _, _, label, _ in items} == {"first", "second"}, "one consumer got all keys"

    @contract("ordered_keys")
    async def test_key_reassigned_after_close(self, rig: Rig) -> None:
        """The messages of a key go to another consumer when theirs closes."""
        if not rig.capabilities.competing:
            return
        provider, first, second = await rig.provider(), rig.inbox(ack=False), rig.inbox()
        leaving = await provider.subscribe(rig.binding(), first)
        await rig.publish(provider, [b"1", b"2", b"3"], key="k")
        await first.until(3)
        await provider.subscribe(rig.binding(), second)
        await leaving.close()
        await rig.publish(provider, [b"4"], key="k")
        await second.until(4)
        assert second.bodies == [b"1", b"2", b"3", b"4"]

    @contract("deduplicates")
    async def test_duplicate_dropped(self, rig: Rig) -> None:
        """A second message with the same id is confirmed and dropped."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"1"], dedup_id=f"{rig.name}-same")
        await rig.publish(provider, [b"1"], dedup_id=f"{rig.name}-same")
        await rig.publish(provider, [b"marker"])
        assert await inbox.until_body(b"marker") == [b"1", b"marker"]

    @contract()
    async def test_ids_per_address(self, rig: Rig) -> None:
        """The same id at two addresses is two messages: a dead letter has the id of its event."""
        provider, first, second = await rig.provider(), rig.inbox(), rig.inbox()
        await provider.subscribe(rig.binding(), first)
        await provider.subscribe(rig.binding(rig.address("other"), "other"), second)
        for address in (rig.address(), rig.address("other")):
            await rig.publish(provider, [b"1"], address, dedup_id=f"{rig.name}-same")
        await first.until(1)
        await second.until(1)
