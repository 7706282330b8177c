"""Spans of what goes wrong: failed sends and attempts, retries, dead letters, replays, stops; and of every settlement."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.trace import StatusCode
from support_core import Recorder, eventually
from support_observability import handled, links_of, parent_of

from aspyx_event import AckPolicy, EventManager, LocalProvider, Retry, RetryMode
from aspyx_event.exceptions import HeaderError, NoRouteError


@pytest.mark.parametrize("mode", list(RetryMode))
async def test_retry_dead_letter_and_replay_stay_in_the_trace(told, make_provider, order, unique, mode):
    seen = Recorder([LookupError("1"), LookupError("2")])
    async with EventManager(make_provider(), observers=[told.telemetry()]) as manager:
        retry = Retry(attempts=2, delay=0.01, mode=mode)
        await manager.subscribe(order, seen, name=f"{unique}.billing", retry=retry)
        receipt = manager.send_event(order(1))
        await receipt
        await eventually(lambda: manager.list_subscriptions()[0].stats.dead_letters)
        await handled(told, f"{unique}.order", 1 if mode is RetryMode.IN_ORDER else 2)
        (letter,) = await manager.dead_letters.list()
        with told.tracer.start_as_current_span("operator"):
            await manager.dead_letters.replay(letter.id)
        await eventually(lambda: seen.handled)
        await handled(told, f"{unique}.order", 2 if mode is RetryMode.IN_ORDER else 3)
    create, replay = told.one(f"create {unique}.order"), told.one(f"replay {unique}.order")
    first, second, third = told.named(f"process {unique}.order")
    assert {span.context.trace_id for span in (first, second, third)} == {create.context.trace_id}
    assert [span.attributes["aspyx_event.attempt"] for span in (first, second, third)] == [1, 2, 1]
    assert [span.status.status_code for span in (first, second, third)] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert first.attributes["error.type"] == "LookupError"
    assert create.context.span_id in links_of(second)
    if mode is RetryMode.IN_ORDER:
        assert first.context.span_id in links_of(second)
    assert third.attributes["aspyx_event.replay_of"] == letter.id
    # The replay is the operator's doing, and says what it replayed.
    assert parent_of(replay) == told.one("operator").context.span_id
    assert links_of(replay) == [create.context.span_id]
    settled = [span.attributes["aspyx_event.settlement"] for span in told.named(f"settle {unique}.order")]
    expected = ["dead-letter", "acknowledge"] if mode is RetryMode.IN_ORDER else ["retry", "dead-letter", "acknowledge"]
    assert settled == expected
    # So do the ids that people look for.
    assert {context.event_id for context in seen.contexts} == {receipt.id}
    assert {context.correlation_id for context in seen.contexts} == {receipt.id}


async def test_a_send_that_fails_is_an_error_in_its_span(told, order, unique):
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        with pytest.raises(NoRouteError):
            await manager.send_event(order(1), require_route=True)
        await eventually(lambda: told.named(f"send {unique}.order"))
    send = told.one(f"send {unique}.order")
    assert send.status.status_code is StatusCode.ERROR
    assert send.attributes["error.type"] == "aspyx_event.exceptions.NoRouteError"


async def test_an_attempt_cancelled_by_a_stop_ends_its_span_and_its_event_is_released(told, order, unique):
    entered = asyncio.Event()

    async def hang(event):
        entered.set()
        await asyncio.Event().wait()

    manager = EventManager(LocalProvider(), stop_timeout=0.01, observers=[told.telemetry()])
    await manager.subscribe(order, hang, name="billing")
    await manager.send_event(order(1))
    await entered.wait()
    await manager.stop()
    assert told.one(f"process {unique}.order").status.status_code is StatusCode.ERROR
    assert told.one(f"settle {unique}.order").attributes["aspyx_event.settlement"] == "release"


@pytest.mark.parametrize(("policy", "settlement"), [(AckPolicy.BEFORE, "acknowledge"), (AckPolicy.MANUAL, "release")])
async def test_every_way_to_settle_has_a_span(told, order, unique, policy, settlement):
    calls = []

    async def handler(event, context):
        calls.append(context)
        if policy is AckPolicy.MANUAL and len(calls) == 1:
            context.release()
        elif policy is AckPolicy.MANUAL:
            context.ack()

    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, handler, name="billing", ack=policy)
        await manager.send_event(order(1))
        await handled(told, f"{unique}.order", 1 if policy is AckPolicy.BEFORE else 2)
    settled = told.named(f"settle {unique}.order")
    assert settled[0].attributes["aspyx_event.settlement"] == settlement
    if policy is AckPolicy.MANUAL:
        first, _ = told.named(f"process {unique}.order")
        assert parent_of(settled[0]) == first.context.span_id


async def test_a_dropped_event_is_told_so(told, order, unique):
    seen = Recorder([LookupError("1")])
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, seen, name="billing", retry=Retry(dead_letter=False))
        await manager.send_event(order(1))
        await handled(told, f"{unique}.order")
    assert told.one(f"settle {unique}.order").attributes["aspyx_event.settlement"] == "drop"


async def test_a_dead_letter_that_must_lose_headers_keeps_its_trace(told, order, unique):
    class Narrow(LocalProvider):
        def publish(self, message):
            if "x" * 2_000 in message.envelope.headers.values() and "aspyx-cause-type" in message.envelope.headers:
                raise HeaderError("too large")
            return super().publish(message)

    seen = Recorder([LookupError("1")])
    async with EventManager(Narrow(), observers=[told.telemetry()]) as manager:
        subscription = await manager.subscribe(order, seen, name="billing")
        await manager.send_event(order(1), headers={"large": "x" * 2_000})
        await eventually(lambda: subscription.stats.dead_letters and told.named(f"settle {unique}.order"))
        (letter,) = await manager.dead_letters.list()
    assert "large" not in letter.headers
    assert letter.headers["traceparent"] == seen.contexts[0].headers["traceparent"]
    assert told.one(f"settle {unique}.order").status.status_code is StatusCode.UNSET
