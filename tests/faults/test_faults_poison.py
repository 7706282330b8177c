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
    # Few at once: of 20 MB each, as many as may be unsettled are in memory together.
    consumer = await rig.consume(Listening(name="one", attempts=3, prefetch=2))
    await rig.produce(rate=50)
    await rig.flow(50)
    before = consumer.rss()
    messages = poisons(rig.random, size(140, 5_600), size(2, 10))
    rig.fault(len(messages))
    send = {"amqp": send_amqp, "stomp": send_stomp}[rig.provider]
    await in_thread(send, "127.0.0.1", rig.broker.port, "app", "secret", rig.event, messages)
    await rig.flow(100, "the consumer lives")
    assert consumer.alive
    figures = await rig.settle()
    grown = rig.memory["consumer"] - before
    rig.check(redeliveries=0)
    dead = [letter for letter in rig.dead_letters if not letter.event_id]
    missing = Counter(poison.body for poison in messages) - Counter(letter.body for letter in dead)
    kinds = {poison.kind for poison in messages if poison.body in missing}
    assert not missing, f"not in the dead letters: {sum(missing.values())}, of {kinds}"
    assert figures.dead_letters == len(messages)
    for letter in dead:
        assert letter.headers["aspyx-attempts"] == "1", "what cannot be read is not tried again"
        assert letter.headers["aspyx-cause-type"].endswith(("DecodeError", "LimitExceededError"))
        assert letter.headers["aspyx-original-address"] == rig.event
    assert grown < 100 * _MIB, f"the consumer has grown by {grown / _MIB:.0f} MiB"
