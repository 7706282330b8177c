"""F9, F13 and F16: handlers that raise, hang, block or are slow, and receiving code that fails itself."""

from __future__ import annotations

import asyncio

import pytest
from support_faults_plan import Listening

PREFETCH = 100


@pytest.mark.fault("F9 handlers raise")
async def test_what_always_fails_becomes_a_dead_letter_and_all_else_is_handled(rig, size):
    count = size(400, 5_000)
    await rig.consume(
        Listening(name="none"),
        Listening(name="five", fails=0.05, flaky=0.05, attempts=2, concurrency=4),
        Listening(name="half", fails=0.5, flaky=0.2, attempts=3, delay=0.005, concurrency=16),
        Listening(name="all", fails=1.0, concurrency=4),
    )
    rig.fault(count)
    producer = await rig.produce(count=count, rate=size(200, 400))
    assert await producer.ended() == 0
    await rig.until(lambda: len(rig.ledger.listeners["none"].handled) == count, "the others are not disturbed")
    await rig.emptied()
    figures = await rig.settle()
    rig.check(redeliveries=0)
    for name, listening in rig.listening.items():
        assert len(rig.dead(name)) == pytest.approx(listening.fails * count, abs=count / 10)
        assert rig.dead(name) == rig.ledger.accepted.keys() - rig.ledger.listeners[name].handled.keys()
    assert figures.accepted == count


@pytest.mark.fault("F9 handlers raise, broker killed")
async def test_dead_letters_are_complete_and_single_when_the_broker_is_killed(rig, size):
    await rig.consume(
        Listening(name="half", fails=0.5, attempts=2, concurrency=16),
        Listening(name="later", fails=0.3, flaky=0.3, attempts=3, delay=0.5, delayed=True, concurrency=8),
    )
    await rig.produce(rate=300)
    for _ in range(size(1, 8)):
        await rig.flow(200)
        rig.cut()
        await rig.kill_broker()
        rig.over()
    await rig.flow(200)
    figures = await rig.settle()
    # Every delivery that comes again is tried as often as it may be.
    rig.check(redeliveries=2 * 3 * PREFETCH * figures.faults)


@pytest.mark.fault("F9 replayed, broker killed")
async def test_a_replay_loses_nothing_and_changes_nothing_when_the_broker_is_killed(rig, size):
    count = size(300, 3_000)
    broken = await rig.consume(Listening(name="one", fails=0.5, attempts=2, delay=0.005, concurrency=4), name="broken")
    producer = await rig.produce(count=count, rate=size(300, 500))
    assert await producer.ended() == 0
    await rig.emptied()
    assert await broken.stop() == 0
    dead = count - len(rig.ledger.listeners["one"].handled)
    assert dead > count / 4
    await rig.consume(Listening(name="one"), name="healed", replay=size(100, 150))
    handled = rig.ledger.listeners["one"].handled
    for number in range(size(1, 5)):
        before = len(handled)
        await rig.until(lambda before=before: len(handled) > before + 30, "dead letters come back")
        assert len(handled) < count, f"all were replayed before fault {number}"
        rig.cut("healed")
        await rig.kill_broker()
        rig.over()
    await rig.until(lambda: len(handled) == count, "every dead letter comes back")
    figures = await rig.settle()
    # Its publication was confirmed, the letter not yet removed: that one is replayed twice.
    rig.check(redeliveries=2 * PREFETCH * figures.faults, ordered=False)
    assert figures.dead_letters == 0, "a letter that was replayed is still there"


@pytest.mark.fault("F9 handler kills its process")
async def test_an_event_that_ends_the_process_becomes_a_dead_letter_and_all_else_is_handled(rig, size):
    count, ends = size(60, 300), 30
    listening = Listening(name="one", prefetch=20, ends=ends, max_crashes=2)
    consumer = await rig.consume(listening, name="consumer-0", server="consumer")
    producer = await rig.produce(count=count, rate=200)
    assert await producer.ended() == 0
    while await rig.left():
        assert rig.figures.faults <= count, "it ends the process again and again"
        if not consumer.alive:
            rig.fault()
            consumer = await rig.consume(listening, name=f"consumer-{rig.figures.faults}", server="consumer")
        await asyncio.sleep(0.05)
    figures = await rig.settle()
    # Half of them try to end it from within, which is a failure like any other. The others do so twice with a note of it
    # in the broker, and once or twice before that: only the first deliveries after a start are noted.
    killers = count // ends / 2
    assert 2 * killers <= figures.faults <= 5 * killers
    rig.check(redeliveries=20 * figures.faults)
    assert rig.dead("one") == {f"producer.{number}" for number in range(ends - 1, count, ends)}


