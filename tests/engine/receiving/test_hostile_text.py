"""Text of a sender in log lines and reprs: nothing of it controls a terminal or forges a line."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_waiting import eventually

from aspyx_event import EventManager, LocalProvider, Retry, event
from aspyx_event.database.deduplicate import Deduplicate
from aspyx_event.envelope import CE_CORRELATION, CE_ID, CE_TYPE, CONTENT_TYPE, Envelope
from aspyx_event.log_fields import LOG_FIELDS
from aspyx_event.printable import printable
from aspyx_event.providers.base import Outgoing

FORGED = "7\n2026-01-01 ERROR the broker is gone\r\x1b]0;title\x07\x1b[2J\x9b\u2028\u202e\x00"


@event("hostile-text.order", durable=True)
@dataclass
class Order:
    number: int


async def test_no_log_record_and_no_repr_has_a_control_character_of_a_sender(caplog):
    caplog.set_level(logging.DEBUG, "aspyx")
    reprs, calls = [], []
    provider = LocalProvider()

    async def handle(order, context):
        calls.append(order.number)
        reprs.extend((repr(context), repr(context.envelope)))
        if order.number < 2:
            raise ValueError(f"no order for {context.event_id}")

    async with EventManager(provider, pipelines=[Deduplicate()]) as manager:
        await manager.subscribe(Order, handle, name="listener", retry=Retry(attempts=2, delay=0.001))
        for number, event_id in ((1, FORGED), (2, f"{FORGED}2"), (2, f"{FORGED}2")):
            headers = {CE_ID: event_id, CE_CORRELATION: FORGED, CE_TYPE: "hostile-text.order", FORGED: FORGED}
            envelope = Envelope(b'{"number": %d}' % number, {**headers, CONTENT_TYPE: "application/json"})
            await provider.publish(
                Outgoing(address="hostile-text.order", envelope=envelope, dedup_id=event_id, durable=True)
            )
        await eventually(lambda: calls == [1, 1, 2])
        await eventually(lambda: "was already handled" in caplog.text)
        [letter] = await manager.dead_letters.list("listener")
        reprs.append(repr(letter))
    assert letter.event_id == FORGED
    texts = [record.getMessage() for record in caplog.records]
    texts += [str(getattr(record, name, "")) for record in caplog.records for name in LOG_FIELDS]
    assert any("2026-01-01" in text for text in texts), "the id is logged"
    for text in (*texts, *reprs):
        assert text.isprintable(), ascii(text)


@given(st.text())
def test_printable_text_is_printable_and_tells_what_it_was(text):
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("keep", ["\n", "\n\t"])
def test_characters_to_keep_stay(keep):
    assert printable(f"a{keep}b\x1b", keep=keep) == f"a{keep}b\\x1b"
