"""What is told of handlers that share a queue, consume patterns, have conditions, or return events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from opentelemetry import trace
from support_core import Recorder, eventually

from aspyx_event import AbstractEnvelopePipeline, EventManager, LocalProvider, Retry, correlated, event


def subscription_of(span):
    return span.attributes["messaging.destination.subscription.name"]


async def test_each_handler_of_a_chain_has_its_span_and_the_settlement_is_that_of_the_one_that_failed(
    told, order, unique
):
    async def first(_):
        pass

    second = Recorder([LookupError("1")])
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, first, name="first")
        await manager.subscribe(order, second, name="second", requires="first", retry=Retry(attempts=1))
        await manager.send_event(order(1))
        await eventually(lambda: told.named(f"settle {unique}.order"))
    assert [subscription_of(span) for span in told.named(f"process {unique}.order")] == ["first", "second"]
    settle = told.one(f"settle {unique}.order")
    assert (settle.attributes["aspyx_event.settlement"], subscription_of(settle)) == ("dead-letter", "second")
    assert told.total("aspyx_event.dead_letters", name="second") == 1


async def test_what_a_listener_asked_for_is_the_template_of_what_it_gets(told, unique):
    @event(name=f"{unique}.order")
    @dataclass
    class Order:
        number: int

    @event(name=f"{unique}.express-order")
    @dataclass
    class ExpressOrder(Order):
        pass

    seen = Recorder()
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        manager.events.add(ExpressOrder)
        await manager.subscribe(Order, seen, name="all", subtypes=True)
        await manager.send_event(ExpressOrder(1))
        await eventually(lambda: told.named(f"settle {unique}.order"))
    process = told.one(f"process {unique}.order")
    assert process.attributes["messaging.destination.template"] == f"{unique}.order"
    assert process.attributes["messaging.destination.name"] == f"{unique}.express-order"


async def test_an_event_that_is_not_wanted_is_told_as_skipped(told, order, unique):
    seen = Recorder()
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, seen, name="odd", when=lambda event: event.number % 2)
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await eventually(lambda: len(told.named(f"settle {unique}.order")) == 2)
    outcomes = [span.attributes.get("aspyx_event.outcome") for span in told.named(f"process {unique}.order")]
    assert outcomes == [None, "skipped"]
    assert told.total("aspyx_event.processed.messages", outcome="skipped") == 1
    assert told.total("aspyx_event.processed.messages", outcome="success") == 1


async def test_an_event_that_a_handler_returns_is_part_of_the_story(told, order, invoice, unique):
    got = Recorder()

    async def bill(event) -> invoice:  # type: ignore[valid-type]
        return invoice(event.number)

    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, bill, name="billing")
        await manager.subscribe(invoice, got, name="ledger")
        with correlated("request-1"):
            receipt = manager.send_event(order(1))
        await eventually(lambda: told.named(f"settle {unique}.invoice"))
    (context,) = got.contexts
    assert (context.correlation_id, context.causation_id) == ("request-1", receipt.id)
    create, process = told.one(f"create {unique}.invoice"), told.one(f"process {unique}.order")
    assert create.parent.span_id == process.context.span_id
    assert create.attributes["messaging.message.id"] == context.event_id


async def test_what_is_processed_here_and_now_knows_its_cause_and_the_trace_of_its_caller(told, order, invoice):
    seen, inside = [], []

    async def bill(event, context) -> invoice:  # type: ignore[valid-type]
        inside.append(trace.get_current_span())
        seen.append(context)
        return invoice(event.number)

    async def book(event, context):
        seen.append(context)

    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, bill, name="billing")
        await manager.subscribe(invoice, book, name="ledger")
        with correlated("request-1"), told.tracer.start_as_current_span("request") as request:
            await manager.process_async(order(1))
    first, second = seen
    assert (first.correlation_id, first.causation_id) == ("request-1", "")
    assert (second.correlation_id, second.causation_id) == ("request-1", first.event_id)
    assert inside == [request]
    # Nothing was sent, so nothing is told to have been.
    assert [span.name for span in told.spans] == ["request"]


async def test_the_context_of_a_stopped_send_goes_nowhere(told, order, unique):
    """An interceptor that does not proceed: created, and never sent."""

    class Stop(AbstractEnvelopePipeline):
        async def send(self, envelope, event_descriptor):
            await asyncio.sleep(0)

    async with EventManager(LocalProvider(), pipelines=[Stop()], observers=[told.telemetry()]) as manager:
        await manager.send_event(order(1))
    assert [span.name for span in told.spans] == [f"create {unique}.order"]
    assert told.total("messaging.client.sent.messages") == 0
