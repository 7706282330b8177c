"""Spans of an event: which, how they hang together, over retries, dead letters and replays, on every provider."""

from __future__ import annotations

import asyncio
import threading

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.trace import SpanKind
from support_core import Recorder, eventually
from support_observability import handled, links_of, parent_of

from aspyx_event import AbstractEnvelopePipeline, DeclarationError, EventManager, LocalProvider, Retry
from aspyx_event.observer import Observer

PATIENCE = 30.0


async def test_one_event_is_one_trace_from_its_sender_to_its_settlement(told, make_provider, order, unique):
    seen = Recorder()
    async with EventManager(make_provider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, seen, name=f"{unique}.billing")
        with told.tracer.start_as_current_span("request"):
            receipt = manager.send_event(order(1))
            await receipt
        await handled(told, f"{unique}.order")
        provider = manager.provider
    request, create = told.one("request"), told.one(f"create {unique}.order")
    send, receive = told.one(f"send {unique}.order"), told.one(f"receive {unique}.order")
    process, settle = told.one(f"process {unique}.order"), told.one(f"settle {unique}.order")
    assert len({span.context.trace_id for span in told.spans}) == 1
    assert parent_of(create) == request.context.span_id
    assert [parent_of(span) for span in (send, receive, process)] == [create.context.span_id] * 3
    assert parent_of(settle) == process.context.span_id
    assert [links_of(span) for span in (send, receive, process, settle)] == [[create.context.span_id]] * 4
    assert (create.kind, send.kind, receive.kind) == (SpanKind.PRODUCER, SpanKind.CLIENT, SpanKind.CLIENT)
    assert (process.kind, settle.kind) == (SpanKind.CONSUMER, SpanKind.CLIENT)
    for span in (create, send, receive, process, settle):
        assert span.attributes["messaging.message.id"] == receipt.id
        assert span.attributes["messaging.message.conversation_id"] == receipt.id
        assert span.attributes["messaging.destination.name"] == f"{unique}.order"
        assert span.attributes["messaging.operation.type"] == span.name.split()[0]
        assert span.attributes["messaging.system"] == ("in_process" if provider.name == "local" else "activemq")
        assert ("server.port" in span.attributes) is (provider.name != "local")
    assert process.attributes["messaging.destination.subscription.name"] == f"{unique}.billing"
    assert process.attributes["messaging.message.body.size"] == len(seen.contexts[0].envelope.body)
    assert settle.attributes["aspyx_event.settlement"] == "acknowledge"
    assert seen.contexts[0].headers["traceparent"].split("-")[2] == f"{create.context.span_id:016x}"


async def test_events_that_a_handler_sends_are_children_of_its_span(told, make_provider, order, invoice, unique):
    got = Recorder()
    loop = asyncio.get_running_loop()
    async with EventManager(make_provider(), observers=[told.telemetry()]) as manager:

        def bill(event, context):  # in a worker thread
            asyncio.run_coroutine_threadsafe(_send(manager, invoice(event.number)), loop).result(PATIENCE)

        await manager.subscribe(order, bill, name=f"{unique}.billing")
        await manager.subscribe(invoice, got, name=f"{unique}.ledger")
        receipt = manager.send_event(order(1))
        await receipt
        await handled(told, f"{unique}.invoice")
    process, create = told.one(f"process {unique}.order"), told.one(f"create {unique}.invoice")
    assert parent_of(create) == process.context.span_id
    assert parent_of(told.one(f"process {unique}.invoice")) == create.context.span_id
    assert create.attributes["aspyx_event.causation_id"] == receipt.id
    assert create.attributes["messaging.message.conversation_id"] == receipt.id
    assert (got.contexts[0].correlation_id, got.contexts[0].causation_id) == (receipt.id, receipt.id)


async def _send(manager, event):
    await manager.send_event(event)


async def test_without_parent_each_attempt_is_a_trace_of_its_own_that_links_to_the_creation(told, order, unique):
    seen = Recorder([LookupError("1")])
    async with EventManager(LocalProvider(), observers=[told.telemetry(parent=False)]) as manager:
        await manager.subscribe(order, seen, name="billing", retry=Retry(attempts=2, delay=0.0))
        await manager.send_event(order(1))
        await handled(told, f"{unique}.order")
    create, processes = told.one(f"create {unique}.order"), told.named(f"process {unique}.order")
    assert [parent_of(span) for span in processes] == [None, None]
    assert all(create.context.span_id in links_of(span) for span in processes)
    assert len({span.context.trace_id for span in (create, *processes)}) == 3
    assert parent_of(told.one(f"settle {unique}.order")) == processes[1].context.span_id


async def test_without_create_spans_the_send_span_is_the_creation(told, order, unique):
    seen = Recorder()
    async with EventManager(LocalProvider(), observers=[told.telemetry(spans=["send", "process"])]) as manager:
        await manager.subscribe(order, seen, name="billing")
        await manager.send_event(order(1))
        await eventually(lambda: told.named(f"process {unique}.order"))
    assert [span.name.split()[0] for span in told.spans] == ["send", "process"]
    send = told.one(f"send {unique}.order")
    assert send.kind is SpanKind.PRODUCER
    assert parent_of(told.one(f"process {unique}.order")) == send.context.span_id


