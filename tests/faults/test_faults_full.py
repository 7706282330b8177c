"""F12: a broker that has no room, in all the ways Artemis can be told to behave then."""

from __future__ import annotations

import pytest
from support_faults_plan import Listening


def policies():
    return [
        pytest.param(name, marks=pytest.mark.fault(f"F12 broker full, {name.upper()}", prefix=f"full.{name}."))
        for name in ("page", "block", "fail", "drop")
    ]


@pytest.mark.parametrize("policy", policies())
async def test_a_full_broker_means_a_typed_error_or_waiting_and_never_a_hang(rig, size, policy):
    listening = Listening(name="one")
    away = await rig.consume(listening, name="away")
    assert await away.stop() == 0
    # A message has 2 kB, the address room for 60.
    count = size(200, 2_500)
    rig.fault()
    # PAGE and DROP take everything, however slow the machine is.
    patience = {"confirm_timeout": 3.0 if policy in ("block", "fail") else 60.0}
    flood = await rig.produce("flood", count=count, padding=2_000, connection=patience, window=count)
    assert await flood.ended(60) == 0
    rig.ledger.read()
    refused = set(rig.ledger.refused.values())
    assert len(rig.ledger.accepted) + len(rig.ledger.refused) == count
    # With FAIL, what waits behind a refusal may wait too long. STOMP has no refusal of one message: the broker ends the
    # connection, and the rest is sent again. AMQP senders get no credit any more after the 1000 they had.
    impatient = {"ConfirmTimeoutError"}
    possible = {"page": set(), "block": impatient, "fail": {"NotAcceptedError", *impatient}, "drop": set()}
    # BLOCK holds AMQP senders by credit, of which 1000 were given before, and STOMP senders not at all.
    assert refused <= possible[policy]
    assert refused or policy != "fail"
    rig.over()
    await rig.consume(listening, name="back")
    await rig.until(lambda: rig.ledger.listeners["one"].handled, "it is there")
    again = await rig.produce("again", count=50, rate=100)
    assert await again.ended(60) == 0
    figures = await rig.settle()
    if policy == "drop":
        assert figures.lost > 0
        figures.dropped, figures.lost = figures.lost, 0
        assert not {event_id for ids in rig.lost().values() for event_id in ids if event_id.startswith("again")}
    else:
        rig.check(redeliveries=0, refusals=True, ordered=policy == "page", readiness=False)
