"""The fault tests notice what they are for: each of them fails on a bug that is put in on purpose."""

from __future__ import annotations

import pytest
import test_faults_broker as broker
import test_faults_handlers as handlers
import test_faults_network as network
import test_faults_processes as processes
from support_faults_health import WRONG

pytestmark = pytest.mark.faults_long

KILLED = broker.test_nothing_confirmed_is_lost_when_the_broker_is_killed_under_load
CLOSED = broker.test_nothing_confirmed_is_lost_when_an_administrator_closes_connections_under_load
FROZEN = broker.test_nothing_confirmed_is_lost_when_the_broker_freezes_under_load
CRASHED = processes.test_what_a_killed_consumer_had_is_handled_by_another_in_the_order_of_its_key
ENDED = processes.test_a_consumer_that_is_told_to_end_does_not_wait_for_ever_and_loses_nothing
UNCONFIRMED = network.test_an_event_whose_confirmation_went_with_the_connection_is_kept_once
RAISED = handlers.test_what_always_fails_becomes_a_dead_letter_and_all_else_is_handled


def size(short, _long):
    """Of the short set; freezes last longer than a process may be wrong about its readiness."""
    return [WRONG + 2] if isinstance(short, list) else short


PROOFS = {
    "settle-first": (CRASHED, "^I1: "),
    "no-resend": (KILLED, "the flow goes on|^refused: |has not ended"),
    "no-second-subscription": (CLOSED, "the flow goes on"),
    "nack": (ENDED, "^I1: "),
    "no-duplicate-id": (UNCONFIRMED, "^I3: |^I5: "),
    "dead-letters-unconfirmed": (RAISED, "^I1: "),
    "always-ready": (FROZEN, "^I9: "),
    "letters-without-headers": (RAISED, "^I12: "),
}


@pytest.mark.parametrize("sabotage", PROOFS)
async def test_a_bug_put_in_on_purpose_is_noticed(rig, sabotage):
    fault, noticed = PROOFS[sabotage]
    rig.sabotage, rig.deadline = sabotage, 20.0
    with pytest.raises((AssertionError, pytest.fail.Exception), match=noticed):
        await fault(rig, size)
