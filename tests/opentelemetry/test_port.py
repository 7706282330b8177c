"""The port for observers: what they are told and when, and that they cannot harm what they watch."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from support_core import Recorder, eventually

from aspyx_event import AckPolicy, EventManager, LocalProvider, Retry, RetryMode
from aspyx_event.observer import Observer, Settlement


class Diary(Observer):
    """Writes down everything."""

    def __init__(self):
        self.lines = []

    def for_manager(self, provider, subscriptions):
        self.lines.append(f"for a manager on {provider.name} with {len(list(subscriptions))} subscriptions")
        return self

    def started(self):
        self.lines.append("started")

    def stopped(self):
        self.lines.append("stopped")

    def created(self, envelope, event):
        self.lines.append("created")

    def sending(self, message, event):
        return self._begin("sending")

    def received(self, envelope, listener, arrived):
        self.lines.append(f"received by {listener.name}")

    def handling(self, context):
        return self._begin(f"attempt {context.attempt}")

    def retrying(self, context, error, delay):
        self.lines.append(f"retrying after {error}")

    def settling(self, envelope, listener, settlement):
        return self._begin(settlement.value)

    def replaying(self, envelope, listener, letter_id):
        return self._begin("replay")

    def _begin(self, what):
        self.lines.append(what)
        return lambda error: self.lines.append(f"{what}: {'done' if error is None else type(error).__name__}")


async def test_an_observer_is_told_every_stage_in_its_order(order):
    diary, seen = Diary(), Recorder([LookupError("a"), LookupError("b")])
    async with EventManager(LocalProvider(), observers=[diary]) as manager:
        await manager.subscribe(order, seen, name="billing", retry=Retry(attempts=2, delay=0.0))
        await manager.send_event(order(1))
        await eventually(lambda: "dead-letter: done" in diary.lines)
        (letter,) = await manager.dead_letters.list()
        await manager.dead_letters.replay(letter.id)
        await eventually(lambda: "acknowledge: done" in diary.lines)
    # Confirmations come when they come.
    confirmed = ("sending: done", "replay: done")
    assert [diary.lines.count(line) for line in confirmed] == [1, 1]
    lines = [line for line in diary.lines if line not in confirmed]
    assert lines == [
        "for a manager on local with 0 subscriptions",
        "started",
        "created",
        "sending",
        "received by billing",
        "attempt 1",
        "attempt 1: LookupError",
        "retrying after a",
        "attempt 2",
        "attempt 2: LookupError",
        "dead-letter",
        "dead-letter: done",
        "replay",
        "received by billing",
        "attempt 1",
        "attempt 1: done",
        "acknowledge",
        "acknowledge: done",
        "stopped",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"retry": Retry(attempts=2, delay=0.0, mode=RetryMode.DELAYED)}, ["retry", "dead-letter"]),
        ({"retry": Retry(dead_letter=False)}, ["drop"]),
        ({"ack": AckPolicy.BEFORE}, ["acknowledge", "drop"]),
    ],
    ids=["delayed retry", "no dead letter", "acknowledged before"],
)
async def test_each_settlement_is_told_by_its_name(order, options, expected):
    diary, seen = Diary(), Recorder([LookupError("a"), LookupError("b")])
    names = {one.value for one in Settlement}
    async with EventManager(LocalProvider(), observers=[diary]) as manager:
        await manager.subscribe(order, seen, name="billing", **options)
        await manager.send_event(order(1))
        await eventually(lambda: f"{expected[-1]}: done" in diary.lines)
    assert [line for line in diary.lines if line in names] == expected


async def test_what_goes_back_unhandled_was_neither_received_nor_settled(order):
    diary, entered = Diary(), asyncio.Event()

    async def hang(event):
        entered.set()
        await asyncio.Event().wait()

    manager = EventManager(LocalProvider(), observers=[diary], stop_timeout=0.01)
    await manager.subscribe(order, hang, name="billing")
    for number in range(3):
        await manager.send_event(order(number))
    await entered.wait()
    await manager.stop()
    assert diary.lines.count("received by billing") == 1
    assert diary.lines.count("release: done") == 1
    assert diary.lines.count("attempt 1: CancelledError") == 1


class Broken(Observer):
    """Fails at whatever it is told, and at the end of it."""

    def __init__(self, at_end):
        self.at_end = at_end

    def _fail(self, *arguments):
        if self.at_end:
            return self._fail_later
        raise RuntimeError("observer")

    def _fail_later(self, error):
        raise RuntimeError("observer")

    started = stopped = created = received = retrying = not_stored = sending = handling = settling = replaying = _fail


@pytest.mark.parametrize("at_end", [False, True])
async def test_an_observer_that_fails_harms_neither_events_nor_other_observers(order, caplog, at_end):
    diary, seen = Diary(), Recorder([LookupError("a"), LookupError("b")])
    async with EventManager(LocalProvider(), observers=[Broken(at_end), diary, Broken(at_end)]) as manager:
        await manager.subscribe(order, seen, name="billing", retry=Retry(attempts=2, delay=0.0))
        await manager.send_event(order(1))
        await eventually(lambda: "dead-letter: done" in diary.lines)
        (letter,) = await manager.dead_letters.list()
        await manager.dead_letters.replay(letter.id)
        await eventually(lambda: seen.handled)
    assert "observer Broken failed at" in caplog.text
    assert diary.lines[-1] == "stopped"


async def test_headers_that_an_observer_adds_arrive(order):
    class Stamp(Observer):
        def created(self, envelope, event):
            envelope.set("stamp", "created")

        def sending(self, message, event):
            message.envelope.set("postmark", "sent")

    seen = Recorder()
    async with EventManager(LocalProvider(), observers=[Stamp()]) as manager:
        await manager.subscribe(order, seen, name="billing")
        await manager.send_event(order(1))
        await eventually(lambda: seen.handled)
    assert (seen.contexts[0].headers["stamp"], seen.contexts[0].headers["postmark"]) == ("created", "sent")


def test_the_log_filter_needs_no_opentelemetry_and_telemetry_says_what_is_missing():
    program = """
import sys
sys.modules["opentelemetry"] = None
import aspyx_event.exceptions
from aspyx_event.log_filter import EventLogFilter
EventLogFilter()
try:
    from aspyx_event.opentelemetry import OpenTelemetry
except aspyx_event.exceptions.MissingDriverError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "pip install 'aspyx-event[otel]'" in done.stdout


def test_importing_the_package_does_not_import_opentelemetry():
    program = "import sys, aspyx_event, aspyx_event.opentelemetry; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr
