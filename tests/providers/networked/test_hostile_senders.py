"""A sender that writes whatever it likes, over a real broker and both protocols: nothing fails open, nothing goes on for ever.

Each test takes a sample, seeded by `ASPYX_FUZZ_SEED`; `ASPYX_FUZZ_SECONDS=60` or more tries all cases.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from dataclasses import dataclass

import pytest
from support_hostile_senders import (
    AMQPSender,
    StompSender,
    amqp,
    stomp,
    table,
)

from aspyx_event import EventManager, Retry, RetryMode, event
from aspyx_event.cloudevents import CloudEvent
from aspyx_event.exceptions import EventException

SECONDS = float(os.environ.get("ASPYX_FUZZ_SECONDS", "8"))
SEED = int(os.environ.get("ASPYX_FUZZ_SEED", "12"))
ATTEMPTS = 2
#: Properties that Artemis makes the content type of an AMQP message. If one is not ASCII, the conversion fails, and Artemis
#: moves the message of a STOMP sender to its own dead-letter address before any consumer of AMQP sees it.
UNCONVERTIBLE = ("JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE")
#: By what Artemis drops a second message of a sender.
DUPLICATE = "_AMQ_DUPL_ID"
#: Seconds from which on every case is tried, and not only a sample.
LONG = 60.0

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300 + 3 * SECONDS)]


def is_convertible(headers):
    return all(str(headers.get(name, "")).isascii() for name in UNCONVERTIBLE)


class RefusedError(Exception):
    """Raised by the handlers of these tests."""


class Watch(logging.Handler):
    """Collects log records about errors that are not typed, without keeping the others."""

    def __init__(self) -> None:
        super().__init__()
        self.untyped: list[str] = []

    def emit(self, record):
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, (EventException, RefusedError)):
            self.untyped.append(f"{record.getMessage()}: {error!r}"[:500])
        if not record.getMessage().isprintable():
            self.untyped.append(f"not printable: {record.getMessage()!a}"[:500])


class Shop:
    """Two listeners of one event that a hostile sender writes to: a chain with an authorisation, and one without a class.

    Both fail for every event, so that each becomes a retry and a dead letter.
    """

    def __init__(self, manager, other, name, management, until):
        """*other* is a manager that does not know the class."""
        self.manager, self.other, self.name, self._management, self._until = manager, other, name, management, until
        self.calls, self.wrong, self.sound = 0, [], 0

    async def open(self):
        @event(self.name, durable=True)
        @dataclass
        class Order:
            number: int

        self.order = Order
        retry = Retry(attempts=ATTEMPTS, mode=RetryMode.DELAYED, delay=0.05)
        self.queues = [f"{self.name}.check", f"{self.name}.free"]
        subscribe = self.manager.subscribe
        await subscribe(Order, self.check, name=f"{self.name}.check", retry=retry)
        await subscribe(Order, self.pay, name=f"{self.name}.pay", requires=f"{self.name}.check", retry=retry)
        await self.other.subscribe(self.name, self.free, name=f"{self.name}.free", retry=retry)

    async def check(self, event, context):
        context.shared.test.checked = context.event_id

    async def pay(self, event, context):
        if getattr(context.shared.test, "checked", None) != context.event_id:
            self.wrong.append(f"not checked: {context.headers}")
        self._handle(event.number, context)

    async def free(self, event: CloudEvent, context):
        self._handle(event.data["number"] if isinstance(event.data, dict) and "number" in event.data else 0, context)

    def _handle(self, number, context):
        names = [name for name in context.headers if name.startswith("aspyx-") and name != "aspyx-free-form"]
        # What the framework writes on the copy for the second attempt.
        if (context.attempt == 1 and names) or context.attempt > ATTEMPTS:
            self.wrong.append(f"attempt {context.attempt}: {names}")
        if number == 4711:
            self.sound += 1
            return
        self.calls += 1
        raise RefusedError

    async def settle(self, sent):
        """Wait until nothing is under way; check what the batch of *sent* messages has become. Return the letters."""
        calls = self.calls
        await self.manager.send_event(self.order(4711))
        await self._until(lambda: self.sound == 2)
        self.sound = 0
        await self._until(lambda: not any(self._management.messages(queue) for queue in self.queues), timeout=120)
        letters = [
            letter for manager in (self.manager, self.other) for letter in await manager.dead_letters.list(limit=9_000)
        ]
        assert self.calls - calls <= 2 * ATTEMPTS * sent
        assert len(letters) <= 2 * sent
        assert all(letter.attempts in (1, ATTEMPTS) for letter in letters)
        purged = [await manager.dead_letters.purge() for manager in (self.manager, self.other)]
        assert sum(purged) == len(letters)
        assert not self.wrong
        return letters


@pytest.fixture(params=["10", "-1"], ids=["broker_limit_10", "no_broker_limit"])
def address(request, management, unique):
    """The address of the test, with the broker's limit; nothing may reach the broker's own dead-letter address."""
    settings = {"maxDeliveryAttempts": int(request.param), "deadLetterAddress": f"{unique}.dlq"}
    management.op("broker", "addAddressSettings", f"{unique}.#", json.dumps(settings))
    management.create_queue(f"{unique}.dlq")
    yield f"{unique}.order"
    management.op("broker", "removeAddressSettings", f"{unique}.#")
    management.destroy_queues(unique)


@pytest.fixture
async def shop(make, broker, address, unique, management, until):
    """Open listeners; at the end, nothing untyped was raised or logged, and the connection was never lost."""
    watch, logger, loop_errors = Watch(), logging.getLogger("aspyx"), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loop_errors.append(context))
    logger.addHandler(watch)
    propagate, logger.propagate = logger.propagate, False
    providers = [make(broker, server_name=f"{unique}-{number}") for number in (1, 2)]
    try:
        async with EventManager(providers[0]) as manager, EventManager(providers[1]) as other:
            opened = Shop(manager, other, address, management, until)
            await opened.open()
            yield opened
            assert [provider.reconnects for provider in providers] == [0, 0]
            for health in (await manager.health(), await other.health()):
                assert health.live
                assert health.ready
            dropped = json.loads(management.op(f"queue.{unique}.dlq", "listMessagesAsJSON", ""))
            assert [message for message in dropped if is_convertible(message)] == []
        assert watch.untyped == []
        assert loop_errors == []
    finally:
        logger.removeHandler(watch)
        logger.propagate = propagate


async def test_every_forged_header_is_an_ordinary_event(shop, broker, address):
    """Each header that is read x each hostile value, over both protocols: one retry, one dead letter, nothing believed."""
    cases = list(table(address))
    if SECONDS < LONG:
        cases = random.Random(SEED).sample(cases, 300)
    # A broker drops the second dead letter of an event with the same id and body, so every body is another one.
    first, second = (
        [b'{"number": %d}' % (number + 5000) for number in range(base, base + len(cases))] for base in (0, 5000)
    )
    json_type = ("content-type", "application/json")
    for sender, batch in (
        (AMQPSender(broker, address), [amqp(of, body) for (_, of), body in zip(cases, first, strict=True)]),
        (
            StompSender(broker),
            [stomp(address, [json_type, *of.items()], body) for (_, of), body in zip(cases, second, strict=True)],
        ),
    ):
        accepted = await asyncio.to_thread(sender.send, batch)
        sender.close()
        assert sum(accepted) > 0.9 * len(batch)
        letters = await shop.settle(len(batch))
        expected = {
            case
            for (case, of), taken in zip(cases, accepted, strict=True)
            if taken and DUPLICATE not in of and is_convertible(of)
        }
        for names in ((f"{address}.pay", f"{address}.check"), (f"{address}.free",)):
            of = {letter.headers.get("case") for letter in letters if letter.subscription in names}
            missing = sorted(expected - of)
            assert not missing, (type(sender).__name__, names, len(missing), len(of), len(expected), missing[:40])
