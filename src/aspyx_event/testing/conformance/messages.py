"""Port level: content of messages, and their receivers."""

from __future__ import annotations

import asyncio

import pytest

from ...deadlines import within
from ...exceptions import NoRouteError
from ...providers.base import Delivery
from .rig import Rig
from .suite import ConformanceBase, contract

BODIES = (
    b"{}",
    b"",
    b"\x00",
    bytes(range(256)),
    b"\xff\xfe\xc3(",
    "gr\u00fc\u00dfe \U0001f600 \u65e5\u672c".encode(),
    b"\r\n\x00\r\n",
    bytes(range(256)) * 4096,
)
VALUES = {
    "empty": "",
    "plain": "value",
    "unicode": "gr\u00fc\u00dfe \U0001f600 \u65e5\u672c",
    "newline": "one\ntwo\n",
    "colon": ":a:b::",
    "backslash": "\\n \\c \\\\ \\",
    "carriage-return": "a\r\nb\r",
    "tab": "\ta\t",
    "blanks": "  blanks at both ends  ",
    "quotes": "\"'`",
    "long": "x" * 20_000,
    "json": '{"a": [1, null]}',
    "number": "007",
    "boolean": "true",
    "null": "null",
}
RESERVED = (
    "type", "id", "priority", "destination", "message-id", "timestamp", "expires", "persistent", "correlation-id",
    "reply-to", "subject", "to", "group-id", "content-length", "content-encoding", "receipt", "ack", "selector",
    "subscription", "redelivered", "version", "session", "login", "host", "server", "JMSCorrelationID", "JMSType",
    "JMSXGroupID", "JMSXDeliveryCount", "_AMQ_x", "_AMQ_DUPL_ID", "_AMQ_GROUP_ID", "__AMQ_CID", "AMQ_SCHEDULED_DELAY",
    "x-opt-delivery-delay", "NATIVE_MESSAGE_ID", "header-x", "header-type", "header-header-id", "Type", "ID", "durable",
    "ttl", "properties", "body", "x-delay", "aspyx-cause", "cloudEvents_x",
)  # fmt: skip


