"""The producer and the consumer as processes: told what to do by a `Plan`, stopped by SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
import zlib
from pathlib import Path

import support_faults_sabotage as sabotage
from support_faults_health import sample_health
from support_faults_ledger import ACCEPTED, BEGUN, HANDLED, RAISED, READY, REFUSED, SENT, Pen
from support_faults_plan import Listening, Plan, tick_event
from support_faults_trace import REPLAY_OF, correlation, mark, sent_headers

from aspyx_event import EventException, EventManager, Retry, RetryMode, correlated

logger = logging.getLogger("faults")


class InjectedError(Exception):
    """Raised by a handler on purpose."""


class Handler:
    """A listener that writes down what it does."""

    def __init__(self, listening: Listening, seed: int, pen: Pen) -> None:
        self._listening, self._seed, self._pen = listening, seed, pen
        self._random = random.Random(f"{seed}-{listening.name}-{os.getpid()}")
        self._handlings = 0

    def _chosen(self, what: str, event_id: str) -> bool:
        share = getattr(self._listening, what)
        return share > 0 and zlib.crc32(f"{self._seed} {what} {event_id}".encode()) < share * 2**32

    async def on(self, event, context) -> None:
        # A replay begins to count anew; to the ledger it is not the same attempt once more.
        attempt = context.attempt + 1000 * (REPLAY_OF in context.headers)
        facts = (event.id, event.key, event.seq, self._listening.name, attempt, context.redelivered)
        self._pen.write(BEGUN, *facts, note=mark(event.id, context.headers))
        listening = self._listening
        if self._chosen("fails", event.id) or (context.attempt == 1 and self._chosen("flaky", event.id)):
            self._pen.write(RAISED, *facts)
            raise InjectedError(event.id)
        await self._misbehave(event.id)
        self._handlings += 1
        if listening.blocks and self._handlings % listening.blocks == 0:
            time.sleep(listening.block_for)  # noqa: ASYNC251  the fault under test
        if listening.work or listening.work_more:
            await asyncio.sleep(listening.work + self._random.random() * listening.work_more)
        self._pen.write(HANDLED, *facts)

    async def _misbehave(self, event_id: str) -> None:
        if self._chosen("hangs", event_id):
            await asyncio.Event().wait()
        if self._chosen("stubborn", event_id):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(3.0)
                # What goes on after its limit may well succeed; to the ledger it would be handled and dead.
                raise InjectedError(event_id) from None
        if self._chosen("memory", event_id):
            raise MemoryError(event_id)
        number, ends = int(event_id.rpartition(".")[2]), self._listening.ends
        if ends and number % ends == ends - 1:
            if number // ends % 2:
                raise SystemExit(4)
            os.kill(os.getpid(), signal.SIGKILL)


class Producer:
    """Sends events of a few keys, each key in order, with a bounded number under way."""

    def __init__(self, manager: EventManager, plan: Plan, pen: Pen) -> None:
        self._manager, self._plan, self._pen = manager, plan, pen
        self._event = tick_event(plan.event)
        self._under_way: set[asyncio.Task] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        plan, loop, number = self._plan, asyncio.get_running_loop(), 0
        slots, due, padding = asyncio.Semaphore(plan.window), loop.time(), "x" * plan.padding
        while not stopping.is_set() and (not plan.count or number < plan.count):
            await slots.acquire()
            key = number % plan.keys
            event = self._event(f"{plan.name}.{number}", f"{plan.name}-{key}", number // plan.keys, padding)
            task = asyncio.create_task(self._send(event, slots))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
            if plan.rate:
                # No burst after an outage: it would hide how fast the flow comes back.
                due = max(due + 1 / plan.rate, loop.time() - 0.05)
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _send(self, event, slots: asyncio.Semaphore) -> None:
        facts = (event.id, event.key, event.seq)
        self._pen.write(SENT, *facts)
        try:
            with correlated(correlation(event.id)):
                await self._manager.send_event(event, headers=sent_headers(event.id))
        except Exception as error:
            self._pen.write(REFUSED, *facts, note=type(error).__name__)
            logger.warning("%s refused: %r", event.id, error)
        else:
            self._pen.write(ACCEPTED, *facts)
        finally:
            slots.release()


async def run(plan: Plan) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    watch = asyncio.create_task(end_with_parent(os.getppid()))
    pen = Pen(Path(plan.folder), plan.name)
    server_name = f"{plan.event}.{plan.server or plan.name}"
    manager = EventManager(plan.endpoint.make(server_name), stop_timeout=plan.stop_timeout)
    await manager.start()
    for one in plan.listening:
        handler = Handler(one, plan.seed, pen)
        retry = Retry(
            attempts=one.attempts,
            delay=one.delay,
            mode=RetryMode.DELAYED if one.delayed else RetryMode.IN_ORDER,
            timeout=one.timeout,
            max_crashes=one.max_crashes,
        )
        await manager.subscribe(
            tick_event(plan.event) if one is plan.listening[0] else plan.event,
            handler.on,
            name=f"{plan.event}.{one.name}",
            concurrency=one.concurrency,
            prefetch=one.prefetch,
            retry=retry,
        )
    pen.write(READY)
    sampling = asyncio.create_task(sample_health(manager, pen))
    if plan.replay:
        await replay(manager, plan.replay, stopping)
    elif plan.listening:
        await stopping.wait()
    else:
        await Producer(manager, plan, pen).run(stopping)
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    await manager.stop()
    watch.cancel()


async def replay(manager: EventManager, rate: float, stopping: asyncio.Event) -> None:
    """Send the dead letters back, again whenever the broker went away meanwhile."""
    while not stopping.is_set():
        try:
            await manager.dead_letters.replay_all(rate=rate)
        except EventException as error:
            logger.warning("replay: %r", error)
        await asyncio.sleep(0.2)


async def end_with_parent(parent: int) -> None:
    """A killed test run must not leave producers behind."""
    while os.getppid() == parent:  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(1.0)
    os._exit(3)


def begin(text: str) -> Plan:
    """Prepare a new process: what it writes goes beside the ledger, and it does not live for ever."""
    plan = Plan.from_json(text)
    log = os.open(Path(plan.folder) / f"{plan.name}.err", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for output in (1, 2):
        os.dup2(log, output)
    signal.alarm(int(plan.limit))
    logging.basicConfig(
        stream=sys.stderr, force=True, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    return plan


def main(text: str) -> None:
    plan = begin(text)
    sabotage.apply(plan.sabotage)
    asyncio.run(run(plan))
