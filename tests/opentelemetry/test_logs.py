"""Log records that say which event they are about: those of the framework, and those that handlers write."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime, timezone

import pytest
from support_core import Recorder, RefusingLetters, eventually
from support_observability import everything_logged

from aspyx_event import EventManager, LocalProvider, Retry, RetryMode
from aspyx_event.log_filter import EventLogFilter

application = logging.getLogger("application")
FIELDS = ("event_id", "event_name", "correlation_id", "subscription")


class Records(logging.Handler):
    """Keeps the records, as a handler of the application would have them."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def about(self, words):
        return [record for record in self.records if words in record.getMessage()]


@pytest.fixture
def records():
    """All records at all levels, unfiltered."""
    with everything_logged(Records()) as handler:
        yield handler


def fields(record):
    return tuple(getattr(record, name) for name in FIELDS)


@pytest.mark.parametrize("threaded", [True, False], ids=["worker thread", "loop"])
async def test_what_a_handler_logs_names_its_event_listener_and_correlation(records, order, unique, threaded):
    records.addFilter(EventLogFilter())

    def on_thread(event):
        application.info("billing %d", event.number)

    async def on_loop(event):
        on_thread(event)

    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(order, on_thread if threaded else on_loop, name="billing")
        receipt = manager.send_event(order(1))
        await eventually(lambda: records.about("billing 1"))
        application.info("outside")
    (record,) = records.about("billing 1")
    assert fields(record) == (receipt.id, f"{unique}.order", receipt.id, "billing")
    assert (record.threadName != "MainThread") is threaded
    (outside,) = records.about("outside")
    assert fields(outside) == ("", "", "", "")


@pytest.mark.parametrize("mode", list(RetryMode))
async def test_records_of_failures_name_their_event_without_any_filter(records, order, unique, mode):
    seen = Recorder([LookupError("1"), LookupError("2")])
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(order, seen, name="billing", retry=Retry(attempts=2, delay=0.0, mode=mode))
        receipt = manager.send_event(order(1))
        await eventually(lambda: len(records.about("failed on event")) == 2)
    for record in records.about("failed on event"):
        assert fields(record) == (receipt.id, f"{unique}.order", receipt.id, "billing")


async def test_every_record_that_tells_an_event_id_or_a_listener_has_the_fields(records, order, unique):
    """All that can go wrong with an event, and all that is said about it."""

    async def ignore_limit(event):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await eventually(lambda: records.about("ignores its time limit"))

    def no_order(event):
        raise LookupError("no order")

    async with EventManager(RefusingLetters()) as manager:
        slow = await manager.subscribe(order, ignore_limit, name="slow", retry=Retry(timeout=0.01))
        sorted_ = await manager.subscribe(order, Recorder(), name="sorted", order_by=no_order, concurrency=2)
        receipt = manager.send_event(order(1))
        await eventually(lambda: slow.stats.dead_letters and records.about("was not stored"))
        await eventually(lambda: sorted_.stats.count)
    expected = {
        "ignores its time limit": "slow",
        "failed on event": "slow",
        "was not stored": "slow",
        "order_by failed": "sorted",
    }
    for words, subscription in expected.items():
        found = records.about(words)
        assert found, words
        for record in found:
            assert fields(record) == (receipt.id, f"{unique}.order", receipt.id, subscription), words


async def test_a_record_of_the_framework_keeps_its_fields_under_the_filter(records, order):
    """The one who logs knows better than the context what it is about."""
    handler = Records()
    handler.addFilter(EventLogFilter())
    record = logging.makeLogRecord({"msg": "x", "event_id": "mine", "correlation_id": "also"})
    handler.handle(record)
    assert fields(record) == ("mine", "", "also", "")


async def test_records_can_be_json_lines(order, unique, capsys):
    class JsonLines(logging.Formatter):
        def format(self, record):
            at = datetime.fromtimestamp(record.created, timezone.utc).isoformat()
            return json.dumps(
                {"time": at, "text": record.getMessage(), **{name: getattr(record, name) for name in FIELDS}}
            )

    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(EventLogFilter())
    application.addHandler(handler)
    try:
        async with EventManager(LocalProvider()) as manager:
            done = asyncio.Event()

            async def log(event):
                application.warning("billing")
                done.set()

            await manager.subscribe(order, log, name="billing")
            receipt = manager.send_event(order(1))
            await asyncio.wait_for(done.wait(), 10)
    finally:
        application.removeHandler(handler)
    line = json.loads(capsys.readouterr().err.strip().splitlines()[-1])
    assert (line["text"], line["event_id"], line["subscription"]) == ("billing", receipt.id, "billing")


async def test_a_failed_send_that_nobody_awaited_is_logged_with_its_event_id(records, order):
    async with EventManager(LocalProvider()) as manager:
        event_id = manager.send_event(order(1), require_route=True).id
        await eventually(lambda: records.about("nobody awaited"))
    (record,) = records.about("nobody awaited")
    assert record.event_id == event_id


async def test_a_handler_that_a_stop_cancels_is_logged_with_its_event(records, order, unique):
    entered = asyncio.Event()

    async def hang(event):
        entered.set()
        await asyncio.Event().wait()

    manager = EventManager(LocalProvider(), stop_timeout=0.01)
    await manager.subscribe(order, hang, name="billing")
    receipt = manager.send_event(order(1))
    await entered.wait()
    await manager.stop()
    (record,) = records.about("did not end within")
    assert fields(record) == (receipt.id, f"{unique}.order", receipt.id, "billing")