class MessageContract(ConformanceBase):
    """Bodies, headers, copies."""

    @contract()
    async def test_body_unchanged(self, rig: Rig) -> None:
        """A body arrives unchanged: all byte values, an empty body, a megabyte."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, BODIES)
        await inbox.until(len(BODIES))
        for sent, received in zip(BODIES, inbox.bodies, strict=True):
            assert type(received) is bytes
            assert received == sent, f"{sent[:40]!r} of {len(sent)} bytes arrived as {received[:40]!r}"

    @contract("headers")
    async def test_header_values_unchanged(self, rig: Rig) -> None:
        """Header values arrive unchanged: Unicode, line breaks, separators, surrounding blanks, empty values."""
        assert await self._received(rig, VALUES) == VALUES

    @contract("headers")
    async def test_header_names_unchanged(self, rig: Rig) -> None:
        """Header names arrive unchanged, also names and characters with a meaning for a broker or a protocol."""
        names = (
            *RESERVED,
            "with blank",
            "a:b",
            "back\\slash",
            "new\nline",
            "umlaut-\u00e4",
            "dot.ted",
            "UPPER",
            "upper",
        )
        sent = {name: f"value of {name}" for name in names}
        assert await self._received(rig, sent) == sent

    @contract("headers")
    async def test_content_type_unchanged(self, rig: Rig) -> None:
        """The content type arrives unchanged."""
        sent = {"content-type": "application/json; charset=utf-8"}
        assert await self._received(rig, sent) == sent

    @contract("headers")
    async def test_no_headers_added(self, rig: Rig) -> None:
        """The transport adds no headers of its own."""
        assert await self._received(rig, {}) == {}

    @contract()
    async def test_publish_does_not_change_message(self, rig: Rig) -> None:
        """Publishing does not change the message object."""
        provider, message = await rig.provider(), rig.outgoing(headers={"a": "b", "type": "c"})
        await provider.publish(message)
        assert (message.envelope.headers, message.envelope.body) == ({"a": "b", "type": "c"}, b"{}")

    @contract("competing")
    async def test_one_copy_per_queue(self, rig: Rig) -> None:
        """Each queue of an address receives one copy of each message, and no other address receives any."""
        provider = await rig.provider()
        inboxes = [rig.inbox() for _ in range(3)]
        for number, inbox in enumerate(inboxes):
            await provider.subscribe(rig.binding(queue=f"queue-{number}"), inbox)
        other = rig.inbox()
        await provider.subscribe(rig.binding(rig.address("other"), "other"), other)
        bodies = [b"%d" % number for number in range(20)]
        await rig.publish(provider, bodies)
        await rig.publish(provider, [b"marker"], rig.address("other"))
        for inbox in inboxes:
            await inbox.until(20)
            assert inbox.bodies == bodies
        await other.until(1)
        assert other.bodies == [b"marker"], "a message reached another address"

    @contract("competing", "headers")
    async def test_consumer_owns_its_copy(self, rig: Rig) -> None:
        """Changes that a consumer makes to its envelope reach neither another queue nor a redelivery."""
        provider, other, seen = await rig.provider(), rig.inbox(), rig.log()

        def change(delivery: Delivery) -> None:
            seen.add(dict(delivery.envelope.headers))
            delivery.envelope.headers["a"] = "changed"
            delivery.envelope.body = b"changed"
            delivery.release() if len(seen.items) == 1 else delivery.ack()

        await provider.subscribe(rig.binding(queue="first"), change)
        await provider.subscribe(rig.binding(queue="second"), other)
        await rig.publish(provider, [b"body"], headers={"a": "b"})
        assert await seen.until(2) == [{"a": "b"}, {"a": "b"}]
        [received] = await other.until(1)
        assert (received.envelope.headers, received.envelope.body) == ({"a": "b"}, b"body")

    @contract()
    async def test_queue_order(self, rig: Rig) -> None:
        """A single consumer receives the messages of a queue in order."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(prefetch=7), inbox)
        bodies = [b"%d" % number for number in range(200)]
        await rig.publish(provider, bodies)
        await inbox.until(200)
        assert inbox.bodies == bodies

    @contract("competing")
    async def test_consumers_share_queue(self, rig: Rig) -> None:
        """Each message goes to one consumer of the queue, and each consumer gets some, on one connection and on two."""
        provider_a, provider_b = await rig.provider("a"), await rig.provider("b")
        for binding in rig.shared_bindings(prefetch=1):
            total = rig.log()
            inboxes = [rig.inbox(ack=False, total=total) for _ in range(3)]
            for provider, inbox in zip((provider_a, provider_a, provider_b), inboxes, strict=True):
                await provider.subscribe(binding, inbox)
            bodies = [b"%02d" % number for number in range(60)]
            await rig.publish(provider_a, bodies, binding.address)
            for inbox in inboxes:
                # Nothing is settled yet, so a prefetch of one leaves a message for each consumer.
                await inbox.until(1)
            for inbox in inboxes:
                inbox.settle_all()
            await total.until(60)
            assert sorted(body for inbox in inboxes for body in inbox.bodies) == bodies

    @contract()
    async def test_publish_without_queue_confirmed(self, rig: Rig) -> None:
        """A message for an address without a queue is confirmed."""
        provider = await rig.provider()
        await rig.publish(provider, [b"nobody takes it"], rig.address("nobody"))

    @contract("require_route")
    async def test_require_route_without_queue(self, rig: Rig) -> None:
        """A message that requires a route fails if no queue receives it."""
        provider, inbox = await rig.provider(), rig.inbox()
        with pytest.raises(NoRouteError):
            await within(provider.publish(rig.outgoing(require_route=True)), rig.timeout)
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"somebody takes it"], require_route=True)
        await inbox.until(1)

    @contract("require_route")
    async def test_require_route_keeps_order(self, rig: Rig) -> None:
        """Messages that require a route keep their order, however the transport checks the route."""
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(), inbox)
        bodies = [b"%d" % number for number in range(200)]
        futures = [provider.publish(rig.outgoing(body=body, require_route=True)) for body in bodies]
        await within(asyncio.gather(*futures), rig.timeout)
        await inbox.until(200)
        assert inbox.bodies == bodies

    async def _received(self, rig: Rig, headers: dict[str, str]) -> dict[str, str]:
        provider, inbox = await rig.provider(), rig.inbox()
        await provider.subscribe(rig.binding(), inbox)
        await rig.publish(provider, [b"{}"], headers=headers)
        [delivery] = await inbox.until(1)
        return delivery.envelope.headers