@pytest.mark.fault("F9 time limit, memory")
async def test_a_handler_that_ignores_its_time_limit_or_has_no_memory_disturbs_nobody(rig, size):
    count = size(200, 2_000)
    bad = Listening(name="bad", stubborn=0.02, memory=0.1, timeout=2.0, concurrency=16, prefetch=50)
    await rig.consume(bad, Listening(name="none"))
    rig.fault()
    producer = await rig.produce(count=count, rate=100, keys=1000)
    assert await producer.ended() == 0
    await rig.until(lambda: len(rig.ledger.listeners["none"].handled) == count, "the other is not disturbed")
    await rig.emptied()
    await rig.settle()
    rig.check(redeliveries=0)
    assert rig.dead("bad") == rig.ledger.accepted.keys() - rig.ledger.listeners["bad"].handled.keys()
    assert {letter.headers["aspyx-cause-type"].rpartition(".")[2] for letter in rig.dead_letters} == {
        "HandlerTimeoutError",
        "MemoryError",
    }


@pytest.mark.fault("F9 handlers hang")
async def test_a_handler_that_never_returns_holds_up_nothing_but_its_own_place(rig, size):
    hangs = Listening(name="hangs", hangs=0.005, concurrency=64, prefetch=200)
    await rig.consume(hangs, Listening(name="none"), stop_timeout=0.5)
    await rig.produce(rate=400, keys=1000)
    for _ in range(size(2, 10)):
        rig.fault()
        await rig.flow(200)
    await rig.settle()
    rig.check(redeliveries=64, ordered=False)


@pytest.mark.fault("F9 handler blocks the loop")
async def test_a_handler_that_blocks_the_loop_for_longer_than_the_heartbeat_ends_nothing(rig, size):
    # The heartbeat is one second; the broker hangs up after two (STOMP) or four (AMQP) seconds of silence.
    await rig.consume(Listening(name="blocks", blocks=150, block_for=6.0), Listening(name="none"))
    await rig.produce(rate=150)
    await rig.flow(size(200, 500))
    figures = await rig.settle()
    figures.faults = sum(rig.ledger.listeners["blocks"].begun.values()) // 150
    assert figures.seconds > 6.0
    # What blocks the loop blocks the answer about readiness as well.
    rig.check(redeliveries=2 * PREFETCH * figures.faults, readiness=False)


@pytest.mark.fault("F13 one of four is slow")
async def test_a_slow_listener_does_not_slow_its_neighbours(rig, size):
    names = ["a", "b", "c"]
    slow = Listening(name="slow", work=0.5, prefetch=5)
    await rig.consume(slow, *[Listening(name=name, prefetch=10) for name in names])
    count = size(600, 4_000)
    producer = await rig.produce(count=count, rate=300)
    assert await producer.ended() == 0
    rig.fault()
    await rig.until(lambda: all(len(rig.ledger.listeners[name].handled) == count for name in names), "the fast ones")
    assert len(rig.ledger.listeners["slow"].handled) < count / 2
    # Events wait for the slow one, and not in its process: the queue is what holds them.
    accepted = rig.ledger.accepted
    for name in names:
        finished = rig.ledger.listeners[name].finished
        late = sorted(finished[event_id] - accepted[event_id] for event_id in accepted)[int(count * 0.99)]
        # Behind the slow listener, which takes half a second for each, they would wait for minutes.
        assert late < 5, f"{name}: 99 of 100 were handled within {late:.3f} s"
    await rig.settle()
    rig.check(redeliveries=0)


@pytest.mark.fault("F16 receiving code raises")
async def test_an_exception_in_the_receiving_code_makes_no_consumer_deaf(rig, size):
    # Every 60th message that comes in: one that is not answered is missing in the end, and takes up room until then.
    await rig.consume(Listening(name="one", prefetch=20), sabotage="decode-raises")
    producer = await rig.produce(rate=200)
    for _ in range(size(3, 30)):
        rig.fault(2)
        await rig.flow(150)
    assert await producer.stop() == 0
    if rig.provider == "amqp":  # over STOMP every such failure costs the connection, see the rig for what follows
        handled = rig.ledger.listeners["one"].handled
        await rig.until(
            lambda: len(handled) == len(rig.ledger.accepted), "nothing is withheld while the consumer lives"
        )
    await rig.settle()
    rig.check(redeliveries=10 * 20 * rig.figures.faults, ordered=False)
