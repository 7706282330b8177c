"""Which handlers share a queue: those that an order binds together form one chain, every other has its own."""

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

#: What all handlers of a chain have in common, because they share the queue.
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
#: Makes the intake of a queue from the descriptor that names it.
MakeIntake = Callable[[EventListenerDescriptor], QueueConsumer]


class HandlerChains:
    """Gives every subscription its place: an intake of its own, or one that it shares.

    Args:
        subscriptions: Of the manager.
        make_intake: Makes one.
    """

    def __init__(self, subscriptions: SubscriptionRegistry, make_intake: MakeIntake) -> None:
        self._subscriptions, self._make_intake = subscriptions, make_intake
        #: Subscriptions that name others; few, so that the many without bonds cost nothing.
        self._naming: dict[str, Subscription] = {}

    def join(self, subscription: Subscription) -> None:
        """Take a subscription in.

        Raises:
            RequirementError: handlers require each other in a ring.
            DeclarationError: those that belong together disagree, or are attached to queues of their own already.
            QueueClashError: its queue belongs to another event here.
        """
        together = self._together(subscription)
        order = _in_order(together)
        descriptor = _common(order)
        old = list(dict.fromkeys(one.intake for one in together if one is not subscription))
        used = [intake for intake in old if intake.in_use]
        if len(used) > 1:
            names = ", ".join(repr(one.name) for one in order)
            raise DeclarationError(
                f"{names} are bound by their order but have queues of their own already: subscribe the one that binds "
                "them before the manager starts"
            )
        if used:
            intake = used[0]
        else:
            intake = self._make_intake(descriptor)
            for unused in old:
                self._subscriptions.unclaim(unused)
            self._subscriptions.claim(intake, subscription)
        for one in order:
            one.intake = intake
        intake.dispatcher.steps = tuple(one.step for one in order)
        self._subscriptions.add(subscription)
        if subscription.descriptor.requires or subscription.descriptor.required_by:
            self._naming[subscription.id] = subscription

    def leave(self, subscription: Subscription) -> QueueConsumer | None:
        """Forget a subscription; return its intake if nobody uses it any more."""
        self._subscriptions.remove(subscription)
        self._naming.pop(subscription.id, None)
        intake = subscription.intake
        left = tuple(step for step in intake.dispatcher.steps if step is not subscription.step)
        if left:
            intake.dispatcher.steps = left
            return None
        self._subscriptions.unclaim(intake)
        return intake

    def check_complete(self, subscriptions: Iterable[Subscription]) -> None:
        """Refuse requirements of *subscriptions* that nobody meets.

        Raises:
            RequirementError: names the first one.
        """
        for one in subscriptions:
            if one.descriptor.requires:
                peers = [peer.descriptor for peer in self._peers(one)]
                for handler, required in predecessors(peers)[1]:
                    if handler is one.descriptor:
                        raise RequirementError(unmet_requirement(required, one.name))

    def _together(self, subscription: Subscription) -> list[Subscription]:
        """Return the subscriptions that share a queue with a new one, itself included, in the order they were made."""
        bound = subscription.descriptor.requires or subscription.descriptor.required_by
        if not bound and not any(
            required.names(subscription.descriptor)
            for one in self._naming.values()
            for required in (*one.descriptor.requires, *one.descriptor.required_by)
        ):
            return [subscription]
        peers = [*self._peers(subscription), subscription]
        before, _ = predecessors([one.descriptor for one in peers])
        group = next(group for group in bound_together(before) if len(peers) - 1 in group)
        return [peers[index] for index in group]

    def _peers(self, subscription: Subscription) -> list[Subscription]:
        """Return the subscriptions here that consume the same, in the order they were made."""
        addresses = {source.address for source in subscription.descriptor.routes}
        return [one for one in self._subscriptions if {source.address for source in one.descriptor.routes} == addresses]


def _in_order(together: list[Subscription]) -> list[Subscription]:
    descriptors = [one.descriptor for one in together]
    before, _ = predecessors(descriptors)
    return [together[index] for index in sequence(descriptors, before)]


def _common(order: list[Subscription]) -> EventListenerDescriptor:
    """Return the descriptor that names the queue of a chain: that of its first handler, with what others ask for.

    Raises:
        DeclarationError: two of them ask for different things.
    """
    head = order[0].descriptor
    if len(order) == 1:
        return head
    asked: dict[str, tuple[object, str]] = {}
    for one in order:
        for keyword in _COMMON:
            value = getattr(one.descriptor.options, keyword)
            if value == _DEFAULTS[keyword]:
                continue
            known, who = asked.setdefault(keyword, (value, one.name))
            if known != value:
                raise DeclarationError(
                    f"listeners {who!r} and {one.name!r} are bound by their order and share a queue, but one says "
                    f"{keyword}={known!r} and the other {keyword}={value!r}; give both the same"
                )
    if asked.get("ack", (None, ""))[0] is AckPolicy.MANUAL:
        raise DeclarationError(
            f"listener {asked['ack'][1]!r} settles its deliveries itself, so no other handler can follow it; use "
            "AckPolicy.AFTER"
        )
    values: dict[str, Any] = {keyword: value for keyword, (value, _) in asked.items()}
    return replace(head, options=replace(head.options, **values))
