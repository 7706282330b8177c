"""The bindings of a listener: names and kinds of its queues, and the ordering key inside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Any
from uuid import UUID

from ...envelope import CE_KEY
from ...exceptions import DeclarationError, UnsupportedError
from ...interrupts import ends_program
from ...listener_descriptors import EventListenerDescriptor
from ...log_fields import log_fields
from ...names import is_pattern, literal
from ...policies import QueueNaming, Retry, RetryMode
from ...providers.base import Binding, Delivery, Provider
from ...safe_logger import SafeLogger
from ...targets import Route
from ..receiving.decoding import Decoder

logger = SafeLogger(logging.getLogger("aspyx.event"))
_DEFAULT_PREFETCH = 100
#: Ordering key of the events whose key cannot be determined: they are handled in sequence, so that no order is lost.
_NO_KEY = object()
#: Types of ordering keys whose values never change, and can always be compared.
_COMPARABLE = frozenset({str, int, bytes, bool, float, type(None), UUID})


def bindings_of(
    descriptor: EventListenerDescriptor, provider: Provider, default: Retry | None = None
) -> tuple[Binding, ...]:
    """Return the queues that a listener consumes, one per route; *default* is its manager's policy.

    Raises:
        UnsupportedError: the provider does not support such a queue.
        DeclarationError: see `queue_name`.
    """
    retry = descriptor.options.retry or default or Retry()
    return tuple(_binding(descriptor, route, provider, retry) for route in descriptor.routes)


def queue_name(descriptor: EventListenerDescriptor, route: Route, provider: Provider) -> str | None:
    """Return the queue for a route; None for a queue that belongs to this process alone and vanishes with it.

    Raises:
        DeclarationError: a resumable listener per process, and the provider has no server name; or queues are named
            after the application, and the manager has none.
    """
    if provider.queue_naming is QueueNaming.APPLICATION and not descriptor.scope:
        raise DeclarationError(
            f"listener {descriptor.name!r}: queue_naming=QueueNaming.APPLICATION names queues after the application; write "
            "EventManager(..., application='orders'), or event.application in the configuration"
        )
    if descriptor.per_process and not descriptor.options.resumable:
        return None
    name = descriptor.consumer_name
    # The first route keeps the plain name: queue names are unique per broker.
    if descriptor.qualified or provider.queue_naming is not QueueNaming.LISTENER or route != descriptor.routes[0]:
        name = f"{literal(route.address)}.{name}"
    if descriptor.scope:
        name = f"{descriptor.scope}.{name}"
    if descriptor.per_process:
        if not provider.server_name:
            raise DeclarationError(
                f"listener {descriptor.name!r} is per_process and resumable: its queue is named after the server, give "
                f"the {provider.name} provider a server_name"
            )
        name += f"-{provider.server_name}"
    return name


def _binding(descriptor: EventListenerDescriptor, route: Route, provider: Provider, retry: Retry) -> Binding:
    options, capabilities = descriptor.options, provider.capabilities
    queue = queue_name(descriptor, route, provider)
    delayed = retry.mode is RetryMode.DELAYED
    if delayed and queue is None:
        raise DeclarationError(
            f"listener {descriptor.name!r} is per_process: its queue has no name to which an event could go back later; "
            "use Retry(mode='in-order'), or resumable=True"
        )
    durable = queue is not None and (route.durable or options.resumable)
    for needed, offered, what in (
        (delayed, capabilities.delay, "delivery at a later time (retry mode delayed)"),
        (durable, capabilities.durable, "a queue that outlives its listener (durable or resumable)"),
        (queue is None, capabilities.per_process, "a queue per process (per_process)"),
        (queue is not None, capabilities.competing, "a queue shared by several processes"),
        (is_pattern(route.address), capabilities.patterns, f"the pattern {route.address!r} of event names"),
    ):
        if needed and not offered:
            raise UnsupportedError(
                f"listener {descriptor.name!r} needs {what}, which the {provider.name} provider does not offer"
            )
    # On a shared queue the broker's filter, and the events that it excludes, would stay for ever.
    conditions = options.selector or () if queue is None else ()
    return Binding(
        address=route.address,
        queue=queue,
        durable=durable,
        prefetch=options.prefetch or max(_DEFAULT_PREFETCH, 2 * options.concurrency),
        max_crashes=retry.max_crashes,
        label=descriptor.name,
        selector=tuple((condition.name, _values(condition.expected)) for condition in conditions),
    )


def _values(expected: str | tuple[str, ...]) -> tuple[str, ...]:
    return (expected,) if isinstance(expected, str) else expected


def ordering_key(descriptor: EventListenerDescriptor, decoder: Decoder) -> Callable[[Delivery], Hashable | None]:
    """Return the function that gives a delivery its ordering key: `order_by`, else the partition key of the message."""
    order_by = descriptor.options.order_by
    if order_by is None:
        return lambda delivery: delivery.received.headers.get(CE_KEY)
    value_of = attrgetter(order_by) if isinstance(order_by, str) else order_by

    def key_of(delivery: Delivery) -> Hashable | None:
        envelope = delivery.received
        try:
            event = envelope.event if envelope.event is not None else decoder.decode(envelope)
        except BaseException as error:
            if ends_program(error):
                raise
            return None  # the delivery fails on its ordinary path, where the reason is reported
        try:
            value = value_of(event)
            return value if type(value) in _COMPARABLE else _OrderingKey(value)
        except BaseException as error:  # whatever the function of the application raises must not reach the provider
            if ends_program(error):
                raise
            logger.exception(
                "listener %r: order_by failed; the event is handled in sequence with others whose key is unknown",
                descriptor.name,
                extra=log_fields(envelope, descriptor.name),
            )
            return _NO_KEY

    return key_of


class _OrderingKey:
    """An ordering key of a class of the application, whose own methods may raise, or answer otherwise later.

    Args:
        value: The key. One that cannot be hashed, such as a list, is compared by its repr.
    """

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Any) -> None:
        try:
            self._hash, self._value = hash(value), value
        except TypeError:  # the items of a tuple count too
            text = repr(value)
            self._hash, self._value = hash(text), text

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _OrderingKey):
            return False
        try:
            return bool(self._value == other._value)
        except BaseException as error:
            if ends_program(error):
                raise
            return True  # handled in sequence, so that no order is lost
