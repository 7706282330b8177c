"""Manager level: failing listeners, retries, dead letters."""

from __future__ import annotations

import asyncio
from typing import Any

from ...context import EventContext
from ...engine.failure import republish
from ...exceptions import DecodeError
from ...policies import AckPolicy, Retry
from .rig import Rig
from .suite import ConformanceBase, contract

AT_ONCE = Retry(attempts=3, delay=0.0, jitter=0.0)


class Refused(Exception):
    """Raised by the failing listeners of the tests."""


class FailingHandler:
    """A handler that fails for some events.

    Args:
        log: Receives (number, attempt, redelivered) of each call.
        failures: How often it fails, by the number of the event.
    """

    def __init__(self, log: Any, failures: dict[int, int]) -> None:
        self._log, self._remaining = log, dict(failures)

    async def __call__(self, event: Any, context: EventContext) -> None:
        self._log.add((event.number, context.attempt, context.redelivered))
        remaining = self._remaining.get(event.number, 0)
        if remaining:
            self._remaining[event.number] = remaining - 1
            raise Refused(f"number {event.number} is refused")


class FailureContract(ConformanceBase):
    """Events whose handlers fail."""

    @contract("competing", "durable")
    async def test_failure_does_not_affect_others(self, rig: Rig) -> None:
        """A failing listener does not affect other listeners."""
        manager, order, failing = await rig.manager(), rig.event(), rig.log()
        good = [rig.calls(), rig.calls()]
        await manager.subscribe(order, good[0], name=f"{rig.name}.first")
        await manager.subscribe(order, FailingHandler(failing, {1: 9, 2: 9, 3: 9}), name=f"{rig.name}.failing")
        await manager.subscribe(order, good[1], name=f"{rig.name}.last")
        for number in (1, 2, 3):
            await manager.send_event(order(number))
        for calls in good:
            await calls.until(3)
            assert calls.numbers == [1, 2, 3]
        assert [number for number, _, _ in await failing.until(3)] == [1, 2, 3]

    @contract("competing", "durable")
    async def test_retry_in_place(self, rig: Rig) -> None:
        """A failed event is retried at its place in the queue; later events wait."""
        manager, order, log = await rig.manager(), rig.event(), rig.log()
        await manager.subscribe(order, FailingHandler(log, {1: 2, 2: 1}), name=f"{rig.name}.listener", retry=AT_ONCE)
        for number in (1, 2, 3):
            await manager.send_event(order(number))
        attempts = [(number, attempt) for number, attempt, _ in await log.until(6)]
        assert attempts == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]
        assert not any(redelivered for _, _, redelivered in log.items)

    @contract("competing", "durable", "headers")
    async def test_dead_letter_after_last_attempt(self, rig: Rig) -> None:
        """After the last attempt, the event becomes a dead letter with body, headers and cause. The next event is handled."""
        manager, order, log = await rig.manager(), rig.event(), rig.log()
        name = f"{rig.name}.listener"
        dead = await rig.dead_letters(order, name)
        await manager.subscribe(order, FailingHandler(log, {1: 99}), name=name, retry=AT_ONCE)
        receipt = manager.send_event(order(1, "gr\u00fc\u00dfe"), headers={"tenant": " a:b\n"})
        await receipt
        await manager.send_event(order(2))
        [letter] = await dead.until(1)
        headers = letter.envelope.headers
        assert letter.envelope.body == '{"number":1,"text":"gr\u00fc\u00dfe"}'.encode()
        assert letter.envelope.id == receipt.id
        assert headers["tenant"] == " a:b\n"
        assert headers[republish.ATTEMPTS] == "3"
        assert headers[republish.CAUSE_TYPE].endswith("Refused")
        assert headers[republish.CAUSE_MESSAGE] == "number 1 is refused"
        assert "Refused" in headers[republish.CAUSE_TRACEBACK]
        assert headers[republish.ORIGINAL_ADDRESS] == rig.address()
        assert headers[republish.SUBSCRIPTION] == name
        attempts = [(number, attempt) for number, attempt, _ in await log.until(4)]
        assert attempts == [(1, 1), (1, 2), (1, 3), (2, 1)]

    @contract("competing", "durable", "headers", "delay")
    async def test_delayed_retry(self, rig: Rig) -> None:
        """A delayed retry goes only to the listener that failed, and later events overtake it."""
        manager, order, log, other = await rig.manager(), rig.event(), rig.log(), rig.calls()
        name = f"{rig.name}.listener"
        later = Retry(attempts=3, delay=0.3, backoff="fixed", jitter=0, mode="delayed")
        await manager.subscribe(order, FailingHandler(log, {1: 2}), name=name, retry=later)
        await manager.subscribe(order, other, name=f"{rig.name}.other")
        for number in (1, 2):
            await manager.send_event(order(number))
        attempts = [(number, attempt) for number, attempt, _ in await log.until(4)]
        assert attempts == [(1, 1), (2, 1), (1, 2), (1, 3)]
        await manager.send_event(order(3))
        await other.until(3)
        assert other.numbers == [1, 2, 3]

    @contract("competing", "durable", "headers")
    async def test_replay(self, rig: Rig) -> None:
        """A replay sends a dead letter back to the listener that failed, and to no other."""
        manager, order, log, other = await rig.manager(), rig.event(), rig.log(), rig.calls()
        name = f"{rig.name}.listener"
        failing = FailingHandler(log, {1: 1, 2: 1})
        await manager.subscribe(order, failing, name=name)
        await manager.subscribe(order, other, name=f"{rig.name}.other")
        receipts = [manager.send_event(order(number)) for number in (1, 2)]
        for receipt in receipts:
            await receipt
        await log.until(2)
        letters = await manager.dead_letters.list(name)
        while len(letters) < 2:  # the time limit of the test ends the loop
            letters = await manager.dead_letters.list(name)
        assert [letter.event_id for letter in letters] == [receipt.id for receipt in receipts]
        assert await manager.dead_letters.replay(letters[0].id) == 1
        assert [(number, attempt) for number, attempt, _ in (await log.until(3))[2:]] == [(1, 1)]
        assert [letter.id for letter in await manager.dead_letters.list(name)] == [letters[1].id]
        assert await manager.dead_letters.purge() == 1
        await manager.send_event(order(3))
        await other.until(3)
        assert other.numbers == [1, 2, 3]

    @contract("competing", "durable", "headers")
    async def test_undecodable_message(self, rig: Rig) -> None:
        """An undecodable message becomes a dead letter without a retry, unchanged; later messages are handled."""
        manager, order, calls = await rig.manager(), rig.event(), rig.calls()
        name, raw = f"{rig.name}.listener", await rig.provider("raw")
        dead = await rig.dead_letters(order, name)
        await manager.subscribe(order, calls, name=name, retry=AT_ONCE)
        bodies = [b"no json \xff\x00", b"", b'{"number": "seven"}', b"[]", bytes(range(256))]
        for body in bodies:
            await rig.publish(raw, [body], headers={"type": "foreign", "a": "b\n"})
        await manager.send_event(order(1))
        letters = await dead.until(len(bodies))
        for body, letter in zip(bodies, letters, strict=True):
            headers = letter.envelope.headers
            assert letter.envelope.body == body
            assert (headers["type"], headers["a"]) == ("foreign", "b\n")
            assert headers[republish.CAUSE_TYPE] == f"{DecodeError.__module__}.DecodeError"
            assert headers[republish.ATTEMPTS] == "1"
        await calls.until(1)

    @contract("competing", "durable")
    async def test_dead_letters_are_kept(self, rig: Rig) -> None:
        """Dead letters are kept while nothing consumes them."""
        order, log, name = rig.event(), rig.log(), f"{rig.name}.listener"
        manager = await rig.manager()
        await manager.subscribe(order, FailingHandler(log, {1: 99}), name=name)
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await log.until(2)
        await manager.stop()
        dead = await rig.dead_letters(order, name)
        await dead.until(1)

    @contract("competing", "durable", "headers")
    async def test_dead_letters_of_group(self, rig: Rig) -> None:
        """The dead letters of a group share a queue, under the name of the group."""
        order, log, name = rig.event(), rig.log(), f"{rig.name}.listener"
        manager, group = await rig.manager(), f"{rig.name}.group"
        dead = await rig.dead_letters(order, group)
        await manager.subscribe(order, FailingHandler(log, {1: 99}), name=name, group=group)
        await manager.send_event(order(1))
        [letter] = await dead.until(1)
        assert letter.envelope.headers[republish.SUBSCRIPTION] == group

    @contract("competing", "durable")
    async def test_drop_without_dead_letter(self, rig: Rig) -> None:
        """With `dead_letter=False` an event is dropped after the last attempt."""
        manager, order, log, name = await rig.manager(), rig.event(), rig.log(), f"{rig.name}.listener"
        dead = await rig.dead_letters(order, name)
        drop = Retry(attempts=2, delay=0.0, dead_letter=False)
        subscription = await manager.subscribe(order, FailingHandler(log, {1: 99}), name=name, retry=drop)
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await log.until(3)
        await subscription.cancel()
        await manager.subscribe(order, FailingHandler(log, {3: 99}), name=name)
        await manager.send_event(order(3))
        [letter] = await dead.until(1)
        assert letter.envelope.body == b'{"number":3,"text":""}'
        assert [number for number, _, _ in log.items] == [1, 1, 2, 3]

    @contract("competing", "durable")
    async def test_ack_before_handler(self, rig: Rig) -> None:
        """`AckPolicy.BEFORE` acknowledges an event before the handler runs: it is not redelivered after a stop."""
        order, log, second = rig.event(), rig.log(), rig.calls()
        manager_a = await rig.manager("a", stop_timeout=0.0)

        async def hang(event: Any) -> None:
            log.add(event.number)
            await asyncio.Event().wait()

        await manager_a.subscribe(order, hang, name=f"{rig.name}.listener", ack=AckPolicy.BEFORE, prefetch=1)
        await manager_a.send_event(order(1))
        await log.until(1)
        await manager_a.stop()
        manager_b = await rig.manager("b")
        await manager_b.subscribe(order, second, name=f"{rig.name}.listener")
        await manager_b.send_event(order(2))
        assert await second.until_number(2) == [2]
