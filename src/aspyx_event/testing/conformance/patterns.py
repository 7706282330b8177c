"""Port level: queues that are bound to a pattern of addresses, and unnamed queues with a selector."""

from __future__ import annotations

from .rig import Rig
from .suite import ConformanceBase, contract


class PatternContract(ConformanceBase):
    """A queue for many addresses."""

    @contract("patterns", "competing")
    async def test_wildcards(self, rig: Rig) -> None:
        """`*` matches one word, `#` any number of words."""
        provider, star, rest = await rig.provider(), rig.inbox(), rig.inbox()
        await provider.subscribe(rig.binding(rig.address("*"), "star"), star)
        await provider.subscribe(rig.binding(rig.address("#"), "rest"), rest)
        await rig.publish(provider, [b"none"], rig.name)
        await rig.publish(provider, [b"short"], rig.address("order"))
        await rig.publish(provider, [b"long"], rig.address("order.placed"))
        await rig.publish(provider, [b"end"], rig.address("end"))
        await star.until(2)
        await rest.until(4)
        assert sorted(star.bodies) == [b"end", b"short"]
        assert sorted(rest.bodies) == [b"end", b"long", b"none", b"short"]

    @contract("patterns", "durable")
    async def test_durable_pattern_queue_keeps_messages(self, rig: Rig) -> None:
        """A durable queue of a pattern keeps messages while it has no consumer."""
        provider, inbox = await rig.provider(), rig.inbox()
        binding = rig.binding(rig.address("*"), "durable")
        consumer = await provider.subscribe(binding, rig.inbox())
        await consumer.close()
        await rig.publish(provider, [b"1"], rig.address("a"))
        await rig.publish(provider, [b"2"], rig.address("b"))
        await provider.subscribe(binding, inbox)
        await inbox.until(2)
        assert inbox.bodies == [b"1", b"2"]

    @contract("patterns", "competing")
    async def test_message_for_one_pattern_queue(self, rig: Rig) -> None:
        """A message for one queue of a pattern reaches only that queue."""
        provider, target, other = await rig.provider(), rig.inbox(), rig.inbox()
        binding = rig.binding(rig.address("*"), "target")
        await provider.subscribe(binding, target)
        await provider.subscribe(rig.binding(rig.address("*"), "other"), other)
        await provider.publish(rig.outgoing(rig.address("*"), b"again", only=binding))
        await target.until(1)
        await rig.publish(provider, [b"all"], rig.address("a"))
        await other.until(1)
        assert other.bodies == [b"all"]
        assert target.bodies[0] == b"again"

    @contract("patterns", "require_route", "competing")
    async def test_pattern_queue_is_a_route(self, rig: Rig) -> None:
        """A queue of a pattern satisfies `require_route`."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(rig.address("*"), "route"), inbox)
        await rig.publish(provider, [b"first"], rig.address("a"))
        await rig.publish(provider, [b"routed"], rig.address("a"), require_route=True)
        await inbox.until(2)

    @contract("patterns", "per_process")
    async def test_unnamed_pattern_queue(self, rig: Rig) -> None:
        """A queue without a name may be bound to a pattern."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(rig.address("*"), None), inbox)
        await rig.publish(provider, [b"1"], rig.address("a"), durable=False)
        await rig.publish(provider, [b"2"], rig.address("b"), durable=False)
        await inbox.until(2)

    @contract("patterns", "competing")
    async def test_volatile_pattern_queue(self, rig: Rig) -> None:
        """A volatile queue may be bound to a pattern and shared by providers."""
        provider_a, provider_b, first, second = (
            await rig.provider("a"),
            await rig.provider("b"),
            rig.inbox(),
            rig.inbox(),
        )
        binding = rig.binding(rig.address("*"), "shared", durable=False)
        leaving = await provider_a.subscribe(binding, first)
        await provider_b.subscribe(binding, second)
        await leaving.close()
        await rig.publish(provider_a, [b"1"], rig.address("a"), durable=False)
        await second.until(1)
        assert first.bodies == []

    @contract("per_process")
    async def test_selector(self, rig: Rig) -> None:
        """With a selector, matching messages arrive; others may arrive too, because the engine filters them again."""
        provider, inbox = await rig.provider(), rig.inbox()
        selector = (("tenant-id", ("o'hara", "b")), ("kind", ("x",)))
        await provider.subscribe(rig.binding(queue=None, selector=selector), inbox)
        for number, headers in enumerate(
            ({"tenant-id": "o'hara", "kind": "x"}, {"tenant-id": "c", "kind": "x"}, {"tenant-id": "b", "kind": "x"})
        ):
            await provider.publish(rig.outgoing(body=b"%d" % number, headers=headers, durable=False))
        bodies = await inbox.until_body(b"2")
        assert [body for body in bodies if body != b"1"] == [b"0", b"2"]
