"""Trace context in the headers of an envelope.

It travels as ``traceparent`` and ``tracestate`` (W3C Trace Context), the names that instrumented clients of brokers
read and write in any language. The attributes of the CloudEvents extension "distributed tracing", which others may have
set instead, are read too.
"""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, TextMapPropagator

from opentelemetry import propagate, trace

from ..envelope import CE_PREFIX


class HeaderGetter(Getter[dict[str, str]]):
    """Reads a field from headers under its own name, or under that of a CloudEvents attribute."""

    def get(self, carrier: dict[str, str], key: str) -> list[str] | None:
        value = carrier.get(key) or carrier.get(CE_PREFIX + key)
        return [value] if value else None

    def keys(self, carrier: dict[str, str]) -> list[str]:
        return list(carrier)


_GETTER = HeaderGetter()


class Propagation:
    """Writes and reads the context of the creation of a message.

    Args:
        propagator: None is the global one, at each use: W3C trace context and baggage unless set otherwise.
    """

    def __init__(self, propagator: TextMapPropagator | None = None) -> None:
        self._propagator = propagator
        #: The propagator used last, and the headers that carry what it reads.
        self._fields: tuple[TextMapPropagator | None, frozenset[str]] = (None, frozenset())

    def write(self, headers: dict[str, str], context: Context) -> None:
        """Add the fields of *context* to headers."""
        (self._propagator or propagate.get_global_textmap()).inject(headers, context)

    def read(self, headers: dict[str, str]) -> Context:
        """Return the context that headers carry; an empty one if they carry none."""
        propagator = self._propagator or propagate.get_global_textmap()
        known, fields = self._fields
        if known is not propagator:
            fields = frozenset(name for field in propagator.fields for name in (field, CE_PREFIX + field))
            self._fields = (propagator, fields)
        # From an empty context: a worker's own is that of whoever started the manager.
        context = Context()
        return context if fields.isdisjoint(headers) else propagator.extract(headers, context, _GETTER)


def span_context(context: Context) -> trace.SpanContext | None:
    """Return the span context in *context*, None where there is none that is valid."""
    found = trace.get_current_span(context).get_span_context()
    return found if found.is_valid else None
