"""Port level: starting, stopping, restarting, and concurrent publishing."""

from __future__ import annotations

import asyncio

import pytest

from ...deadlines import within
from ...exceptions import ProviderError
from .rig import Rig
from .suite import ConformanceBase, contract


class LifecycleContract(ConformanceBase):
    """Lifecycle of a provider."""

    @contract()
    async def test_start_and_stop_idempotent(self, rig: Rig) -> None:
        """Starting and stopping are idempotent, also concurrently."""
        provider, inbox = self.make_provider("a"), rig.inbox()
        await provider.stop()
        await asyncio.gather(provider.start(), provider.start())
        await provider.start()
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"1"])
        await inbox.until(1)
        await asyncio.gather(provider.stop(), provider.stop())
        await provider.stop()

    @contract()
    async def test_restart(self, rig: Rig) -> None:
        """A stopped provider can be started again."""
        provider = await rig.provider()
        for number in range(3):
            inbox = rig.inbox()
            await provider.subscribe(rig.binding(), inbox)
            await rig.publish(provider, [b"%d" % number])
            assert await inbox.until_body(b"%d" % number) == [b"%d" % number]
            await provider.stop()
            await provider.start()

    def test_used_on_several_loops(self) -> None:
        """A provider is created without an event loop and can be used on one loop after another."""
        provider = self.make_provider("a")
        names: list[str] = []

        async def use() -> None:
            rig = Rig(self)
            names.append(rig.name)
            inbox = rig.inbox()
            await provider.start()
            await provider.subscribe(rig.binding(), inbox)
            await rig.publish(provider, [b"1"])
            await inbox.until(1)
            await provider.stop()

        try:
            asyncio.run(use())
            asyncio.run(use())
        finally:
            for name in names:
                self.clean_up(name)

    @contract()
    async def test_publish_while_stopped(self, rig: Rig) -> None:
        """Publishing with a stopped provider fails with a ProviderError, in the future and not in the call."""
        provider = self.make_provider("a")
        before = provider.publish(rig.outgoing())
        with pytest.raises(ProviderError):
            await within(before, rig.timeout)
        await provider.start()
        await provider.stop()
        after = provider.publish(rig.outgoing())
        with pytest.raises(ProviderError):
            await within(after, rig.timeout)

    @contract()
    async def test_subscribe_while_stopped(self, rig: Rig) -> None:
        """Subscribing with a stopped provider fails with a ProviderError."""
        provider = self.make_provider("a")
        with pytest.raises(ProviderError):
            await within(provider.subscribe(rig.binding(), rig.inbox()), rig.timeout)
        await provider.start()
        await provider.stop()
        with pytest.raises(ProviderError):
            await within(provider.subscribe(rig.binding(), rig.inbox()), rig.timeout)

    @contract()
    async def test_two_providers_exchange_messages(self, rig: Rig) -> None:
        """Two providers in the same process receive each other's messages."""
        provider_a, provider_b, first, second = (
            await rig.provider("a"),
            await rig.provider("b"),
            rig.inbox(),
            rig.inbox(),
        )
        await provider_a.subscribe(rig.binding(rig.address("to-a"), "to-a"), first)
        await provider_b.subscribe(rig.binding(rig.address("to-b"), "to-b"), second)
        await rig.publish(provider_a, [b"hello"], rig.address("to-b"))
        await rig.publish(provider_b, [b"hello yourself"], rig.address("to-a"))
        await first.until(1)
        await second.until(1)
        assert (first.bodies, second.bodies) == ([b"hello yourself"], [b"hello"])

    @contract()
    async def test_stop_does_not_affect_other_provider(self, rig: Rig) -> None:
        """Stopping a provider does not affect another provider."""
        provider_a, provider_b, inbox = await rig.provider("a"), await rig.provider("b"), rig.inbox()
        await provider_b.subscribe(rig.binding(), inbox)
        await provider_a.stop()
        await rig.publish(provider_b, [b"1"])
        await inbox.until(1)

    @contract()
    async def test_thousand_concurrent_publishes(self, rig: Rig) -> None:
        """A thousand concurrent publishes to several addresses are confirmed and arrive once, in order."""
        provider, inboxes = await rig.provider(), [rig.inbox() for _ in range(4)]
        addresses = [rig.address(f"many-{number}") for number in range(4)]
        for address, inbox in zip(addresses, inboxes, strict=True):
            await provider.subscribe(rig.binding(address, address[-6:]), inbox)
        futures = [provider.publish(rig.outgoing(addresses[number % 4], b"%d" % number)) for number in range(1000)]
        await within(asyncio.gather(*futures), rig.timeout)
        for start, inbox in enumerate(inboxes):
            await inbox.until(250)
            assert inbox.bodies == [b"%d" % number for number in range(start, 1000, 4)]

    @contract()
    async def test_stop_confirms_pending_publishes(self, rig: Rig) -> None:
        """Stopping waits for the confirmation of pending publishes."""
        provider, receiver, inbox = await rig.provider("a"), await rig.provider("b"), rig.inbox()
        await receiver.subscribe(rig.binding(), inbox)
        futures = [provider.publish(rig.outgoing(body=b"%d" % number)) for number in range(100)]
        await provider.stop()
        await within(asyncio.gather(*futures), rig.timeout)
        await inbox.until(100)

    @contract()
    async def test_cancelled_publish(self, rig: Rig) -> None:
        """Cancelling the future of a publish withdraws the message if it has not left, and affects no other message."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(), inbox)
        provider.publish(rig.outgoing(body=b"1")).cancel()
        await rig.publish(provider, [b"2"])
        assert await inbox.until_body(b"2") in ([b"1", b"2"], [b"2"])

    @contract()
    async def test_connection_state(self, rig: Rig) -> None:
        """The provider and the consumer report that they are connected."""
        provider, inbox = await rig.provider(), rig.inbox()
        consumer = await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"1"])
        await inbox.until(1)
        assert provider.connected
        assert consumer.attached
        assert not provider.reconnect_exhausted
        assert (provider.reconnects, provider.unconfirmed) == (0, 0)

    @contract()
    async def test_stop_leaves_no_task(self, rig: Rig) -> None:
        """Stopping leaves no asyncio task behind."""
        before = asyncio.all_tasks()
        provider, inbox = await rig.provider(), rig.inbox(ack=False)
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"1", b"2"])
        await inbox.until(2)
        await provider.stop()
        for _ in range(10):  # a cancelled task needs a turn of the loop to end
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
