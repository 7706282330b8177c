"""Trace context in the headers of an envelope.

Written as ``traceparent`` and ``tracestate`` (W3C Trace Context), which instrumented broker clients in all languages read
and write. The attributes of the CloudEvents extension "distributed tracing", which other senders may set instead, are
read too.
"""

from __future__ import annotations

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, TextMapPropagator

from ..envelope import CE_PREFIX


class HeaderGetter(Getter[dict[str, str]]):
    """Reads a field from the header of the same name, or from the CloudEvents attribute of that name."""

    def get(self, carrier: dict[str, str], key: str) -> list[str] | None:
        value = carrier.get(key) or carrier.get(CE_PREFIX + key)
        return [value] if value else None

    def keys(self, carrier: dict[str, str]) -> list[str]:
        return list(carrier)


_GETTER = HeaderGetter()


class Propagation:
    """Writes and reads the creation context of a message.

    Args:
        propagator: None uses the propagator that is global at the time: by default W3C trace context and baggage.
    """

    def __init__(self, propagator: TextMapPropagator | None = None) -> None:
        self._propagator = propagator
        #: The propagator used last, and the headers that it reads.
        self._fields: tuple[TextMapPropagator | None, frozenset[str]] = (None, frozenset())

    def write(self, headers: dict[str, str], context: Context) -> None:
        """Add the fields of *context* to headers."""
        (self._propagator or propagate.get_global_textmap()).inject(headers, context)

    def read(self, headers: dict[str, str]) -> Context:
        """Return the context in headers; an empty context if there is none."""
        propagator = self._propagator or propagate.get_global_textmap()
        last_propagator, fields = self._fields
        if last_propagator is not propagator:
            fields = frozenset(name for field in propagator.fields for name in (field, CE_PREFIX + field))
            self._fields = (propagator, fields)
        # Starts from an empty context: the current context of a worker is that of the manager's start.
        context = Context()
        return context if fields.isdisjoint(headers) else propagator.extract(headers, context, _GETTER)


def span_context(context: Context) -> trace.SpanContext | None:
    """Return the span context in *context*; None if there is none or it is invalid."""
    current = trace.get_current_span(context).get_span_context()
    return current if current.is_valid else None
