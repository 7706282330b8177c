"""Decides which handlers share a queue: handlers bound by an order form a chain, every other handler has its own queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from time import monotonic
from typing import Any

from ...exceptions import DeclarationError, RequirementError
from ...listener_descriptors import EventListenerDescriptor
from ...options import SubscriptionOptions, unmet_requirement
from ...ordering import bound_together, predecessors, sequence, unmet_requirements, with_predecessors
from ...policies import AckPolicy
from ..receiving.consumer import QueueConsumer
from .subscriptions import Subscription, SubscriptionRegistry

#: Options that all handlers of a chain have in common, because they share the queue.
_COMMON = (
    "group",
    "per_process",
    "resumable",
    "ack",
    "concurrency",
    "order_by",
    "prefetch",
    "selector",
    "cooldown",
)
_DEFAULTS = {field.name: field.default for field in fields(SubscriptionOptions)}
#: Seconds after the last subscription in which deliveries wait for a required handler that is not subscribed yet.
SUBSCRIBING_PAUSE = 1.0
#: Makes the consumer of a queue from the descriptor that names it.
MakeConsumer = Callable[[EventListenerDescriptor], QueueConsumer]


class HandlerChains:
    """Gives every subscription a consumer of its own, or a shared consumer.

    Args:
        subscriptions: The subscriptions of the manager.
        make_consumer: Makes a consumer.
    """

    def __init__(self, subscriptions: SubscriptionRegistry, make_consumer: MakeConsumer) -> None:
        self._subscriptions, self._make_consumer = subscriptions, make_consumer
        #: Subscriptions that name others. They are few, so subscriptions without requirements cost nothing.
        self._with_requirements: dict[str, Subscription] = {}

    def join(self, subscription: Subscription) -> None:
        """Add a subscription.

        Handlers that have queues of their own already and are bound by the new one move to one of these queues. The other
        consumers are `retiring` then: they handle what they have, and are detached by the engine.

        Raises:
            RequirementError: handlers require each other in a cycle.
            DeclarationError: handlers of one chain have different options or the same name, or have durable queues of
                their own already.
            QueueClashError: its queue belongs to another event of this manager.
        """
        chain = self._chain_of(subscription)
        descriptors = [member.descriptor for member in chain]
        before = predecessors(descriptors)
        indices = sequence(descriptors, before)
        order = [chain[index] for index in indices]
        descriptor = _common(order)
        old = list(dict.fromkeys(member.consumer for member in order if member is not subscription))
        used = [consumer for consumer in old if consumer.in_use]
        _check_replaceable(used[1:], order)
        consumer = used[0] if used else self._make_consumer(descriptor)
        for other in old:
            if other is not consumer:
                self._subscriptions.unclaim(other)
        if not used:
            self._subscriptions.claim(consumer, subscription)
        for retiring in used[1:]:
            own = {index for index in indices if chain[index] is not subscription and chain[index].consumer is retiring}
            needed = with_predecessors(own, before)
            _set_handlers(retiring, [chain[index] for index in indices if index in needed])
            self._subscriptions.retiring.append(retiring)
        for member in order:
            member.consumer = consumer
        _set_handlers(consumer, order)
        self._subscriptions.add(subscription)
        if subscription.descriptor.requires or subscription.descriptor.required_by:
            self._with_requirements[subscription.id] = subscription
        for dependent in self._with_requirements.values():  # the program still subscribes: what is missing may follow
            if dependent.consumer.dispatcher.incomplete_until:
                dependent.consumer.dispatcher.incomplete_until = monotonic() + SUBSCRIBING_PAUSE

    def leave(self, subscription: Subscription) -> QueueConsumer | None:
        """Remove a subscription; return its consumer if no other subscription uses it."""
        self._subscriptions.remove(subscription)
        self._with_requirements.pop(subscription.id, None)
        consumer = subscription.consumer
        remaining = tuple(handler for handler in consumer.dispatcher.handlers if handler is not subscription.handler)
        if remaining:
            # Not `_set_handlers`: what required the cancelled handler fails at once.
            consumer.dispatcher.handlers = remaining
            return None
        self._subscriptions.unclaim(consumer)
        return consumer

    def check_complete(self) -> None:
        """Refuse unmet requirements of all subscriptions.

        Raises:
            RequirementError: names the first unmet requirement.
        """
        for subscription in self._with_requirements.values():
            descriptor = subscription.descriptor
            for required in unmet_requirements(descriptor, [peer.descriptor for peer in self._peers(subscription)]):
                elsewhere = next((other for other in self._subscriptions if required.names(other.descriptor)), None)
                raise RequirementError(
                    unmet_requirement(
                        required,
                        subscription.name,
                        subscription.event_name,
                        "" if elsewhere is None else elsewhere.event_name,
                    )
                )

    def _chain_of(self, subscription: Subscription) -> list[Subscription]:
        """Return the chain of a new subscription, which is included, in the order in which its members were made."""
        bound = subscription.descriptor.requires or subscription.descriptor.required_by
        if not bound and not any(
            required.names(subscription.descriptor)
            for other in self._with_requirements.values()
            for required in (*other.descriptor.requires, *other.descriptor.required_by)
        ):
            return [subscription]
        peers = self._peers(subscription)
        position = sum(peer.declared for peer in peers) if subscription.declared else len(peers)
        peers.insert(position, subscription)
        groups = bound_together(predecessors([peer.descriptor for peer in peers]))
        return [peers[index] for index in next(group for group in groups if position in group)]

    def _peers(self, subscription: Subscription) -> list[Subscription]:
        """Return the subscriptions that consume the same addresses, in the order in which they were made."""
        addresses = {route.address for route in subscription.descriptor.routes}
        return [
            other for other in self._subscriptions if {route.address for route in other.descriptor.routes} == addresses
        ]


def _set_handlers(consumer: QueueConsumer, order: list[Subscription]) -> None:
    """Give a consumer its handlers. Deliveries wait for a moment if a required handler is missing."""
    descriptors = [member.descriptor for member in order]
    complete = not any(unmet_requirements(descriptor, descriptors) for descriptor in descriptors if descriptor.requires)
    consumer.dispatcher.handlers = tuple(member.handler for member in order)
    consumer.dispatcher.incomplete_until = 0.0 if complete else monotonic() + SUBSCRIBING_PAUSE


def _check_replaceable(consumers: list[QueueConsumer], order: list[Subscription]) -> None:
    """Refuse to give up durable queues: they would keep events that no handler takes.

    Raises:
        DeclarationError: a consumer has such a queue.
    """
    for consumer in consumers:
        if any(binding.durable for binding in consumer.bindings):
            names = ", ".join(repr(member.name) for member in order)
            raise DeclarationError(
                f"{names} of event {order[0].event_name!r} are bound by their order, but have durable queues of their own "
                "already; pass them as EventManager(listeners=[...]), or subscribe the handler that binds them before the "
                "others"
            )


def _common(order: list[Subscription]) -> EventListenerDescriptor:
    """Return the descriptor that names the queue of a chain: that of its first handler, with the options of all.

    Raises:
        DeclarationError: two of them set an option differently, or have the same name.
    """
    head = order[0].descriptor
    if len(order) == 1:
        return head
    options: dict[str, tuple[object, str]] = {}
    names = set[str]()
    for member in order:
        if member.name in names:
            raise DeclarationError(
                f"two handlers of event {member.event_name!r} that are bound by their order are called {member.name!r}; give "
                "one of them another name="
            )
        names.add(member.name)
        for keyword in _COMMON:
            value = getattr(member.descriptor.options, keyword)
            if value == _DEFAULTS[keyword]:
                continue
            known, owner = options.setdefault(keyword, (value, member.name))
            if known != value:
                raise DeclarationError(
                    f"listeners {owner!r} and {member.name!r} are bound by their order and share a queue, but one has "
                    f"{keyword}={known!r} and the other {keyword}={value!r}; give both the same"
                )
    if options.get("ack", (None, ""))[0] is AckPolicy.MANUAL:
        raise DeclarationError(
            f"listener {options['ack'][1]!r} settles its deliveries itself, so no other handler can follow it; use "
            "AckPolicy.AFTER"
        )
    values: dict[str, Any] = {keyword: value for keyword, (value, _) in options.items()}
    return replace(head, options=replace(head.options, **values))
