"""`OpenTelemetry`: traces and metrics of a manager. Uses only the OpenTelemetry API."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import TracerProvider

from ..exceptions import DeclarationError
from ..observer import Observer, Observers, SubscriptionView
from ..providers.base import Provider
from .metrics import GaugeRegistry, Instruments, Metering
from .propagation import Propagation
from .semantics import common_attributes
from .tracing import Tracing

#: Operations that get a span.
SPANS = ("create", "send", "receive", "process", "settle")
_SCOPE = "aspyx_event"
_gauges = GaugeRegistry()


class OpenTelemetry(Observer):
    """Traces and metrics: ``EventManager(provider, observers=[OpenTelemetry()])``. May be shared by several managers.

    The application installs the SDK and the exporters. Without an SDK only the trace context is passed on.

    Args:
        spans: Operations that get a span, out of `SPANS`. Without "create", the send span is the creation context of a
            message. The trace context is propagated even without any span.
        parent: The receiving side continues the trace of the sender. False starts a new trace for each attempt, with a
            link to the sender's trace: for events with very many listeners, or that wait for days.
        metrics: Record metrics.
        system: The broker, as the conventions name it; None: "activemq", or "in_process" for the local provider.
        tracer_provider: None uses the global provider.
        meter_provider: None uses the global provider.
        propagator: Writes the context into headers. None uses the global propagator: W3C trace context and baggage,
            or the propagators in the environment variable ``OTEL_PROPAGATORS``.

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
            raise DeclarationError(f"OpenTelemetry(spans={sorted(unknown)}): known spans are {', '.join(SPANS)}")
        self._parent, self._metrics, self._system = parent, metrics, system
        self._tracer_provider, self._meter_provider = tracer_provider, meter_provider
        self._propagation = Propagation(propagator)

    def for_manager(self, provider: Provider, subscriptions: Iterable[SubscriptionView]) -> Observer:
        common = common_attributes(provider, self._system)
        version = metadata.version("aspyx-event")
        tracer = trace.get_tracer(_SCOPE, version, self._tracer_provider)
        observers: list[Observer] = [
            Tracing(tracer, self._propagation, self._spans, parent=self._parent, common=common),
        ]
        if self._metrics:
            observers.append(self._metering(version, provider, subscriptions, common))
        return Observers(observers)

    def _metering(
        self, version: str, provider: Provider, subscriptions: Iterable[SubscriptionView], common: dict[str, object]
    ) -> Metering:
        meter_provider = self._meter_provider
        meter = metrics.get_meter(_SCOPE, version, meter_provider)
        # The global provider is a proxy until the application sets it, so the module is used as the key for it.
        is_global = meter_provider is None or meter_provider is metrics.get_meter_provider()
        owner = metrics if is_global else meter_provider
        return Metering(Instruments(meter), _gauges.of(owner, meter), provider, subscriptions, common)
