"""`HandlerFunction`: calls a handler, sync or async, with or without the context, on the loop or in a thread."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...context import EventContext
from ...exceptions import ListenerError

if TYPE_CHECKING:
    from ..runtime.threads import ThreadPool

#: Calls a handler and puts what it returned or yielded into `EventContext.returned`.
HandlerCall = Callable[[Any, EventContext], "Awaitable[Any] | None"]


class HandlerFunction:
    """A handler function, called as its signature requires.

    Args:
        function: ``(event)`` or ``(event, context)``, sync, async or a generator; a bound method for listeners.
        label: Name of the handler in error messages.

    Raises:
        ListenerError: the function cannot be called with one or two arguments.
    """

    def __init__(self, function: Callable[..., Any], label: str) -> None:
        self.label = label
        self._takes_context = _arity(function, label) == 2
        inner = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
        if inspect.isasyncgenfunction(inner):
            self.function = _collect_async_generator(function)
        elif inspect.isgeneratorfunction(inner):
            self.function = _collect_generator(function)
        else:
            self.function = function
        self.is_async = inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)

    def call(self, event: Any, context: EventContext) -> Any:
        """Call the function on this thread; an async function returns its coroutine."""
        return self.function(event, context) if self._takes_context else self.function(event)

    def compile(self, *, inline: bool, threads: Callable[[], ThreadPool]) -> HandlerCall:
        """Return the call that a delivery makes.

        Args:
            inline: Call a sync function on the loop instead of in a worker thread.
            threads: Returns the worker threads; called when a call needs a thread.
        """
        function, call = self.function, self.call
        if self.is_async and self._takes_context:

            async def call_with_context(event: Any, context: EventContext) -> None:
                context.returned = await function(event, context)
                context.completed = True

            return call_with_context

        if self.is_async:

            async def call_with_event(event: Any, context: EventContext) -> None:
                context.returned = await function(event)
                context.completed = True

            return call_with_event

        if inline:

            def call_inline(event: Any, context: EventContext) -> Awaitable[Any] | None:
                result = call(event, context)
                if inspect.isawaitable(result):
                    return _store_result(result, context)
                context.returned, context.completed = result, True
                return None

            return call_inline

        async def call_in_thread(event: Any, context: EventContext) -> None:
            # The thread sees the context variables that interceptors set around this delivery.
            context.thread = job = threads().call(call, event, context)
            result = await job.future
            context.thread = None  # the thread has ended; an awaitable that it returned runs on the loop
            context.returned = await result if inspect.isawaitable(result) else result
            context.completed = True

        return call_in_thread


async def _store_result(result: Awaitable[Any], context: EventContext) -> None:
    context.returned = await result
    context.completed = True


def _collect_generator(function: Callable[..., Any]) -> Callable[..., Any]:
    def collect(*arguments: Any) -> list[Any]:
        return list(function(*arguments))

    return collect


def _collect_async_generator(function: Callable[..., Any]) -> Callable[..., Any]:
    async def collect(*arguments: Any) -> list[Any]:
        return [event async for event in function(*arguments)]

    return collect


def _arity(function: Callable[..., Any], label: str) -> int:
    if not callable(function):
        raise ListenerError(f"{label} is {type(function).__name__}, which is not callable; give a function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1  # a builtin without a signature
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
    # A second parameter with a default has another purpose, unless it is called context.
    return 2 if len(required) == 2 or any(parameter.name == "context" for parameter in positional[1:2]) else 1
