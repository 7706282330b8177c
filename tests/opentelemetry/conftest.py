"""What is told to OpenTelemetry, kept in memory; events, and providers of all kinds at the shared broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aspyx_event import AMQPProvider, LocalProvider, StompProvider
from aspyx_event.opentelemetry import OpenTelemetry
from aspyx_event.providers import Provider
from aspyx_event.testing.conformance.processes import numbered_event


class Told:
    """Spans and metrics of one test."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.tracers.get_tracer("test")

    def telemetry(self, **options: Any) -> OpenTelemetry:
        return OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Spans that have ended, in the order they began."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: (span.start_time, span.context.span_id))

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Attributes and value of each series of a metric; of a histogram the count."""
        data = self.reader.get_metrics_data()
        found = []
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        found += [
                            (dict(point.attributes), getattr(point, "value", getattr(point, "count", None)))
                            for point in metric.data.data_points
                        ]
        return found

    def total(self, metric: str, /, **wanted: Any) -> float:
        """The sum over the series of a metric; of those whose attribute with such an ending has the wanted value."""
        return sum(
            value
            for attributes, value in self.points(metric)
            if all(
                (end, one) in [(key.rpartition(".")[2], found) for key, found in attributes.items()]
                for end, one in wanted.items()
            )
        )


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


@pytest.fixture
def order(unique: str) -> type:
    """An event class of this test."""
    return numbered_event(f"{unique}.order", durable=True)


@pytest.fixture
def invoice(unique: str) -> type:
    """Another one."""
    return numbered_event(f"{unique}.invoice", durable=True)


@pytest.fixture(
    params=["local", pytest.param("amqp", marks=pytest.mark.broker), pytest.param("stomp", marks=pytest.mark.broker)]
)
def make_provider(request: pytest.FixtureRequest, unique: str) -> Iterator[Callable[..., Provider]]:
    """Makes providers of one kind for one broker; what they leave there is swept up."""
    if request.param == "local":
        yield lambda **options: LocalProvider(**options)
        return
    broker, management = request.getfixturevalue("broker"), request.getfixturevalue("management")

    def make(**options: Any) -> Provider:
        kind = AMQPProvider if request.param == "amqp" else StompProvider
        given = {"host": broker.host, "port": broker.port, "user": broker.user, "password": broker.password}
        return kind(server_name=f"{unique}-server", **{**given, **options})

    yield make
    management.destroy_queues(unique)
