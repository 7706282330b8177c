"""Interceptors around sending and around handling, and the chain they form.

A chain is a fold: each interceptor's `next` is the rest of the chain, the last link publishes or invokes. Methods may
be sync or async and may call `proceed_*` awaited or not; the chain sees to it that whatever was started is awaited.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import Context, copy_context
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from aspyx.reflection import Decorators

from .envelope import Envelope
from .events import EventDescriptor
from .exceptions import DeclarationError
from .listener_descriptors import EventListenerDescriptor
from .listeners import register_injectable

C = TypeVar("C", bound=type)


class Next(Protocol):
    """One place of a chain. Returns None when it is done, or an awaitable."""

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor, /) -> Awaitable[Any] | None: ...

    def handle(self, envelope: Envelope, listener: EventListenerDescriptor, /) -> Awaitable[Any] | None: ...


class EnvelopePipeline(ABC):
    """An interceptor: sees every envelope on its way out, and every delivery on its way in.

    `send` runs once per event, on the sender's side, with the body already encoded. `handle` runs once per message and
    listener, before the body is decoded. Both run on the manager's event loop. Not proceeding ends the way: nothing is
    sent, or the delivery is acknowledged without reaching the listener. Raising fails the send, or the attempt.
    """

    #: The rest of the chain, set by the manager.
    next: Next

    @abstractmethod
    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> Any:
        """Called with every envelope that is sent; sync or async."""

    @abstractmethod
    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Any:
        """Called with every delivery, once per listener; sync or async."""


class AbstractEnvelopePipeline(EnvelopePipeline):
    """Convenience base: both sides proceed unless they are overridden.

    Args:
        envelope_handler: Kept for code written for earlier versions; the manager sets what follows.
    """

    def __init__(self, envelope_handler: Any = None) -> None:
        if envelope_handler is not None:
            self.next = envelope_handler

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> Any:
        return self.next.send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Any:
        return self.next.handle(envelope, event_listener_descriptor)

    def proceed_send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> Awaitable[None]:
        """Go on with sending. Awaited, it returns when the provider has taken the message; it need not be awaited."""
        work = self.next.send(envelope, event_descriptor)
        return _DONE if work is None else _continue(work, envelope, type(self).send)

    def proceed_handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Awaitable[None]:
        """Go on to the listener. Awaited, it returns when the listener is done and raises what the listener raises.

        In an async method await it: what follows an un-awaited call runs before the listener does.
        """
        work = self.next.handle(envelope, event_listener_descriptor)
        return _DONE if work is None else _continue(work, envelope, type(self).handle)


def _hide_parameters(function: Any) -> None:
    """Let the container see no parameters: it wants a bean for each of them, those with a default included."""
    function.__signature__ = inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


_hide_parameters(AbstractEnvelopePipeline.__init__)


class Continuation:
    """What `proceed_*` returns for work that is not finished yet.

    Args:
        work: What is left to do.
        before: What was started before it for the same envelope.
        context: The context variables that it is to see; None for those of whoever awaits it.
    """

    __slots__ = ("_context", "_work", "before", "taken")

    def __init__(
        self, work: Awaitable[Any], before: Continuation | None = None, context: Context | None = None
    ) -> None:
        self._work, self.before, self._context, self.taken = work, before, context, False

    def __await__(self) -> Generator[Any, Any, None]:
        self.taken = True
        steps = self._work.__await__()
        return steps if self._context is None else _in_context(self._context, steps)


def in_context(context: Context, steps: Any, waits_for: Any) -> Generator[Any, Any, None]:
    """Take the further steps of *steps* in *context*, and in the task of whoever awaits this, like a call.

    Args:
        context: The context variables.
        steps: A coroutine, or what `__await__` gives.
        waits_for: What its first step waits for.
    """
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  a cancellation too: the steps decide what comes of it
            step = partial(steps.throw, error)
        else:
            step = partial(steps.send, None)
        try:
            waits_for = context.run(step)
        except StopIteration:
            return


def _in_context(context: Context, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
    try:
        waits_for = context.run(next, steps)
    except StopIteration:
        return
    yield from in_context(context, steps, waits_for)


class _Done:
    """What `proceed_*` returns for work that is finished."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


_DONE = _Done()


_is_async = lru_cache(maxsize=1024)(inspect.iscoroutinefunction)


def _continue(work: Awaitable[Any], envelope: Envelope, caller: Callable[..., Any]) -> Awaitable[None]:
    # A sync method cannot await: what it started runs when it has returned, with the context variables of now.
    continuation = Continuation(work, envelope.pending, None if _is_async(caller) else copy_context())
    envelope.pending = continuation
    return continuation


async def _finish(result: Any, error: Exception | None, envelope: Envelope, mark: Continuation | None) -> None:
    """Await what an interceptor returned, then what it started and left un-awaited; raise what it raised."""
    try:
        if inspect.isawaitable(result):
            await result
    except Exception as failed:  # noqa: BLE001  raised below, after the rest has ended
        error = failed
    await _finish_left(_left(envelope, mark), error)


async def _finish_left(left: Sequence[Continuation], error: Exception | None) -> None:
    for item in left:
        try:
            await item
        except Exception as failed:  # noqa: BLE001  raised below, after the rest has ended
            error = error or failed
    if error is not None:
        raise error


