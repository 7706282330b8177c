"""Spans of events, following the semantic conventions for messaging, and propagation of the trace context."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar, Token
from functools import partial

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from ..context import EventContext
from ..engine.failure.republish import REPLAY_OF as REPLAY_HEADER
from ..envelope import Envelope
from ..error_text import is_printable, message_of
from ..events import EventDescriptor
from ..listener_descriptors import EventListenerDescriptor
from ..observer import Observer, OnEnd, Settlement
from ..providers.base import Outgoing
from . import semantics
from .propagation import Propagation, span_context
from .semantics import Attributes

#: Span of the current attempt, in the context of a worker.
_attempt: ContextVar[SpanContext | None] = ContextVar("aspyx_event_attempt_span", default=None)


class Tracing(Observer):
    """Creates the spans of a manager.

    Args:
        tracer: Creates the spans.
        propagation: Propagates their context.
        spans: Operations that get a span. The context is propagated even if an operation has no span.
        parent: Spans of the receiving side are children of the creation span of their message, in the same trace. If
            False, an attempt starts a new trace. In both cases it links to the creation span.
        common: Attributes of all spans.
    """

    def __init__(
        self, tracer: Tracer, propagation: Propagation, spans: frozenset[str], *, parent: bool, common: Attributes
    ) -> None:
        self._tracer, self._propagation = tracer, propagation
        self._spans, self._parent, self._common = spans, parent, common

    def created(self, envelope: Envelope, event: EventDescriptor) -> None:
        if span_context(self._propagation.read(envelope.headers)) is not None:
            return  # the sender has set its own creation context, which is kept
        if "create" not in self._spans:
            return
        span = self._start("create", SpanKind.PRODUCER, event.name, envelope, None)
        self._propagation.write(envelope.headers, trace.set_span_in_context(span))
        span.end()

    def sending(self, message: Outgoing, event: EventDescriptor) -> OnEnd | None:
        headers = message.envelope.headers
        created = self._propagation.read(headers)
        creation = span_context(created)
        if "send" not in self._spans:
            if creation is None:
                self._propagation.write(headers, otel_context.get_current())
            return None
        if creation is not None:
            span = self._start("send", SpanKind.CLIENT, event.name, message.envelope, created, [Link(creation)])
        else:
            span = self._start("send", SpanKind.PRODUCER, event.name, message.envelope, None)
            self._propagation.write(headers, trace.set_span_in_context(span))
        return partial(_end, span)

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:
        _attempt.set(None)
        if "receive" not in self._spans:
            return
        # Created when the message is handed to the application, as the conventions ask; its duration is the waiting time.
        context, links = self._origin(envelope)
        span = self._start("receive", SpanKind.CLIENT, listener, envelope, context, links, start_time=arrived)
        span.end(max(time.time_ns(), arrived))

    def handling(self, context: EventContext) -> OnEnd | None:
        origin, links = self._origin(context.envelope)
        if "process" not in self._spans:
            return partial(_detach, otel_context.attach(origin))
        previous_attempt = _attempt.get()
        if previous_attempt is not None:
            links = [*links, Link(previous_attempt)]
        span = self._start("process", SpanKind.CONSUMER, context.listener, context.envelope, origin, links)
        if span.is_recording():
            span.set_attribute(semantics.ATTEMPT, context.attempt)
            if context.redelivered:
                span.set_attribute(semantics.REDELIVERED, True)
            replay_of = context.headers.get(REPLAY_HEADER)
            if replay_of:
                span.set_attribute(semantics.REPLAY_OF, replay_of)
        _attempt.set(span.get_span_context())
        token = otel_context.attach(trace.set_span_in_context(span, origin))
        return partial(_end_attempt, span, token, context)

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> OnEnd | None:
        if "settle" not in self._spans:
            return None
        context, links = self._origin(envelope)
        attempt = _attempt.get()
        if attempt is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(attempt), context)
        span = self._start("settle", SpanKind.CLIENT, listener, envelope, context, links)
        span.set_attribute(semantics.SETTLEMENT, settlement.value)
        return partial(_end, span)

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:  # noqa: ARG002
        # The span of the settlement is still open; its end records whether it succeeded in the end.
        return

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> OnEnd | None:
        if "send" not in self._spans:
            return None
        creation = span_context(self._propagation.read(envelope.headers))
        links = [] if creation is None else [Link(creation)]
        # Belongs to the trace of the replaying caller, with a link to the trace of the event. The event keeps its trace.
        span = self._start("replay", SpanKind.CLIENT, listener, envelope, None, links, operation_type="send")
        span.set_attribute(semantics.REPLAY_OF, letter_id)
        return partial(_end, span)

    def _origin(self, envelope: Envelope) -> tuple[Context, list[Link]]:
        """Return the parent context for the spans of a received message, and the link to its creation span."""
        context = self._propagation.read(envelope.headers)
        creation = span_context(context)
        if creation is None:
            return context, []
        if not self._parent:
            context = trace.set_span_in_context(trace.INVALID_SPAN, context)
        return context, [Link(creation)]

    def _start(
        self,
        name: str,
        kind: SpanKind,
        target: EventListenerDescriptor | str,
        envelope: Envelope,
        context: Context | None,
        links: Sequence[Link] = (),
        *,
        operation_type: str | None = None,
        start_time: int | None = None,
    ) -> Span:
        if isinstance(target, str):
            destination, attributes = target, {semantics.DESTINATION: target}
        else:
            destination, attributes = target.event.name, semantics.destination_attributes(target, envelope)
        return self._tracer.start_span(
            f"{name} {destination}",
            context,
            kind,
            {
                **self._common,
                **semantics.operation(name, operation_type),
                **attributes,
                **semantics.message_attributes(envelope),
            },
            links,
            start_time,
        )


def _end(span: Span, error: BaseException | None) -> None:
    if error is not None and span.is_recording():
        span.set_attribute(semantics.ERROR_TYPE, semantics.error_type(error))
        if is_printable(error):
            span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, message_of(error)))
    span.end()


def _detach(token: Token[Context], _error: BaseException | None) -> None:
    otel_context.detach(token)


def _end_attempt(span: Span, token: Token[Context], context: EventContext, error: BaseException | None) -> None:
    otel_context.detach(token)
    if context.skipped:
        span.set_attribute(semantics.OUTCOME, "skipped")
    _end(span, error)
