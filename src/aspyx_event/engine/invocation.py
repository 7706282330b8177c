"""Calling a listener or handler: sync or async, with or without the context, on the loop or in a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any

from ..cloudevents.event import CloudEvent
from ..cloudevents.formats import is_structured
from ..cloudevents.messaging import from_envelope, to_stomp
from ..codecs.base import Codec
from ..context import EventContext, _current
from ..contracts.upcasters import VersionedDecoding
from ..envelope import CE_TYPE, CE_VERSION, CONTENT_TYPE, Envelope
from ..events import EventDescriptor
from ..exceptions import DecodeError, ListenerError
from ..listeners import EventListenerDescriptor

Call = Callable[[Any, EventContext], "Awaitable[Any] | None"]


def compile_call(function: Callable[..., Any], label: str, *, inline: bool, executor: Callable[[], Executor]) -> Call:
    """Return a function that calls *function* with an event and its context, the way its signature asks for.

    Args:
        function: ``(event)`` or ``(event, context)``, sync or async; a bound method for listeners.
        label: Names it in errors.
        inline: Call a sync function on the loop instead of in a worker thread.
        executor: Gives the worker threads when the first call needs one.

    Raises:
        ListenerError: it cannot be called with one or two arguments.
    """
    arity = _arity(function, label)

    def arguments(event: Any, context: EventContext) -> tuple[Any, ...]:
        return (event, context)[:arity]

    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        if arity == 1:
            return lambda event, _context: function(event)
        return function

    if inline:

        def call_here(event: Any, context: EventContext) -> Awaitable[Any] | None:
            result = function(event) if arity == 1 else function(event, context)
            return result if result is not None and inspect.isawaitable(result) else None

        return call_here

    async def call_in_thread(event: Any, context: EventContext) -> None:
        # The thread sees the context variables that interceptors set around this delivery.
        variables = copy_context()
        context.thread = executor().submit(variables.run, function, *arguments(event, context))
        result = await asyncio.wrap_future(context.thread)
        if inspect.isawaitable(result):
            await result

    return call_in_thread


def _arity(function: Callable[..., Any], label: str) -> int:
    if not callable(function):
        raise ListenerError(f"{label} is {type(function).__name__}, which is not callable; give a function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1  # a builtin that does not tell
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [parameter for parameter in parameters if parameter.kind in kinds]
    required = [parameter for parameter in positional if parameter.default is inspect.Parameter.empty]
    keywords = [
        parameter
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty
    ]
    variadic = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    if len(required) > 2 or keywords or (not positional and not variadic):
        raise ListenerError(f"{label} is called as (event) or (event, context); its signature does not allow either")
    # A second parameter with a default was written for something else, unless it is called context.
    return 2 if len(required) == 2 or any(parameter.name == "context" for parameter in positional[1:2]) else 1


class Invoke:
    """Receiving end of a chain: decodes the body and calls the handler of the delivery under way."""

    def __init__(self, codec: Codec) -> None:
        self._codec, self._versions = codec, VersionedDecoding(codec)

    def handle(self, envelope: Envelope, _listener: EventListenerDescriptor, /) -> Awaitable[Any] | None:
        context = _current.get()
        if context is None or context.call is None:
            raise RuntimeError("proceed_handle() was called outside of the handling of a delivery")
        if envelope.event is None:
            envelope.event = self.decode(envelope, context.listener.event)
        return context.call(envelope.event, context)

    def decode(self, envelope: Envelope, descriptor: EventDescriptor) -> Any:
        """Return the event of *envelope*.

        Raises:
            DecodeError: the body is not of the described class, or the message says that it is another event.
        """
        content_type = envelope.headers.get(CONTENT_TYPE)
        if content_type is not None and content_type != self._codec.content_type and is_structured(content_type):
            # A provider hands over what it could not read as it came; here it is said why.
            headers, body = to_stomp(from_envelope(envelope, raw=True))
            envelope = Envelope(body, headers)
        stated = envelope.headers.get(CE_TYPE)
        if stated and stated != descriptor.name:
            raise DecodeError(f"event {descriptor.name!r}: the message says that it is a {stated!r}, unknown here")
        if descriptor.type is CloudEvent:
            return from_envelope(envelope)
        version = envelope.headers.get(CE_VERSION, "1")
        if version != descriptor.wire_version:
            return self._versions.decode(envelope.body, version, descriptor)
        return self._codec.decode(envelope.body, descriptor)

    def prepare(self, descriptor: EventDescriptor) -> None:
        """Check what older payloads of an event are read with.

        Raises:
            DeclarationError: its upcasters do not lead to its version.
        """
        self._versions.prepare(descriptor)
