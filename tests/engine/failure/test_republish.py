"""Copies that are made twice, because the process died between copy and acknowledgement, have one id."""

from __future__ import annotations

import pytest

from aspyx_event.engine.failure.republish import dead_letter, retry_copy
from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.providers.base import Binding

HEADERS = {CE_ID: "event-1", "tenant": "a"}
QUEUE = Binding(address="shop.order", queue="billing", durable=True)


def retry(body=b"{}", headers=HEADERS, attempt=2, queue=QUEUE):
    return retry_copy(Envelope(body, dict(headers)), queue, attempt, 5.0, 1_000.0).dedup_id


def letter(body=b"{}", event_id="event-1", subscription="billing", **headers):
    return dead_letter(
        body,
        {**HEADERS, **headers},
        ValueError("told to fail"),
        event_name="shop.order",
        subscription=subscription,
        queue="billing",
        attempts=3,
        event_id=event_id,
    ).dedup_id


def test_the_same_attempt_and_the_same_letter_have_the_same_id():
    assert retry() == retry()
    assert letter() == letter()


@pytest.mark.parametrize(
    "other",
    [
        {"attempt": 3},
        {"body": b"other"},
        {"headers": {CE_ID: "event-2"}},
        {"headers": {**HEADERS, "aspyx-replay-of": "letter-1"}},
        {"queue": Binding(address="shop.order", queue="shipping", durable=True)},
    ],
    ids=["attempt", "body", "event", "replay", "queue"],
)
def test_a_copy_of_anything_else_has_another_id(other):
    assert retry(**other) != retry()


def test_letters_of_other_events_listeners_and_replays_have_other_ids():
    ids = {letter(), letter(b"other"), letter(event_id="event-2"), letter(subscription="shipping")}
    ids.add(letter(**{"aspyx-replay-of": "letter-1"}))
    assert len(ids) == 5


def test_without_an_event_id_no_copy_is_taken_for_another():
    assert letter(event_id="") != letter(event_id="")
    assert retry(headers={}) != retry(headers={})
