"""The receiving end of the interceptor chain: decodes the envelope, checks the conditions, calls the handler."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ...context import EventContext, _current
from ...envelope import Envelope
from ...filters import Filter
from ...listener_descriptors import EventListenerDescriptor
from .decoding import Decoder
from .handler_function import HandlerCall


class ChainEnd:
    """Last link of the receiving chain: passes the envelope to the handler of the current delivery.

    All subscriptions of a manager share a chain, and the published signature of an interceptor is
    ``(envelope, listener)``: the chain cannot carry the delivery. So its end takes the delivery's context from the
    ContextVar that `Attempts.run` has set. The ContextVar is a public promise anyway: it is what `current_context`
    returns, in worker threads too.
    """

    def handle(self, envelope: Envelope, _listener: EventListenerDescriptor, /) -> Awaitable[Any] | None:
        context = _current.get()
        if context is None or context.call is None:
            raise RuntimeError("proceed_handle() was called outside of the handling of a delivery")
        return context.call(envelope, context)


class Invocation:
    """Takes an envelope from the end of the chain to a handler: conditions on headers, decoding, conditions on the
    event, call.

    Args:
        decoder: Decodes the event.
        filter: The conditions on events; None for none.
        call: Calls the handler.
    """

    def __init__(self, decoder: Decoder, filter: Filter | None, call: HandlerCall) -> None:  # noqa: A002
        self._decoder, self._filter, self._call = decoder, filter, call
        self._decode = decoder.fastest()
        self._unconditional = filter is None and not decoder.skips_nameless

    def __call__(self, envelope: Envelope, context: EventContext) -> Awaitable[Any] | None:
        if not self._unconditional and not self._accepts(envelope, context):
            return None
        if envelope.event is None:
            envelope.event = self._decode(envelope)
        if context.guard is not None:
            context.guard()
        return self._call(envelope.event, context)

    def _accepts(self, envelope: Envelope, context: EventContext) -> bool:
        name = self._decoder.name_of(envelope)
        if not name and self._decoder.skips_nameless:
            context.skipped = True
            return False
        if self._filter is not None:
            remaining = self._filter.before_decoding(name, envelope.headers)
            if remaining is not None and envelope.event is None:
                envelope.event = self._decode(envelope)
            context.skipped = remaining is None or not self._filter.after_decoding(envelope.event, remaining)
        return not context.skipped
