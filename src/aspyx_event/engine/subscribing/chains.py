"""Decides which handlers share a queue: handlers bound by an order form a chain, every other handler has its own queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any

from ...exceptions import DeclarationError, RequirementError
from ...listener_descriptors import EventListenerDescriptor
from ...options import SubscriptionOptions, unmet_requirement
from ...ordering import bound_together, predecessors, sequence
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

        Raises:
            RequirementError: handlers require each other in a cycle.
            DeclarationError: handlers of a chain have different options, or are attached to queues of their own already.
            QueueClashError: its queue belongs to another event of this manager.
        """
        chain = self._chain_of(subscription)
        order = _in_order(chain)
        descriptor = _common(order)
        old = list(dict.fromkeys(member.consumer for member in chain if member is not subscription))
        used = [consumer for consumer in old if consumer.in_use]
        if len(used) > 1:
            names = ", ".join(repr(member.name) for member in order)
            raise DeclarationError(
                f"{names} are bound by their order but have queues of their own already: subscribe the one that binds "
                "them before the manager starts"
            )
        if used:
            consumer = used[0]
        else:
            consumer = self._make_consumer(descriptor)
            for unused in old:
                self._subscriptions.unclaim(unused)
            self._subscriptions.claim(consumer, subscription)
        for member in order:
            member.consumer = consumer
        consumer.dispatcher.handlers = tuple(member.handler for member in order)
        self._subscriptions.add(subscription)
        if subscription.descriptor.requires or subscription.descriptor.required_by:
            self._with_requirements[subscription.id] = subscription

    def leave(self, subscription: Subscription) -> QueueConsumer | None:
        """Remove a subscription; return its consumer if no other subscription uses it."""
        self._subscriptions.remove(subscription)
        self._with_requirements.pop(subscription.id, None)
        consumer = subscription.consumer
        remaining = tuple(handler for handler in consumer.dispatcher.handlers if handler is not subscription.handler)
        if remaining:
            consumer.dispatcher.handlers = remaining
            return None
        self._subscriptions.unclaim(consumer)
        return consumer

    def check_complete(self, subscriptions: Iterable[Subscription]) -> None:
        """Refuse unmet requirements of *subscriptions*.

        Raises:
            RequirementError: names the first unmet requirement.
        """
        for subscription in subscriptions:
            if subscription.descriptor.requires:
                peers = [peer.descriptor for peer in self._peers(subscription)]
                for handler, required in predecessors(peers)[1]:
                    if handler is subscription.descriptor:
                        raise RequirementError(unmet_requirement(required, subscription.name))

    def _chain_of(self, subscription: Subscription) -> list[Subscription]:
        """Return the chain of a new subscription, which is included, in the order in which its members were made."""
        bound = subscription.descriptor.requires or subscription.descriptor.required_by
        if not bound and not any(
            required.names(subscription.descriptor)
            for other in self._with_requirements.values()
            for required in (*other.descriptor.requires, *other.descriptor.required_by)
        ):
            return [subscription]
        peers = [*self._peers(subscription), subscription]
        before, _ = predecessors([peer.descriptor for peer in peers])
        group = next(group for group in bound_together(before) if len(peers) - 1 in group)
        return [peers[index] for index in group]

    def _peers(self, subscription: Subscription) -> list[Subscription]:
        """Return the subscriptions that consume the same addresses, in the order in which they were made."""
        addresses = {route.address for route in subscription.descriptor.routes}
        return [
            other for other in self._subscriptions if {route.address for route in other.descriptor.routes} == addresses
        ]


def _in_order(chain: list[Subscription]) -> list[Subscription]:
    descriptors = [member.descriptor for member in chain]
    before, _ = predecessors(descriptors)
    return [chain[index] for index in sequence(descriptors, before)]


def _common(order: list[Subscription]) -> EventListenerDescriptor:
    """Return the descriptor that names the queue of a chain: that of its first handler, with the options of all.

    Raises:
        DeclarationError: two of them set an option differently.
    """
    head = order[0].descriptor
    if len(order) == 1:
        return head
    options: dict[str, tuple[object, str]] = {}
    for member in order:
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
