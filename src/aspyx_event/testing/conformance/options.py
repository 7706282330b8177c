"""Port level: delay, time to live, priority, keys, duplicates."""

from __future__ import annotations

import asyncio
from functools import partial

from ...deadlines import within
from ...providers.base import Delivery
from .rig import Rig
from .suite import ConformanceBase, contract

#: Seconds by which clocks of transport and test may differ in what they call the same moment.
TOLERANCE = 0.05


class OptionContract(ConformanceBase):
    """What a message may ask for."""

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
        assert waited >= 1.0 - TOLERANCE, f"it came after {waited:.3f} s"

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
        await asyncio.sleep(0.3 + TOLERANCE)  # the time itself is what is tested
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
        one, two = await rig.provider("one"), await rig.provider("two")
        under_way: dict[bytes, set[str]] = {}
        log = rig.log()

        def consume(who: str, delivery: Delivery) -> None:
            key, _, number = delivery.envelope.body.partition(b"-")
            under_way.setdefault(key, set()).add(who)
            log.add((key, int(number), who, frozenset(under_way[key])))
            asyncio.get_running_loop().call_later(0.002, settle, key, who, delivery)

        def settle(key: bytes, who: str, delivery: Delivery) -> None:
            under_way[key].discard(who)
            delivery.ack()

        for provider, who in ((one, "first"), (two, "second")):
            await provider.subscribe(rig.binding(prefetch=4), partial(consume, who))
        for provider in (one, two):
            # A broker that had heard of one consumer only would bind all keys to it.
            await rig.round_trips(provider)
        # An odd number, or turn and turn about would bring each key to one consumer by chance.
        keys = [b"%d" % number for number in range(7)]
        futures = [
            one.publish(rig.outgoing(body=b"%s-%d" % (key, number), key=key.decode()))
            for number in range(15)
            for key in keys
        ]
        await within(asyncio.gather(*futures), rig.patience)
        items = await log.until(15 * len(keys))
        for key in keys:
            assert [number for found, number, _, _ in items if found == key] == list(range(15))
        assert all(len(at_work) == 1 for _, _, _, at_work in items), "two consumers had messages of one key"
        assert {who for _, _, who, _ in items} == {"first", "second"}, "one consumer got all keys"

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