async def test_without_spans_the_context_of_the_sender_reaches_the_handler(told, order):
    inside = []

    def handler(event):
        inside.append(trace.get_current_span().get_span_context().span_id)

    async with EventManager(LocalProvider(), observers=[told.telemetry(spans=())]) as manager:
        await manager.subscribe(order, handler, name="billing")
        with told.tracer.start_as_current_span("request") as request:
            await manager.send_event(order(1))
        await eventually(lambda: inside)
    assert inside == [request.get_span_context().span_id]
    assert [span.name for span in told.spans] == ["request"]


async def test_interceptors_and_handlers_run_inside_the_process_span(told, order, unique):
    inside = {}

    class Interceptor(AbstractEnvelopePipeline):
        async def handle(self, envelope, event_listener_descriptor):
            inside["interceptor"] = trace.get_current_span()
            await self.proceed_handle(envelope, event_listener_descriptor)

    def in_thread(event):
        inside["thread"] = trace.get_current_span()
        assert threading.current_thread() is not threading.main_thread()

    pipelines = [Interceptor()]
    async with EventManager(LocalProvider(), pipelines=pipelines, observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, in_thread, name="billing")
        await manager.send_event(order(1))
        await handled(told, f"{unique}.order")
    process = told.one(f"process {unique}.order")
    assert {span.get_span_context().span_id for span in inside.values()} == {process.context.span_id}


async def test_a_worker_does_not_work_in_the_trace_of_whoever_started_the_manager(told, order, unique):
    seen = Recorder()
    manager = EventManager(LocalProvider(), observers=[told.telemetry()])
    with told.tracer.start_as_current_span("start"):
        await manager.start()
        await manager.subscribe(order, seen, name="billing")
    await manager.send_event(order(1))
    await handled(told, f"{unique}.order")
    await manager.stop()
    assert told.one(f"process {unique}.order").context.trace_id != told.one("start").context.trace_id


async def test_a_context_given_by_the_sender_is_kept(told, order, unique):
    seen = Recorder()
    given = f"00-{7:032x}-{9:016x}-01"
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, seen, name="billing")
        await manager.send_event(order(1), headers={"traceparent": given, "tracestate": "a=b"})
        await handled(told, f"{unique}.order")
    assert not told.named(f"create {unique}.order")
    assert seen.contexts[0].headers["traceparent"] == given
    process = told.one(f"process {unique}.order")
    assert (process.context.trace_id, parent_of(process)) == (7, 9)
    assert process.context.trace_state["a"] == "b"


async def test_baggage_travels_with_the_event(told, order):
    inside = []

    async def handler(event):
        inside.append(baggage.get_baggage("tenant"))

    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, handler, name="billing")
        token = context.attach(baggage.set_baggage("tenant", "a"))
        try:
            await manager.send_event(order(1))
        finally:
            context.detach(token)
        await eventually(lambda: inside)
    assert inside == ["a"]


async def test_a_foreign_event_with_the_attributes_of_the_cloudevents_extension_is_traced(told, order, unique):
    seen = Recorder()

    class Foreign(AbstractEnvelopePipeline):
        def send(self, envelope, event_descriptor):
            envelope.set("cloudEvents_traceparent", f"00-{7:032x}-{9:016x}-01")
            return self.next.send(envelope, event_descriptor)

    provider = LocalProvider()
    async with (
        EventManager(provider, observers=[told.telemetry()]) as manager,
        EventManager(LocalProvider(broker=provider.broker), pipelines=[Foreign()]) as foreign,
    ):
        await manager.subscribe(order, seen, name="billing")
        await foreign.send_event(order(1))
        await handled(told, f"{unique}.order")
    assert told.one(f"process {unique}.order").context.trace_id == 7


def test_an_unknown_operation_is_refused():
    from aspyx_event.opentelemetry import OpenTelemetry

    with pytest.raises(DeclarationError, match="publish"):
        OpenTelemetry(spans=["publish"])


def test_a_plain_script_is_traced_too(told, order, unique):
    """No loop: the work is done on the manager's own, in the trace of the caller."""
    seen = []
    manager = EventManager(LocalProvider(), observers=[told.telemetry()])
    manager.subscribe(order, lambda event: seen.append(event.number), name="billing")
    with told.tracer.start_as_current_span("script"):
        manager.send_event(order(1))
    asyncio.run(manager.stop())
    assert seen == [1]
    assert {span.context.trace_id for span in told.spans} == {told.one("script").context.trace_id}


def test_the_global_propagator_is_asked_at_each_use(told, monkeypatch):
    from opentelemetry.propagators.composite import CompositePropagator

    from aspyx_event.opentelemetry.propagation import Propagation

    propagation, headers = Propagation(), {"traceparent": f"00-{7:032x}-{9:016x}-01"}
    assert trace.get_current_span(propagation.read(headers)).get_span_context().trace_id == 7
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", CompositePropagator([]))
    assert not trace.get_current_span(propagation.read(headers)).get_span_context().is_valid


async def test_nothing_of_one_event_sticks_to_the_next_one_of_the_same_worker(told, order, unique):
    between = []

    class Between(Observer):
        def settling(self, envelope, listener, settlement):
            between.append(trace.get_current_span().get_span_context())

    seen = Recorder()
    async with EventManager(LocalProvider(), observers=[told.telemetry(), Between()]) as manager:
        await manager.subscribe(order, seen, name="billing")
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await handled(told, f"{unique}.order", 2)
    creations = [span.context.span_id for span in told.named(f"create {unique}.order")]
    assert [links_of(span) for span in told.named(f"process {unique}.order")] == [[creation] for creation in creations]
    assert not any(context.is_valid for context in between), "the span of an attempt outlives it"
