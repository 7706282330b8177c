"""Limits of the broker that conflict with the framework's are read at the start and named, if they may be read."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from aspyx_event import DeclarationError, EventManager, LocalProvider, Retry, event
from aspyx_event.providers.base import Binding
from aspyx_event.providers.broker_limits import conflicts

pytestmark = pytest.mark.broker
LOGGER = "aspyx.event.broker_limits"


@event("fight.order", durable=True)
@dataclass
class Fought:
    number: int


@event("peaceful.order", durable=True)
@dataclass
class Peaceful:
    number: int


async def test_conflicting_limits_are_warned_of_once_with_both_values_and_the_cure(strict_broker, make, until, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    async with EventManager(make(strict_broker), retry=Retry(max_crashes=4)) as manager:
        for name in ("first", "second"):
            await manager.subscribe(Fought, print, name=f"limits-{name}")
        await manager.subscribe(Peaceful, print, name="limits-peaceful")
        await until(lambda: len(caplog.records) >= 2)
    attempts, delay = [record.getMessage() for record in caplog.records]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    for part in ("'fight.order'", "3 deliveries", "max-delivery-attempts", "'DLQ'", "Retry(max_crashes=4)", "set max-"):
        assert part in attempts
    for part in ("'fight.order'", "500 ms", "redelivery-delay", "0 ms", "set redelivery-delay to 0"):
        assert part in delay


async def test_without_the_right_to_read_limits_everything_works_and_one_line_says_so(
    strict_broker, make, until, caplog
):
    caplog.set_level(logging.INFO, LOGGER)
    got = []
    async with EventManager(make(strict_broker, user="app", password="secret")) as manager:
        for kind in (Fought, Peaceful):
            await manager.subscribe(kind, got.append, name=f"blind-{kind.__name__}", inline=True)
        await until(lambda: caplog.records)
        await manager.send_event(Fought(1))
        await until(lambda: got)
        assert manager.provider.reconnects == 0
    [record] = [record for record in caplog.records if record.name == LOGGER]
    assert record.levelno == logging.INFO
    assert "manage" in record.getMessage()
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "crashes", "expected"),
    [
        ({"deadLetterAddress": "DLQ"}, 3, []),
        ({"deadLetterAddress": "DLQ"}, 10, ["max-delivery-attempts"]),
        ({"deadLetterAddress": "DLQ", "maxDeliveryAttempts": -1}, 50, []),
        ({"maxDeliveryAttempts": -1}, 3, []),
        ({}, 3, ["no dead-letter-address"]),
        ({"maxDeliveryAttempts": 1}, 3, ["drops it"]),
        ({"deadLetterAddress": "DLQ", "redeliveryDelay": 1}, 3, ["redelivery-delay"]),
        ({"deadLetterAddress": "DLQ", "addressFullMessagePolicy": "DROP"}, 3, ["address-full-policy DROP"]),
        ({"deadLetterAddress": "DLQ", "addressFullMessagePolicy": "BLOCK"}, 3, []),
    ],
)
def test_a_conflict_is_what_the_broker_would_do_first_or_lose(settings, crashes, expected):
    binding = Binding(address="a", queue="q", durable=True, max_crashes=crashes, label="listener")
    warnings = list(conflicts(binding, settings))
    assert len(warnings) == len(expected)
    assert all(part in line for part, line in zip(expected, warnings, strict=True))


async def test_a_managers_delayed_retries_are_not_for_listeners_whose_queue_has_no_name():
    async with EventManager(LocalProvider(), retry=Retry(attempts=2, mode="delayed")) as manager:
        with pytest.raises(DeclarationError, match="in-order"):
            manager.subscribe(Peaceful, print, name="own", per_process=True)
