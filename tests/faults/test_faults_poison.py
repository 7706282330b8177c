"""F10: messages by foreign clients that no listener can take."""

from __future__ import annotations

from collections import Counter

import pytest
from support_faults_plan import Listening
from support_faults_process import in_thread
from support_faults_raw import poisons, send_amqp, send_stomp

_MIB = 1024 * 1024


@pytest.mark.fault("F10 poison messages")
async def test_poison_becomes_dead_letters_byte_for_byte_and_the_consumer_lives(rig, size):
    grown = await poison(rig, Listening(name="one", attempts=3), size(140, 2_000), large=0)
    assert grown < 20 * _MIB, f"the consumer has grown by {grown / _MIB:.0f} MiB"


@pytest.mark.fault("F10 poison of 20 MB")
async def test_large_poison_becomes_dead_letters_byte_for_byte_and_the_consumer_lives(rig, size):
    # Few at once: of 20 MB each, as many as may be unsettled are in memory together.
    grown = await poison(rig, Listening(name="one", attempts=3, prefetch=2), 14, large=size(1, 3))
    assert grown < 200 * _MIB, f"the consumer has grown by {grown / _MIB:.0f} MiB"


async def poison(rig, listening: Listening, count: int, large: int) -> int:
    """Send poison between good events, check its dead letters; return the bytes that the consumer has grown by."""
    consumer = await rig.consume(listening)
    await rig.produce(rate=50)
    await rig.flow(50)
    before = consumer.rss()
    messages = poisons(rig.random, count, large)
    rig.fault(len(messages))
    send = {"amqp": send_amqp, "stomp": send_stomp}[rig.provider]
    await in_thread(send, "127.0.0.1", rig.broker.port, "app", "secret", rig.event, messages)
    await rig.flow(100, "the consumer lives")
    assert consumer.alive
    figures = await rig.settle()
    figures.grown = max(0, rig.memory["consumer"] - before)
    rig.check(redeliveries=0)
    dead = [letter for letter in rig.dead_letters if not letter.event_id]
    missing = Counter(poison.body for poison in messages) - Counter(letter.body for letter in dead)
    kinds = {poison.kind for poison in messages if poison.body in missing}
    assert not missing, f"not in the dead letters: {sum(missing.values())}, of {kinds}"
    # A message without an id that the broker hands out again, because it was restarted, is a letter again.
    assert len(messages) <= figures.dead_letters <= len(messages) + figures.stuck
    for letter in dead:
        assert letter.headers["aspyx-attempts"] == "1", "what cannot be read is not tried again"
        assert letter.headers["aspyx-cause-type"].endswith(("DecodeError", "LimitExceededError"))
        assert letter.headers["aspyx-original-address"] == rig.event
    return figures.grown