def _left(envelope: Envelope, mark: Continuation | None) -> Sequence[Continuation]:
    """Return what was started since *mark* and not awaited, in its order, and take it off the envelope."""
    latest, envelope.pending = envelope.pending, mark
    if latest is None or (latest.taken and latest.before is mark):
        return ()
    left: list[Continuation] = []
    while latest is not None and latest is not mark:
        if not latest.taken:
            left.append(latest)
        latest = latest.before
    left.reverse()
    return left


class InterceptorLink:
    """The place of one interceptor in a chain."""

    __slots__ = ("handle", "send")

    def __init__(self, interceptor: EnvelopePipeline, following: Next) -> None:
        interceptor.next = following
        self.send, self.handle = _runs(interceptor.send), _runs(interceptor.handle)


def _runs(method: Callable[..., Any]) -> Callable[[Envelope, Any], Awaitable[Any] | None]:
    return partial(_run_async if inspect.iscoroutinefunction(method) else _run, method)


async def _run_async(method: Callable[..., Any], envelope: Envelope, descriptor: Any, /) -> None:
    """Run an interceptor's async method, then what it started and did not await."""
    mark, error = envelope.pending, None
    try:
        await method(envelope, descriptor)
    except Exception as failed:
        if envelope.pending is mark:
            raise
        error = failed
    if envelope.pending is not mark:
        left = _left(envelope, mark)
        if left or error is not None:
            await _finish_left(left, error)


def _run(method: Callable[..., Any], envelope: Envelope, descriptor: Any, /) -> Awaitable[Any] | None:
    """Call an interceptor's method; return what is left to do when it has returned, None for nothing."""
    mark = envelope.pending
    result = error = None
    try:
        result = method(envelope, descriptor)
    except Exception as failed:
        if envelope.pending is None:
            raise
        error = failed
    if result is not None or error is not None or envelope.pending is not mark:
        return _finish(result, error, envelope, mark)
    return None


class _End:
    """The last place of a chain: outwards it publishes, inwards it invokes."""

    __slots__ = ("handle", "send")

    def __init__(self, publish: Callable[..., Any], invoke: Callable[..., Any]) -> None:
        self.send, self.handle = publish, invoke


class Chain:
    """The interceptors of one manager and what lies at their end.

    Args:
        publish: Called with envelope and event descriptor when all interceptors proceeded on the sending side.
        invoke: Called with envelope and listener descriptor when all proceeded on the receiving side.
    """

    def __init__(self, publish: Callable[..., Any], invoke: Callable[..., Any]) -> None:
        self._end = _End(publish, invoke)
        self._interceptors: list[EnvelopePipeline] = []
        self._first: Next = self._end
        #: There are no interceptors.
        self.plain = True

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor, /) -> Awaitable[Any] | None:
        return self._first.send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, listener: EventListenerDescriptor, /) -> Awaitable[Any] | None:
        return self._first.handle(envelope, listener)

    def build(self, interceptors: Sequence[EnvelopePipeline]) -> None:
        """Join *interceptors*, the first one outermost on both sides.

        Raises:
            DeclarationError: one is no interceptor, or is part of another manager's chain.
        """
        self.release()
        joined: list[EnvelopePipeline] = []
        # All are checked before one is joined: a refused chain must not keep its sound interceptors from others.
        for interceptor in interceptors:
            if not isinstance(interceptor, EnvelopePipeline):
                raise DeclarationError(
                    f"{interceptor!r} is no pipeline; derive its class from AbstractEnvelopePipeline"
                )
            joined_elsewhere = isinstance(getattr(interceptor, "next", None), (InterceptorLink, _End))
            if joined_elsewhere or any(interceptor is other for other in joined):
                name = type(interceptor).__name__
                raise DeclarationError(f"pipeline {name} is used twice; every manager needs an instance of its own")
            joined.append(interceptor)
        self._interceptors = joined
        for interceptor in reversed(interceptors):
            self._first = InterceptorLink(interceptor, self._first)
        self.plain = self._first is self._end

    def release(self) -> None:
        """Take the interceptors out, so that another manager may use them."""
        for interceptor in self._interceptors:
            vars(interceptor).pop("next", None)
        self._interceptors, self._first, self.plain = [], self._end, True


def envelope_pipeline(order: int | type = 0) -> Callable[[C], C]:
    """Declare a class to be an injectable interceptor of its environment's manager.

    Args:
        order: Smaller is further outside, on both sides. Among equals the class declared last is outermost.

    Raises:
        DeclarationError: no parentheses, or not a class derived from `EnvelopePipeline`.
    """
    if isinstance(order, type):
        raise DeclarationError(f"write @envelope_pipeline() with parentheses over {order.__qualname__}")

    def decorate(cls: C) -> C:
        if not isinstance(cls, type) or not issubclass(cls, EnvelopePipeline):
            raise DeclarationError(f"@envelope_pipeline: {cls!r} does not derive from AbstractEnvelopePipeline")
        Decorators.add(cls, envelope_pipeline, order, next(_declared))
        register_injectable(cls, eager=False)
        return cls

    return decorate


_declared = iter(range(1 << 62))


def pipeline_rank(cls: type) -> tuple[int, int]:
    """Return the sort key of a decorated class: outermost first."""
    for found in Decorators.get(cls):
        if found.decorator is envelope_pipeline:
            order, declared = found.args
            return order, -declared
    return 0, 0
