"""Whole programs on the local provider, made up by Hypothesis and checked step by step against a small model."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support_local_model import Call, Copy, Order, Queue, listed, purge, replay, resume, settle

from aspyx_event import EventManager, LocalBroker, LocalProvider, Retry
from aspyx_event.clock import ManualClock

PROCESSES = range(3)
WAIT = 4

#: Listeners of every process. "own" is per process; one delivery at a time leaves no doubt of the order in "ordered".
LISTENERS: dict[str, dict[str, Any]] = {
    "ordered": {"prefetch": 1, "retry": Retry(attempts=2, delay=WAIT, backoff="fixed", jitter=0)},
    "delayed": {
        "prefetch": 2,
        "concurrency": 2,
        "retry": Retry(attempts=3, delay=WAIT, backoff="fixed", jitter=0, mode="delayed"),
    },
    "own": {"per_process": True, "retry": Retry(dead_letter=False)},
}
DURABLE = ("ordered", "delayed")


class Programs(RuleBasedStateMachine):
    """Processes that share a broker. Every event is with somebody, at all times, and comes again only with a reason."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.broker = LocalBroker(self.clock)
        self.sender = EventManager(LocalProvider(broker=self.broker))
        self.managers: dict[int, EventManager] = {}
        self.paused: set[tuple[int, str]] = set()
        self.queues: dict[Any, Queue] = {}
        #: Not in a queue yet: due time, order, the queue (None for all there will be), the copy.
        self.coming: list[tuple[float, int, Any, Copy]] = []
        self.calls: list[Call] = []
        self.order, self.numbers, self.step = count(), count(1), 0
        self.wrong: list[str] = []
        logging.getLogger("aspyx.event").setLevel(logging.CRITICAL)

    # what happens

    @initialize()
    def first(self) -> None:
        self.run(self.sender.start())
        self.start(0)

    @rule(process=some.sampled_from(PROCESSES))
    def start(self, process: int) -> None:
        if process in self.managers:
            return
        manager = EventManager(LocalProvider(broker=self.broker, server_name=f"p{process}"), stop_timeout=0.0)
        self.managers[process] = manager
        for listener in LISTENERS:
            self.queues.setdefault(self.queue_of(process, listener), Queue())

        async def start() -> None:
            for listener, options in LISTENERS.items():
                manager.subscribe(Order, self.handler(process, listener), name=listener, **options)
            await manager.start()

        self.run(start())

    @rule(
        key=some.sampled_from([None, None, "a", "b"]),
        priority=some.sampled_from([None, None, None, 0, 9]),
        delay=some.sampled_from([0, 0, 0, 2, 6]),
        ttl=some.sampled_from([None, None, None, 3, 7]),
        times=some.integers(1, 3),
    )
    def send(self, key: str | None, priority: int | None, delay: int, ttl: int | None, times: int) -> None:
        expires = None if ttl is None else self.clock.time() + ttl
        for _ in range(times):
            number = next(self.numbers)
            copy = Copy(number, 0, key, 4 if priority is None else priority, expires)
            self.coming.append((self.clock.time() + delay, next(self.order), None, copy))
            self.arrive()

            async def send(number: int = number) -> None:
                await self.sender.send_event(Order(number), key=key, priority=priority, delay=float(delay), ttl=ttl)

            self.run(send())

    @precondition(lambda self: self.calls)
    @rule(data=some.data(), succeeds=some.booleans())
    def finish(self, data: Any, succeeds: bool) -> None:
        self.end(self.calls[data.draw(some.integers(0, len(self.calls) - 1))], succeeds)

    def end(self, call: Call, succeeds: bool) -> None:
        self.nothing_went_wrong()
        self.calls.remove(call)
        queue = self.queues[self.queue_of(call.process, call.listener)]
        copy = queue.copies[call.number]
        copy.running, retry = False, LISTENERS[call.listener]["retry"]
        if succeeds or copy.attempt == retry.attempts:
            del queue.copies[call.number]
            if not succeeds and retry.dead_letter:
                queue.letters[call.number] = copy
        else:
            copy.attempt += 1
            if call.listener == "delayed":
                del queue.copies[call.number]
                copy.holder, copy.base, copy.priority, copy.fresh = None, copy.attempt, 4, True
                self.coming.append((self.clock.time() + WAIT, next(self.order), call.listener, copy))
        if succeeds:
            call.outcome.set_result(None)
        else:
            call.outcome.set_exception(ValueError("told to fail"))
        self.run(settle())

    @rule(seconds=some.integers(1, 6))
    def advance(self, seconds: int) -> None:
        for _ in range(seconds):
            self.arrive(self.clock.time() + 1)
            self.run(self.clock.advance(1))

    @precondition(lambda self: self.managers)
    @rule(data=some.data(), orderly=some.booleans())
    def leave(self, data: Any, orderly: bool) -> None:
        """A process stops, or dies: what its handlers do then counts no more."""
        process = data.draw(some.sampled_from(sorted(self.managers)))
        manager = self.managers.pop(process)
        self.calls = [call for call in self.calls if call.process != process]
        self.paused = {one for one in self.paused if one[0] != process}
        self.queues.pop(("own", process), None)
        for queue in self.queues.values():
            for copy in queue.copies.values():
                if copy.holder == process:
                    copy.holder, copy.running, copy.attempt = None, False, copy.base
        if not orderly:
            self.run(manager.provider.stop())
        self.run(manager.stop())

    @precondition(lambda self: self.managers)
    @rule(data=some.data())
    def pause_or_resume(self, data: Any) -> None:
        process = data.draw(some.sampled_from(sorted(self.managers)))
        listener = data.draw(some.sampled_from(sorted(LISTENERS)))
        [subscription] = [one for one in self.managers[process].list_subscriptions() if one.name == listener]
        self.paused ^= {(process, listener)}

        async def change() -> None:
            await (subscription.pause() if (process, listener) in self.paused else subscription.resume())

        self.run(change())

    @precondition(lambda self: self.managers and any(self.queues[name].letters for name in DURABLE))
    @rule(data=some.data(), again=some.booleans())
    def work_on_a_letter(self, data: Any, again: bool) -> None:
        name = data.draw(some.sampled_from([name for name in DURABLE if self.queues[name].letters]))
        manager = self.managers[data.draw(some.sampled_from(sorted(self.managers)))]
        queue = self.queues[name]
        letters = self.run(listed(manager, name))
        assert sorted(letters) == sorted(queue.letters), f"dead letters of {name}: {letters}"
        number = data.draw(some.sampled_from(sorted(queue.letters)))
        old = queue.letters.pop(number)
        if again:
            queue.copies[number] = Copy(number, next(self.order), old.key)
            self.run(replay(manager, letters[number]))
        else:
            self.run(purge(manager, letters[number]))

    # what must hold

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert not self.wrong, self.wrong

    @invariant()
    def nobody_is_idle_while_there_is_something_to_do(self) -> None:
        for process in self.managers:
            for listener in LISTENERS:
                copies = self.queues[self.queue_of(process, listener)].copies.values()
                idle = (process, listener) not in self.paused and not any(one.holder == process for one in copies)
                # What has a key may be kept for a consumer that had others of it, and is busy.
                busy = any(one.holder is not None for one in copies)
                free = [one for one in copies if one.holder is None and not self.is_expired(one)]
                left = [one.number for one in free if one.key is None or not busy]
                assert not (idle and left), f"{listener} of process {process} leaves {left} where they are"

    def teardown(self) -> None:
        """Let everything come to its end: what was not done with would be lost."""
        try:
            while self.paused:
                process, listener = min(self.paused)
                self.paused.remove((process, listener))
                self.run(resume(self.managers[process], listener))
            self.start(0)
            while self.calls or self.coming or self.holds_something():
                while self.calls:
                    self.end(self.calls[0], True)
                self.advance(1)
            self.nothing_went_wrong()
            for name, queue in self.queues.items():
                lost = [one.number for one in queue.copies.values() if not self.is_expired(one)]
                assert not lost, f"lost in {name}: {lost}"
            for name in DURABLE:
                assert sorted(self.run(listed(self.managers[0], name))) == sorted(self.queues[name].letters)
                assert self.broker.depth(name) == 0
            assert self.broker.delayed == 0
        finally:
            for manager in (*self.managers.values(), self.sender):
                self.run(manager.stop())
            self.loop.close()
            logging.getLogger("aspyx.event").setLevel(logging.NOTSET)

    # the model

    def holds_something(self) -> bool:
        return any(copy.holder is not None for queue in self.queues.values() for copy in queue.copies.values())

    def queue_of(self, process: int, listener: str) -> Any:
        return listener if listener in DURABLE else (listener, process)

    def arrive(self, until: float | None = None) -> None:
        """Put what is due into its queues."""
        now = self.clock.time() if until is None else until
        due = sorted(one[:2] for one in self.coming if one[0] <= now)
        found = {one[:2]: one for one in self.coming}
        self.coming = [one for one in self.coming if one[0] > now]
        for when in due:
            _, _, name, copy = found[when]
            for queue in list(self.queues) if name is None else [name]:
                added = Copy(copy.number, next(self.order), copy.key, copy.priority, copy.expires)
                added.attempt = added.base = copy.base
                added.step = self.step
                self.queues[queue].copies[copy.number] = added

    def is_expired(self, copy: Copy) -> bool:
        return copy.expires is not None and copy.expires <= self.clock.time()

    def is_free(self, copy: Copy, copies: Any) -> bool:
        """True if a consumer that has nothing to do may take the copy."""
        taken = copy.key is not None and any(one.key == copy.key and one.holder is not None for one in copies)
        return not taken and not self.is_expired(copy)

    def handler(self, process: int, listener: str) -> Any:
        async def handle(order: Order, context: Any) -> None:
            self.called(process, listener, order.number, context)
            outcome = asyncio.get_running_loop().create_future()
            self.calls.append(Call(process, listener, order.number, outcome))
            await outcome

        return handle

    def called(self, process: int, listener: str, number: int, context: Any) -> None:
        """Is there a reason for this call, and is it this event's turn?"""
        queue = self.queues.get(self.queue_of(process, listener), Queue())
        copy = queue.copies.get(number)
        what = f"{listener} of process {process} is given {number}"
        if copy is None or copy.running or copy.holder not in (None, process):
            self.wrong.append(f"{what} without a reason: {copy}")
            return
        first = copy.holder is None
        if context.attempt != copy.attempt:
            self.wrong.append(f"{what} as attempt {context.attempt}: {copy}")
        # With a key it may have been handed over before, and have waited for another one of it.
        if first and copy.key is None and listener in DURABLE and self.is_expired(copy):
            self.wrong.append(f"{what} although it has expired: {copy}")
        others = [one for one in queue.copies.values() if one is not copy]
        if copy.key is not None and any(one.running and one.key == copy.key for one in others):
            self.wrong.append(f"{what} while another one of its key is being handled")
        waiting = [one for one in others if one.holder is None and self.is_free(one, others)]
        if first and listener == "ordered":
            self.check_turn(what, copy, waiting, process)
            if copy.fresh == context.redelivered:
                self.wrong.append(f"{what} and told that it is {'' if context.redelivered else 'not '}given again")
        late = [one.number for one in waiting if one.key == copy.key and one.priority == copy.priority]
        if first and copy.key is not None and min([copy.number, *late]) != copy.number and copy.base == 1:
            earlier = [one for one in waiting if one.number in late and one.sequence < copy.sequence]
            if earlier:
                self.wrong.append(f"{what} before earlier ones of its key: {earlier}")
        copy.holder, copy.running, copy.fresh = process, True, False

    def check_turn(self, what: str, copy: Copy, waiting: list[Copy], process: int) -> None:
        if (process, "ordered") in self.paused:
            self.wrong.append(f"{what} although it is paused")
        # A consumer keeps what follows of its key, so those may pass others.
        rank = (-copy.priority, copy.sequence)
        before = [one for one in waiting if (-one.priority, one.sequence) < rank and one.step < self.step]
        if copy.key is None and before:
            self.wrong.append(f"{what} before {before}")

    def run(self, work: Any) -> Any:
        async def both() -> Any:
            value = await work
            await settle()
            return value

        value = self.loop.run_until_complete(asyncio.wait_for(both(), 10))
        self.step += 1
        return value


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    # What fails is not made smaller: that takes minutes, and the steps are read easily as they are.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
