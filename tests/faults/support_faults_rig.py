"""Runs producers and consumers as processes against a broker that is maltreated, and settles the account at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import support_faults_program
from support_faults_figures import Figures
from support_faults_ledger import Ledger
from support_faults_plan import Endpoint, Listening, Plan
from support_faults_proxy import Proxy

from aspyx_event.engine.dead_letters import dead_letter_address
from aspyx_event.providers.base import AddressKind, Binding
from aspyx_event.testing import ArtemisBroker, Management, ManagementError

#: Seconds. Long, because they only end what hangs: the machine may be slow.
DEADLINE = 90.0
#: Seconds from the end of a fault to events that flow: five on a quiet machine, and ours may have other things to do.
RECOVERY = 15.0
#: Seconds after which nobody is going to take what is left in a queue that has a consumer.
STUCK = 4.0


# Forks from a process that has imported what programs need: a new interpreter for each would take most of the time.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["pytest", "proton.utils", "stomp", support_faults_program.__name__])


class Program:
    """A producer or consumer process.

    Args:
        plan: What it is told.
        main: Called in the process with the plan as JSON.
    """

    def __init__(self, plan: Plan, main=support_faults_program.main) -> None:
        self.plan = plan
        self._process = _PROCESSES.Process(target=main, args=(plan.to_json(),), name=plan.name, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def rss(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join(30)

    async def ended(self, limit: float = DEADLINE) -> int:
        """Wait for its end; return the exit code."""
        await asyncio.to_thread(self._process.join, limit)
        assert self._process.exitcode is not None, f"{self.plan.name} has not ended within {limit:g} s"
        return self._process.exitcode

    async def stop(self, limit: float = DEADLINE) -> int:
        """SIGTERM, and wait."""
        self._process.terminate()
        return await self.ended(limit)


@dataclass
class DeadLetter:
    """What lies in a dead-letter queue."""

    listener: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        """The ledger's name for the event; "" for a body that is none of our events."""
        try:
            found = json.loads(self.body)["id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return ""
        return found if isinstance(found, str) and "." in found else ""


class Rig:
    """One test's processes, proxies, ledger and figures.

    Attributes:
        event: Name of the event; an address that no other test uses.
        random: Seeded; every choice of a test is made with it.
    """

    def __init__(
        self, broker: ArtemisBroker, management: Management, event: str, folder: Path, figures: Figures
    ) -> None:
        self.broker, self.management, self.event, self.folder, self.figures = broker, management, event, folder, figures
        self.provider, self.seed = figures.provider, figures.seed
        self.random = random.Random(figures.seed)
        #: A bug for all processes but the one that drains, and how long to wait for what it may prevent.
        self.sabotage, self.deadline = "", DEADLINE
        self.ledger = Ledger(folder)
        self.listening: dict[str, Listening] = {}
        self.dead_letters: list[DeadLetter] = []
        #: Resident bytes of the consumers, before they were ended.
        self.memory: dict[str, int] = {}
        self.programs: dict[str, Program] = {}
        self._proxies: list[Proxy] = []
        self._overs: list[float] = []
        self._began = time.monotonic()
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
        return await self._start(name, [], proxy, options)

    async def consume(
        self, *listening: Listening, name: str = "consumer", proxy: Proxy | None = None, **options
    ) -> Program:
        """Start a consumer and wait until its queues are attached."""
        found = list(listening) or [Listening()]
        self.listening |= {one.name: one for one in found}
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

    def fault(self, times: int = 1) -> None:
        """Count a fault."""
        self.figures.faults += times

    def over(self) -> None:
        """Remember that a fault is over: what follows is recovery."""
        self._overs.append(time.monotonic())

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
        return self._count()

    async def _drain(self, timeout: float) -> None:
        # Artemis keeps a message whose STOMP ACK crosses the end of the connection with that connection, until it is
        # restarted. Such a message was handled.
        stuck = self.provider == "stomp"
        end, before, since = time.monotonic() + timeout, {}, time.monotonic()
        while left := await self._left():
            if left != before:
                before, since = left, time.monotonic()
            if stuck and time.monotonic() - since > STUCK:
                stuck = False
                self.figures.stuck = sum(left.values())
                self.ledger.read()
                for name in left:
                    one = self.ledger.listeners[name]
                    unhandled = self.ledger.accepted.keys() - one.handled.keys() - one.raised.keys()
                    assert not unhandled, f"the broker keeps back {left}, and was not told of {sorted(unhandled)[:10]}"
                await asyncio.to_thread(self.broker.restart)
            if time.monotonic() > end:
                pytest.fail(f"the queues do not become empty: {left}; {self.state()}; {await self.broker_state()}")
            await asyncio.sleep(0.1)

    async def _left(self) -> dict[str, int]:
        left = {name: await asyncio.to_thread(self.management.messages, self.queue(name)) for name in self.listening}
        return {name: count for name, count in left.items() if count}

    def queue(self, listener: str) -> str:
        return f"{self.event}.{listener}"

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

    def _count(self) -> Figures:
        figures, ledger = self.figures, self.ledger
        figures.sent, figures.accepted, figures.refused = len(ledger.sent), len(ledger.accepted), len(ledger.refused)
        figures.handled = sum(len(ledger.listeners[name].handled) for name in self.listening)
        figures.dead_letters = len(self.dead_letters)
        figures.redelivered = sum(ledger.listeners[name].redelivered for name in self.listening)
        figures.lost = sum(len(lost) for lost in self.lost().values())
        figures.recoveries = [seconds for seconds in map(self._recovery, self._overs) if seconds is not None]
        figures.seconds = time.monotonic() - self._began
        return figures

    def dead(self, listener: str) -> set[str]:
        """Ids of the listener's dead letters."""
        return {letter.event_id for letter in self.dead_letters if letter.listener == listener and letter.event_id}

    def lost(self) -> dict[str, set[str]]:
        """Accepted events, by listener, that were neither handled nor kept (I1)."""
        missing = self.ledger.missing(self.listening)
        return {name: lost for name, ids in missing.items() if (lost := ids - self.dead(name))}

    def _recovery(self, over: float) -> float | None:
        """Seconds until an event was confirmed, and an event confirmed since then was handled by every listener."""
        ledger, recovery = self.ledger, 0.0
        after = sorted((at, event_id) for event_id, at in ledger.accepted.items() if at > over)[:1000]
        if not after:
            return None
        for name in self.listening:
            finished = ledger.listeners[name].finished
            first = min((finished[event_id] for _, event_id in after if event_id in finished), default=None)
            if first is None:
                return None
            recovery = max(recovery, first - over)
        return max(recovery, after[0][0] - over)

    # invariants

    def check(self, *, redeliveries: int, ordered: bool = True, refusals: bool = False) -> None:
        """Check I1, I2, I3, I5 and I7 after `settle`.

        Args:
            redeliveries: The bound of I3.
            ordered: The order per key is promised here (I5).
            refusals: Sends may have failed with a typed error.
        """
        ledger, figures = self.ledger, self.figures
        lost = {name: sorted(ids)[:10] for name, ids in self.lost().items()}
        assert not lost, f"I1: {figures.lost} lost, such as {lost}; ledger: {self.folder}"
        for name in self.listening:
            one = ledger.listeners[name]
            invented = (one.begun.keys() | self.dead(name)) - ledger.sent.keys()
            assert not invented, f"I2: never sent: {sorted(invented)[:10]}"
            both = one.handled.keys() & self.dead(name)
            assert not both, f"I2: handled and dead: {sorted(both)[:10]}"
            strict = ordered and not self.listening[name].delayed
            assert not strict or not one.inversions(), f"I5: {one.inversions()[:10]}"
        self._check_dead_letters()
        assert figures.redelivered <= redeliveries, f"I3: {figures.redelivered} > {redeliveries}"
        assert refusals or not ledger.refused, f"refused: {dict(list(ledger.refused.items())[:5])}"
        slow = [seconds for seconds in figures.recoveries if seconds > RECOVERY]
        assert not slow, f"I6: {slow} s until events flowed again"
        unanswered = ledger.sent.keys() - ledger.accepted.keys() - ledger.refused.keys()
        assert not unanswered, f"neither confirmed nor refused: {sorted(unanswered)[:10]}"

    def _check_dead_letters(self) -> None:
        """I7: each once, with what an operator needs."""
        seen = set()
        for letter in filter(lambda letter: letter.event_id, self.dead_letters):
            once = (letter.listener, letter.event_id)
            assert once not in seen, f"I7: twice in the dead letters: {once}"
            seen.add(once)
            headers = letter.headers
            assert headers["aspyx-original-address"] == self.event
            assert headers["aspyx-original-queue"] == self.queue(letter.listener)
            assert headers["aspyx-attempts"] == str(self.listening[letter.listener].attempts)
            assert headers["aspyx-cause-type"].endswith("InjectedError")

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
        for queue in self.management.queues():
            if self.event in queue:
                self.management.destroy_queue(queue)


async def in_thread(function, *arguments):
    """Call what blocks, such as the broker's start."""
    return await asyncio.to_thread(function, *arguments)


def restore(broker: ArtemisBroker) -> None:
    """Bring a broker back that a failed test left dead or frozen."""
    if broker.running:
        with contextlib.suppress(OSError):
            broker.thaw()
    broker.start()
