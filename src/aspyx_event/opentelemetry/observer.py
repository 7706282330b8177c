"""`OpenTelemetry`: traces and metrics of a manager, by the OpenTelemetry API alone."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import TracerProvider

from opentelemetry import metrics, trace

from ..exceptions import DeclarationError
from ..observer import Observer, Observers, SubscriptionView
from ..providers.base import Provider
from .metrics import GaugesOfMeters, Instruments, Metering
from .propagation import Propagation
from .semantics import common_attributes
from .tracing import Tracing

#: Operations that get a span.
SPANS = ("create", "send", "receive", "process", "settle")
_SCOPE = "aspyx_event"
_gauges = GaugesOfMeters()


class OpenTelemetry(Observer):
    """Traces and metrics: ``EventManager(provider, observers=[OpenTelemetry()])``. It may serve several managers.

    The application brings the SDK and the exporters; without an SDK it only passes on the trace context.

    Args:
        spans: Operations that get a span, of `SPANS`. Without "create" the span of sending is what a message is
            traced back to. The trace context is carried also with none of them.
        parent: The receiving side continues the trace of the sender. False gives each attempt a trace of its own that
            links to the sender's: for events with very many listeners, or that wait for days.
        metrics: Count and measure.
        system: What the broker is, in the words of the conventions; None: "activemq", and "in_process" for the local
            provider.
        tracer_provider: None is the global one.
        meter_provider: None is the global one.
        propagator: How the context is written into headers; None is the global one: W3C trace context and baggage,
            or what the environment variable ``OTEL_PROPAGATORS`` says.

    Raises:
        DeclarationError: an operation is unknown.
    """

    def __init__(
        self,
        *,
        spans: Iterable[str] = SPANS,
        parent: bool = True,
        metrics: bool = True,
        system: str | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
    ) -> None:
        self._spans = frozenset([spans] if isinstance(spans, str) else spans)
        unknown = self._spans.difference(SPANS)
        if unknown:
            raise DeclarationError(f"OpenTelemetry(spans={sorted(unknown)}): known are {', '.join(SPANS)}")
        self._parent, self._metrics, self._system = parent, metrics, system
        self._tracer_provider, self._meter_provider = tracer_provider, meter_provider
        self._propagation = Propagation(propagator)

    def for_manager(self, provider: Provider, subscriptions: Iterable[SubscriptionView]) -> Observer:
        common = common_attributes(provider, self._system)
        version = metadata.version("aspyx-event")
        tracer = trace.get_tracer(_SCOPE, version, self._tracer_provider)
        told: list[Observer] = [
            Tracing(tracer, self._propagation, self._spans, parent=self._parent, common=common),
        ]
        if self._metrics:
            told.append(self._metering(version, provider, subscriptions, common))
        return Observers(told)

    def _metering(
        self, version: str, provider: Provider, subscriptions: Iterable[SubscriptionView], common: dict[str, object]
    ) -> Metering:
        given = self._meter_provider
        meter = metrics.get_meter(_SCOPE, version, given)
        # The global provider is a stand-in until the application sets it, so the module stands for it.
        owner = metrics if given is None or given is metrics.get_meter_provider() else given
        return Metering(Instruments(meter), _gauges.of(owner, meter), provider, subscriptions, common)
