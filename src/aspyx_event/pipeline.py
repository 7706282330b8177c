"""Interceptors around sending and around handling, and the chain they form.

A chain is a fold: each interceptor's `next` is the rest of the chain; the last link publishes, or invokes the handler.
Methods may be sync or async. They need not await `proceed_*`: `legacy_proceed` awaits what they started.
"""

from __future__ import annotations

import inspect
import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aspyx.reflection import Decorators

from .envelope import Envelope
from .events import EventDescriptor
from .exceptions import DeclarationError
from .legacy_proceed import proceed, run_to_end
from .listener_descriptors import EventListenerDescriptor
from .listeners import register_injectable

C = TypeVar("C", bound=type)


class Next(Protocol):
    """The rest of a chain. Both methods return None when it has finished, or an awaitable."""

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor, /) -> Awaitable[Any] | None: ...

    def handle(self, envelope: Envelope, listener: EventListenerDescriptor, /) -> Awaitable[Any] | None: ...


class EnvelopePipeline(ABC):
    """An interceptor: called with every envelope that is sent, and with every delivery.

    `send` runs once per event, on the sender's side, with the body already encoded. `handle` runs once per message and
    listener, before the body is decoded. Both run on the manager's event loop. An interceptor that does not proceed ends
    the chain: nothing is sent, or the delivery is acknowledged without reaching the listener. Raising fails the send, or
    the attempt.
    """

    #: The rest of the chain; set by the manager.
    next: Next

    @abstractmethod
    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> Any:
        """Called with every envelope that is sent; sync or async."""

    @abstractmethod
    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Any:
        """Called with every delivery, once per listener; sync or async."""


class AbstractEnvelopePipeline(EnvelopePipeline):
    """Base class of interceptors: both methods proceed unless they are overridden.

    Args:
        envelope_handler: Accepted for code written for earlier versions; the manager sets `next`.
    """

    def __init__(self, envelope_handler: Any = None) -> None:
        if envelope_handler is not None:
            self.next = envelope_handler

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> Any:
        return self.next.send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Any:
        return self.next.handle(envelope, event_listener_descriptor)

    def proceed_send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> Awaitable[None]:
        """Continue sending. When awaited, it returns once the provider has taken the message. It need not be awaited."""
        return proceed(self.next.send(envelope, event_descriptor), envelope, type(self).send)

    def proceed_handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Awaitable[None]:
        """Continue to the listener. When awaited, it returns once the listener has returned, and raises its errors.

        Await it in an async method: code after an un-awaited call runs before the listener does.
        """
        return proceed(self.next.handle(envelope, event_listener_descriptor), envelope, type(self).handle)


def _hide_parameters(function: Any) -> None:
    """Hide the parameters of a constructor from the container, which requires a bean even for those with a default."""
    function.__signature__ = inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


_hide_parameters(AbstractEnvelopePipeline.__init__)


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link of a chain: the two methods of an interceptor, or the two functions at the end."""

    send: Callable[[Envelope, EventDescriptor], Awaitable[Any] | None]
    handle: Callable[[Envelope, EventListenerDescriptor], Awaitable[Any] | None]


class Chain:
    """The interceptors of a manager, and the functions at their end.

    Args:
        publish: Called with envelope and event descriptor when all interceptors have proceeded on the sending side.
        invoke: Called with envelope and listener descriptor when all have proceeded on the receiving side.

    Attributes:
        send, handle: Run the chain. They return None when it has finished, or an awaitable.
        plain: The chain has no interceptors.
    """

    def __init__(self, publish: Callable[..., Any], invoke: Callable[..., Any]) -> None:
        self._end = ChainLink(publish, invoke)
        self._interceptors: Sequence[EnvelopePipeline] = ()
        self.build(())

    def build(self, interceptors: Sequence[EnvelopePipeline]) -> None:
        """Join *interceptors*, the first outermost on both sides.

        Raises:
            DeclarationError: an element is not an interceptor, is listed twice, or is part of another manager's chain.
        """
        self.release()
        # All are checked before the first is joined: a refused chain must leave the valid ones free for other managers.
        for position, interceptor in enumerate(interceptors):
            _check_interceptor(interceptor, interceptors[:position])
        link = self._end
        for interceptor in reversed(interceptors):
            interceptor.next = link
            link = ChainLink(run_to_end(interceptor.send), run_to_end(interceptor.handle))
        self._interceptors = interceptors
        self.send, self.handle, self.plain = link.send, link.handle, not interceptors

    def release(self) -> None:
        """Remove the interceptors from the chain, so that another manager may use them."""
        for interceptor in self._interceptors:
            vars(interceptor).pop("next", None)
        self._interceptors = ()
        self.send, self.handle, self.plain = self._end.send, self._end.handle, True


def _check_interceptor(interceptor: object, others: Sequence[object]) -> None:
    if not isinstance(interceptor, EnvelopePipeline):
        raise DeclarationError(f"{interceptor!r} is not a pipeline; derive its class from AbstractEnvelopePipeline")
    joined = isinstance(getattr(interceptor, "next", None), ChainLink)
    if joined or any(interceptor is other for other in others):
        name = type(interceptor).__name__
        raise DeclarationError(f"pipeline {name} is used twice; every manager needs an instance of its own")


def envelope_pipeline(order: int | type = 0) -> Callable[[C], C]:
    """Declare an injectable interceptor of the manager of its environment.

    Args:
        order: Smaller is further outside, on both sides. Among equals, the class declared last is outermost.

    Raises:
        DeclarationError: it is used without parentheses, or on something that is not a subclass of `EnvelopePipeline`.
    """
    if isinstance(order, type):
        raise DeclarationError(f"write @envelope_pipeline() with parentheses over {order.__qualname__}")

    def decorate(cls: C) -> C:
        if not isinstance(cls, type) or not issubclass(cls, EnvelopePipeline):
            raise DeclarationError(f"@envelope_pipeline: {cls!r} does not derive from AbstractEnvelopePipeline")
        Decorators.add(cls, envelope_pipeline, order, next(_declaration_numbers))
        register_injectable(cls, eager=False)
        return cls

    return decorate


_declaration_numbers = itertools.count()


def pipeline_rank(cls: type) -> tuple[int, int]:
    """Return the sort key of a decorated class: outermost first."""
    for decorator in Decorators.get(cls):
        if decorator.decorator is envelope_pipeline:
            order, number = decorator.args
            return order, -number
    return 0, 0
