"""Counters, histograms and gauges of sends and subscriptions, and their way to Prometheus."""

from __future__ import annotations

import asyncio
import re
import urllib.request

import prometheus_client
import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.attributes import error_attributes, network_attributes, server_attributes
from support_core import Gate, Recorder, RefusingLetters, eventually

from aspyx_event import AckPolicy, EventManager, LocalBroker, LocalProvider, Retry
from aspyx_event.clock import ManualClock
from aspyx_event.exceptions import NoRouteError
from aspyx_event.opentelemetry import OpenTelemetry, semantics


def test_names_are_those_of_the_semantic_conventions():
    known = {
        value
        for module in (messaging_attributes, messaging_metrics, error_attributes, network_attributes, server_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    ours = {
        value
        for name, value in vars(semantics).items()
        if name.isupper()
        and not name.startswith("CE_")
        and isinstance(value, str)
        and not value.startswith("aspyx_event.")
    }
    assert len(ours) > 12
    assert ours <= known


async def test_everything_a_subscription_does_is_counted(told, make_provider, order, unique):
    seen = Recorder([LookupError("1"), LookupError("2"), LookupError("3")])
    name = f"{unique}.billing"
    async with EventManager(make_provider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, seen, name=name, retry=Retry(attempts=3, delay=0.0))
        await manager.send_event(order(1))
        await manager.send_event(order(2))
        await eventually(lambda: told.total("messaging.client.operation.duration", name="settle") == 2)
        (letter,) = await manager.dead_letters.list()
        await manager.dead_letters.replay(letter.id)
        await eventually(lambda: told.total("messaging.client.operation.duration", name="settle") == 3)
        assert told.total("messaging.client.sent.messages", name=f"{unique}.order") == 2
        assert told.total("messaging.client.operation.duration", name="send") == 2
        assert told.total("messaging.client.consumed.messages", name=name) == 3
        assert told.total("messaging.process.duration", name=name) == 5
        assert told.total("messaging.process.duration", type="LookupError") == 3
        assert {
            attributes["aspyx_event.outcome"]: value
            for attributes, value in told.points("aspyx_event.processed.messages")
            if attributes["messaging.destination.subscription.name"] == name
        } == {"success": 2, "retry": 2, "dead_letter": 1}
        assert told.total("aspyx_event.retries", name=name) == 2
        assert told.total("aspyx_event.dead_letters", name=name) == 1
        assert told.total("aspyx_event.replays", name=name) == 1
        # Of the first attempts at what was sent; a replay says nothing of how fast events are.
        assert told.total("aspyx_event.delivery.lag", name=name) == 2
        assert told.total("aspyx_event.attached", name=name) == 1
        assert told.total("aspyx_event.connected") == 1
        assert told.total("aspyx_event.reconnects") == 0
        assert told.total("aspyx_event.settle.failures") == 0
    assert told.points("aspyx_event.connected") == []


async def test_gauges_tell_what_is_under_way(told, order):
    gate = Gate()
    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, gate, name="billing", concurrency=2)
        for number in range(5):
            await manager.send_event(order(number))
        await eventually(lambda: gate.running == 2)
        assert told.total("aspyx_event.in_flight", name="billing") == 2
        assert told.total("aspyx_event.waiting", name="billing") == 3
        assert told.total("aspyx_event.waiting.oldest", name="billing") > 0
        gate.opened.set()
        await eventually(lambda: len(gate.left) == 5)
        await eventually(lambda: told.total("aspyx_event.in_flight") == 0)
        assert told.total("aspyx_event.waiting") == 0
        assert told.total("aspyx_event.abandoned") == 0


async def test_two_managers_of_a_process_are_both_told(told, order, unique):
    """Each with an `OpenTelemetry` of its own: the gauges of the second must not get lost."""
    broker = LocalBroker()
    managers = [
        EventManager(LocalProvider(broker=broker, server_name=f"s-{number}"), observers=[told.telemetry()])
        for number in (1, 2)
    ]
    for manager in managers:
        async with manager:
            await manager.subscribe(order, Recorder(), name="billing")
            assert [attributes["messaging.client.id"] for attributes, _ in told.points("aspyx_event.attached")] == [
                manager.provider.server_name
            ]
    async with managers[0], managers[1]:
        assert told.total("aspyx_event.connected") == 2


async def test_the_lag_is_the_time_since_the_event_was_made(told, order, monkeypatch):
    seen = Recorder()
    clock = ManualClock()
    async with EventManager(LocalProvider(clock=clock), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, seen, name="billing")
        monkeypatch.setattr("aspyx_event.engine.sending.factory.time_ns", lambda: 1_000_000_000_000_000_000)  # in 2001
        await manager.send_event(order(1))
        await eventually(lambda: seen.handled)
    (point,) = [
        point
        for resource in told.reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "aspyx_event.delivery.lag"
        for point in metric.data.data_points
    ]
    assert point.sum > 20 * 365 * 86_400


async def test_failed_sends_and_copies_that_cannot_be_stored_are_counted(told, order):
    seen = Recorder([LookupError("1")])

    async with EventManager(RefusingLetters(), observers=[told.telemetry()]) as manager:
        with pytest.raises(NoRouteError):
            await manager.send_event(order(0), require_route=True)
        await manager.subscribe(order, seen, name="billing")
        await manager.send_event(order(1))
        await eventually(lambda: told.total("aspyx_event.dead_letters") == 1)
    assert told.total("messaging.client.sent.messages") == 2
    failed = [
        attributes for attributes, _ in told.points("messaging.client.sent.messages") if "error.type" in attributes
    ]
    assert [attributes["error.type"] for attributes in failed] == ["aspyx_event.exceptions.NoRouteError"]
    assert told.total("aspyx_event.settle.failures", name="billing") == 1


async def test_outcomes_of_events_that_are_given_up_or_given_back(told, order):
    async def fail(event):
        raise LookupError

    async with EventManager(LocalProvider(), observers=[told.telemetry()]) as manager:
        await manager.subscribe(order, fail, name="before", ack=AckPolicy.BEFORE)
        await manager.subscribe(order, fail, name="dropped", retry=Retry(dead_letter=False))
        await manager.send_event(order(1))
        await eventually(lambda: told.total("aspyx_event.processed.messages", outcome="dropped") == 2)
    assert told.total("aspyx_event.dead_letters") == 0


async def test_without_metrics_nothing_is_counted(told, order):
    async with EventManager(LocalProvider(), observers=[told.telemetry(metrics=False)]) as manager:
        await manager.send_event(order(1))
    assert told.reader.get_metrics_data() is None


async def test_prometheus_scrapes_them(order, unique):
    reader = PrometheusMetricReader()
    meters = MeterProvider([reader])
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1")
    seen = Recorder()
    try:
        async with EventManager(LocalProvider(), observers=[OpenTelemetry(meter_provider=meters)]) as manager:
            await manager.subscribe(order, seen, name=f"{unique}.billing")
            await manager.send_event(order(1))
            await eventually(lambda: seen.handled)
            url = f"http://127.0.0.1:{server.server_port}/metrics"
            page = (await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())).decode()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        meters.shutdown()
    lines = [line for line in page.splitlines() if f'messaging_destination_name="{unique}.order"' in line]

    def value(metric: str, *labels: str) -> float:
        found = [line for line in lines if line.startswith(metric + "{") and all(label in line for label in labels)]
        assert len(found) == 1, (metric, found)
        return float(re.split(r"[} ]", found[0])[-1])

    subscription = f'messaging_destination_subscription_name="{unique}.billing"'
    assert value("messaging_client_sent_messages_total") == 1
    assert value("messaging_client_consumed_messages_total", subscription) == 1
    assert value("messaging_process_duration_seconds_count", subscription) == 1
    assert value("messaging_process_duration_seconds_bucket", subscription, 'le="+Inf"') == 1
    assert value("aspyx_event_processed_messages_total", subscription, 'aspyx_event_outcome="success"') == 1
    assert value("aspyx_event_delivery_lag_seconds_count", subscription) == 1
    assert value("aspyx_event_in_flight", subscription) == 0
    assert value("aspyx_event_attached", subscription) == 1
