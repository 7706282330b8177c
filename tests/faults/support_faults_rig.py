"""Runs producers and consumers as processes against a broker that is maltreated, and settles the account at the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from pathlib import Path

import pytest
from support_faults_account import Account, DeadLetter
from support_faults_figures import Figures
from support_faults_plan import Endpoint, Listening, Plan
from support_faults_process import DEADLINE, Program, in_thread
from support_faults_proxy import Proxy

from aspyx_event.engine.failure.republish import dead_letter_address
from aspyx_event.providers.base import AddressKind, Binding
from aspyx_event.testing import ArtemisBroker, BrokerDataUnreadable, Management, ManagementError

#: What Artemis logs when it was slow to close a connection. Over STOMP, it keeps so long what it had delivered over it,
#: and the keys of that; and it routes so late a message whose SEND crossed the closing, although it confirms that message
#: meanwhile when it is sent again.
SLOW_CLOSE = b"AMQ212041"
#: Seconds after which nobody is going to take what is left in a queue that has a consumer.
STUCK = 4.0


class BrokerLossError(Exception):
    """The broker itself has lost what it had: nothing can be said of the framework, and the test is to be repeated."""


class Rig(Account):
    """One test's processes and proxies.

    Attributes:
        random: Seeded; every choice of a test is made with it.
    """

    def __init__(
        self, broker: ArtemisBroker, management: Management, event: str, folder: Path, figures: Figures
    ) -> None:
        super().__init__(event, folder, figures)
        self.broker, self.management = broker, management
        self.provider, self.seed = figures.provider, figures.seed
        self.random = random.Random(figures.seed)
        #: A bug for all processes but the one that drains, and how long to wait for what it may prevent.
        self.sabotage, self.deadline = "", DEADLINE
        #: Resident bytes of the consumers, before they were ended.
        self.memory: dict[str, int] = {}
        self.programs: dict[str, Program] = {}
        self._proxies: list[Proxy] = []
        self._log_began = len(self._broker_log())

    # processes

    def endpoint(self, proxy: Proxy | None = None, **options) -> Endpoint:
        return Endpoint(
            provider=self.provider,
            host="127.0.0.1",
            port=self.broker.ports["quick"] if proxy is None else proxy.port,
            user="app",
            password="secret",
            **options,
        )

    async def proxy(self) -> Proxy:
        """A proxy in front of the broker."""
        proxy = await Proxy(self.broker.host, self.broker.ports["quick"], self.provider, self.seed).start()
        self._proxies.append(proxy)
        return proxy

    async def produce(self, name: str = "producer", *, proxy: Proxy | None = None, **options) -> Program:
        """Start a producer. Consumers come first: an address without a queue drops what it is sent."""
        self.members[name] = []
        return await self._start(name, [], proxy, options)

    async def consume(
        self, *listening: Listening, name: str = "consumer", proxy: Proxy | None = None, **options
    ) -> Program:
        """Start a consumer and wait until its queues are attached."""
        found = list(listening) or [Listening()]
        self.listening |= {one.name: one for one in found}
        self.members[name] = [one.name for one in found]
        return await self._start(name, found, proxy, options)

    async def _start(self, name, listening, proxy, options) -> Program:
        endpoint = self.endpoint(proxy, **options.pop("connection", {}))
        plan = Plan(
            name=name,
            folder=str(self.folder),
            event=self.event,
            endpoint=endpoint,
            seed=self.seed,
            listening=listening,
            sabotage=options.pop("sabotage", "" if name == "drain" else self.sabotage),
            **options,
        )
        program = Program(plan)
        self.programs[name] = program
        await self.until(lambda: name in self.ledger.ready or not program.alive, f"{name} is ready")
        assert name in self.ledger.ready, f"{name} ended at its start, see {self.folder}/{name}.err"
        return program

    # the broker

    async def kill_broker(self) -> None:
        """End it as a crash would, and start it again."""
        await in_thread(self.broker.kill)
        await self.start_broker()

    async def restart_broker(self) -> None:
        """Stop it in an orderly way, and start it again."""
        await in_thread(self.broker.stop)
        await self.start_broker()

    async def start_broker(self) -> None:
        """Start it with the data it had.

        Raises:
            BrokerLossError: it cannot read them. It is started without them, and they are kept beside the ledger.
        """
        try:
            await in_thread(self.broker.start)
        except BrokerDataUnreadable as error:
            self.figures.broker_losses += 1
            kept = self.folder / "broker-data"
            await in_thread(self.broker.remove_data, kept)
            await in_thread(self.broker.start)
            raise BrokerLossError(f"data kept in {kept}: {error}") from error

    # waiting

    async def until(self, condition, what: str, deadline: float | None = None) -> None:
        """Wait for a condition on the ledger, which is read before it is asked."""
        deadline = self.deadline if deadline is None else deadline
        end = time.monotonic() + deadline
        while True:
            self.ledger.read()
            if condition():
                return
            if time.monotonic() > end:
                pytest.fail(f"not within {deadline:g} s: {what}; {self.state()}; {await self.broker_state()}")
            await asyncio.sleep(0.05)

    async def flow(self, count: int, what: str = "the flow goes on") -> None:
        """Wait until so many more events are confirmed, and handled by every listener."""
        self.ledger.read()
        accepted, handled = len(self.ledger.accepted), self.ledger.handled_count()
        await self.until(
            lambda: len(self.ledger.accepted) >= accepted + count and self.ledger.handled_count() >= handled + count,
            f"{what}: {count} more",
        )

    def state(self) -> str:
        handled = {name: len(one.handled) for name, one in self.ledger.listeners.items()}
        dead = [program.plan.name for program in self.programs.values() if not program.alive]
        return f"{len(self.ledger.accepted)} accepted, handled {handled}, ended: {dead}; ledger: {self.folder}"

    async def emptied(self) -> None:
        """Wait until the consumers are done with everything that is in the queues."""
        end = time.monotonic() + self.deadline
        while left := await self.left():
            assert time.monotonic() < end, f"the queues do not become empty: {left}; {self.state()}"
            await asyncio.sleep(0.05)

    async def broker_state(self) -> str:
        """What the broker says of the queues of this test, and how many messages it has given up itself."""
        wanted = (
            "messageCount",
            "deliveringCount",
            "consumerCount",
            "messagesAdded",
            "messagesAcked",
            "messagesKilled",
        )
        try:
            found = [await asyncio.to_thread(self.management.describe, self.queue(name)) for name in self.listening]
            dead = await asyncio.to_thread(self.management.messages, "DLQ")
        except ManagementError as error:
            return f"the broker does not answer: {error}"
        rows = [{name: one.get(name) for name in ("name", *wanted)} for one in found]
        return f"the broker says {rows}, and has {dead} in its own DLQ"

    # the account

    async def settle(self, *, timeout: float = DEADLINE) -> Figures:
        """End all processes, drain with a fresh consumer until the queues are empty, and read the dead letters.

        Args:
            timeout: Seconds for the queues to become empty.
        """
        for program in self.programs.values():
            if program.alive and not program.plan.listening:
                assert await program.stop() == 0, f"{program.plan.name} failed, see {self.folder}"
        for program in self.programs.values():
            if program.alive:
                self.memory[program.plan.name] = program.rss()
                assert await program.stop() == 0, f"{program.plan.name} failed, see {self.folder}"
        tame = [one.tame() for one in self.listening.values()]
        fresh = await self.consume(*tame, name="drain")
        await self._drain(timeout)
        assert await fresh.stop() == 0
        await self._read_dead_letters()
        self.ledger.read()
        if self.provider == "stomp":
            self.figures.slow_closes = self._broker_log()[self._log_began :].count(SLOW_CLOSE)
        return self.count()

    async def _drain(self, timeout: float) -> None:
        # When a STOMP connection ends while a message is just being delivered or acknowledged, Artemis 2.44 may keep that
        # message, as delivered to a consumer that is gone, until it is restarted. AMQP does not have this.
        stuck = self.provider == "stomp"
        end, before, since = time.monotonic() + timeout, {}, time.monotonic()
        while left := await self.left():
            if left != before:
                before, since = left, time.monotonic()
            if stuck and time.monotonic() - since > STUCK:
                stuck = False
                self.figures.stuck = sum(left.values())
                await self.restart_broker()
            if time.monotonic() > end:
                pytest.fail(f"the queues do not become empty: {left}; {self.state()}; {await self.broker_state()}")
            await asyncio.sleep(0.1)

    async def left(self) -> dict[str, int]:
        """Messages in each queue that is not empty, those in hand included."""
        left = {name: await asyncio.to_thread(self.management.messages, self.queue(name)) for name in self.listening}
        return {name: count for name, count in left.items() if count}

    async def _read_dead_letters(self) -> None:
        provider = self.endpoint().make("reader")
        await provider.start()
        try:
            for name in self.listening:
                address = dead_letter_address(self.event, self.queue(name))
                expected = await asyncio.to_thread(self.management.messages, address)
                if expected:
                    await self._read_queue(provider, address, name, expected)
        finally:
            await provider.stop()

    async def _read_queue(self, provider, address: str, listener: str, expected: int) -> None:
        found: list[DeadLetter] = []

        def take(delivery) -> None:
            found.append(DeadLetter(listener, dict(delivery.envelope.headers), delivery.envelope.body))
            delivery.ack()

        binding = Binding(address=address, queue=address, kind=AddressKind.QUEUE, durable=True, prefetch=100)
        consumer = await provider.subscribe(binding, take)
        await self.until(lambda: len(found) >= expected, f"{expected} dead letters of {listener}")
        await consumer.close()
        self.dead_letters += found
        with (self.folder / "dead-letters.txt").open("a", encoding="utf-8") as file:
            file.writelines(f"{listener} {letter.body[:200]!r} {letter.headers}\n" for letter in found)

    # the end

    async def close(self) -> None:
        """End what is left; runs also after a failure."""
        for program in self.programs.values():
            if program.alive:
                program.kill()
        for proxy in self._proxies:
            await proxy.close()

    def keep_broker_log(self) -> None:
        """Put what the broker logged during the test beside the ledger."""
        (self.folder / "broker.txt").write_bytes(self._broker_log()[self._log_began :])

    def _broker_log(self) -> bytes:
        log = self.broker.log
        return log.read_bytes() if log is not None and log.exists() else b""

    def remove_queues(self) -> None:
        """Leave nothing on the broker that is shared by the tests."""
        self.management.destroy_queues(self.event)


def restore(broker: ArtemisBroker) -> None:
    """Bring a broker back that a failed test left dead or frozen."""
    if broker.running:
        with contextlib.suppress(OSError):
            broker.thaw()
    broker.start()
