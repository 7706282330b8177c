"""Correlation and causation ids: what they are by default, and who may give them."""

from __future__ import annotations

import asyncio

import pytest
from support_core import Recorder, eventually

from aspyx_event import DeclarationError, EventManager, LocalProvider, Retry, RetryMode, correlated
from aspyx_event.envelope import CE_CAUSATION, CE_CORRELATION, CE_PREFIX


def ids(context):
    return context.correlation_id, context.causation_id


async def test_an_event_that_nothing_caused_is_its_own_correlation(order):
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(order, seen, name="billing")
        receipt = manager.send_event(order(1))
        await eventually(lambda: seen.handled)
    assert ids(seen.contexts[0]) == (receipt.id, "")


@pytest.mark.parametrize("inline", [True, False], ids=["on the loop", "in a thread"])
async def test_an_event_sent_in_a_handler_names_its_cause(order, invoice, inline):
    seen, cause = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(order, cause, name="watch")
        await manager.subscribe(
            order, lambda event: manager.send_event(invoice(1)) and None, name="bill", inline=inline
        )
        await manager.subscribe(invoice, seen, name="ledger")
        with correlated("request-1"):
            receipt = manager.send_event(order(1))
        await eventually(lambda: seen.handled and cause.handled)
    assert ids(cause.contexts[0]) == ("request-1", "")
    assert ids(seen.contexts[0]) == ("request-1", receipt.id)


async def test_a_handler_may_begin_another_correlation(order, invoice):
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:

        async def split(event):
            with correlated(f"part-{event.number}"):
                await manager.send_event(invoice(1))
            await manager.send_event(invoice(2))

        await manager.subscribe(order, split, name="split")
        await manager.subscribe(invoice, seen, name="ledger")
        receipt = manager.send_event(order(1))
        await eventually(lambda: len(seen.handled) == 2)
    assert [ids(context) for context in seen.contexts] == [("part-1", receipt.id), (receipt.id, receipt.id)]


async def test_the_workers_of_a_manager_started_in_a_block_do_not_inherit_its_correlation(order, invoice):
    seen = Recorder()
    manager = EventManager(LocalProvider())
    with correlated("start-up"):
        await manager.start()
        await manager.subscribe(order, lambda event: manager.send_event(invoice(1)) and None, name="bill", inline=True)
        await manager.subscribe(invoice, seen, name="ledger")
    receipt = manager.send_event(order(1))
    await eventually(lambda: seen.handled)
    await manager.stop()
    assert ids(seen.contexts[0]) == (receipt.id, receipt.id)


@pytest.mark.parametrize("mode", list(RetryMode))
async def test_both_ids_are_kept_over_retry_dead_letter_and_replay(order, invoice, mode):
    seen = Recorder([LookupError("1"), LookupError("2")])
    async with EventManager(LocalProvider()) as manager:
        retry = Retry(attempts=2, delay=0.0, mode=mode)
        subscription = await manager.subscribe(invoice, seen, name="ledger", retry=retry)
        await manager.subscribe(order, lambda event: manager.send_event(invoice(1)) and None, name="bill", inline=True)
        with correlated("request-1"):
            receipt = manager.send_event(order(1))
        await eventually(lambda: subscription.stats.dead_letters)
        (letter,) = await eventually(manager.dead_letters.list)
        assert letter.headers["cloudEvents_correlationid"] == "request-1"
        assert letter.headers["cloudEvents_causationid"] == receipt.id
        await manager.dead_letters.replay(letter.id)
        await eventually(lambda: seen.handled)
    assert [ids(context) for context in seen.contexts] == [("request-1", receipt.id)] * 3


def test_a_plain_script_correlates_too(order):
    seen = []
    manager = EventManager(LocalProvider())

    def note(event, context):
        seen.append(ids(context))

    manager.subscribe(order, note, name="billing")
    with correlated("job-1"):
        manager.send_event(order(1))
    asyncio.run(manager.stop())
    assert seen == [("job-1", "")]


@pytest.mark.parametrize("wrong", ["", None, 7])
def test_a_correlation_id_is_text(wrong):
    with pytest.raises(DeclarationError, match="correlated"), correlated(wrong):
        raise AssertionError("not reached")


def test_ids_are_attributes_that_cloudevents_allows():
    for name in (CE_CORRELATION, CE_CAUSATION):
        attribute = name.removeprefix(CE_PREFIX)
        assert attribute.isalnum()
        assert attribute.islower()
        assert len(attribute) <= 20
