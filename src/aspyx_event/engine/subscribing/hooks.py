"""Calls the hooks of the manager's connection and of its subscriptions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from ...error_text import error_text
from ...futures import TaskSet, run_isolated
from ...providers.base import ConnectionHooks, Provider
from ...safe_logger import SafeLogger
from .subscriptions import Subscription, SubscriptionRegistry

logger = SafeLogger(logging.getLogger("aspyx.event"))


async def notify(hook: Callable[..., Any] | None, *arguments: Any) -> None:
    """Call a hook, sync or async. An error of the hook is logged and has no other effect."""
    if hook is None:
        return
    failure = await run_isolated(lambda: hook(*arguments))
    if failure is not None:
        logger.error("a hook failed: %r: %s", hook, error_text(failure), exc_info=failure)


class HookNotifier:
    """Forwards connection events to the hooks of subscriptions, after the provider's own hooks. Runs on the manager's loop.

    Args:
        provider: The transport; this object replaces its hooks.
        subscriptions: The subscriptions of the manager.

    Attributes:
        given_up: Called with the reason when the provider has stopped reconnecting for good.
    """

    def __init__(self, provider: Provider, subscriptions: SubscriptionRegistry) -> None:
        self._provider, self._subscriptions = provider, subscriptions
        self.given_up: Callable[[Exception], None] | None = None
        self._own = ConnectionHooks()
        self._waiting = TaskSet()
        #: How often the connection was lost.
        self._losses = 0

    def install(self) -> None:
        """Replace the provider's hooks, before the provider starts. Idempotent."""
        if self._provider.hooks.on_connect != self._connected:
            self._own = self._provider.hooks
            self._provider.hooks = ConnectionHooks(
                on_connect=self._connected,
                on_disconnect=self._disconnected,
                on_error=self._own.on_error,
                on_give_up=self._on_give_up,
            )

    def stop(self) -> None:
        """Stop waiting for queues to be attached again."""
        self._waiting.cancel()

    async def attached(self, subscription: Subscription) -> None:
        """Call the hook of a subscription whose queue was attached."""
        if subscription.descriptor.options.hooks is not None:
            await notify(subscription.descriptor.options.hooks.on_connect, subscription)

    async def _connected(self) -> None:
        await notify(self._own.on_connect)
        for subscription, hooks in self._hooked():
            if hooks.on_connect is not None and subscription.consumer.in_use:
                self._waiting.spawn(self._when_attached(subscription, self._losses))

    async def _when_attached(self, subscription: Subscription, losses: int) -> None:
        while not subscription.attached:
            if self._losses != losses or not subscription.consumer.in_use:
                return
            await subscription.consumer.wait_state_change()
        await self.attached(subscription)

    async def _disconnected(self, reason: Exception) -> None:
        self._losses += 1
        for consumer in self._subscriptions.consumers:
            consumer.on_disconnect()
        await notify(self._own.on_disconnect, reason)
        for subscription, hooks in self._hooked():
            await notify(hooks.on_disconnect, subscription, reason)

    async def _on_give_up(self, reason: Exception) -> None:
        if self.given_up is not None:
            self.given_up(reason)
        await notify(self._own.on_give_up, reason)

    def _hooked(self) -> list[tuple[Subscription, Any]]:
        return [
            (subscription, subscription.descriptor.options.hooks)
            for subscription in self._subscriptions
            if subscription.descriptor.options.hooks
        ]


def error_hook(subscription: Subscription) -> Callable[[Exception], Any] | None:
    """Return a call of the subscription's `on_error` hook; None if it has none."""
    hooks = subscription.descriptor.options.hooks
    return None if hooks is None or hooks.on_error is None else partial(notify, hooks.on_error, subscription)
