"""Telling hooks: those of the manager's connection, and those of subscriptions."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from ...providers.base import ConnectionHooks, Provider
from .subscriptions import Subscription, SubscriptionRegistry

logger = logging.getLogger("aspyx.event")
#: Seconds between two looks whether a queue is attached again, once the connection is back.
_LOOK = 0.02


async def tell(hook: Callable[..., Any] | None, *arguments: Any) -> None:
    """Call a hook, sync or async; what it raises is logged and changes nothing."""
    if hook is None:
        return
    try:
        answer = hook(*arguments)
        if inspect.isawaitable(answer):
            await answer
    except Exception:
        logger.exception("a hook failed: %r", hook)


class HookNotifier:
    """Passes on what becomes of the connection to the hooks of subscriptions, after those that the provider had. On the
    manager's loop.

    Args:
        provider: The transport; its hooks are replaced by this.
        subscriptions: Of the manager.
    """

    def __init__(self, provider: Provider, subscriptions: SubscriptionRegistry) -> None:
        self._provider, self._subscriptions = provider, subscriptions
        self._own = ConnectionHooks()
        self._waiting: set[asyncio.Task[None]] = set()

    def install(self) -> None:
        """Take the place of the provider's hooks, before it starts; again does nothing."""
        if self._provider.hooks.on_connect != self._connected:
            self._own = self._provider.hooks
            self._provider.hooks = ConnectionHooks(
                on_connect=self._connected, on_disconnect=self._disconnected, on_error=self._own.on_error
            )

    def stop(self) -> None:
        """Wait for no queue any more."""
        for task in self._waiting:
            task.cancel()

    async def attached(self, subscription: Subscription) -> None:
        """Its queue was attached for the first time."""
        if subscription.descriptor.options.hooks is not None:
            await tell(subscription.descriptor.options.hooks.on_connect, subscription)

    async def _connected(self) -> None:
        await tell(self._own.on_connect)
        for subscription, hooks in self._hooked():
            if hooks.on_connect is not None and subscription.intake.in_use:
                task = asyncio.get_running_loop().create_task(self._when_attached(subscription))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)

    async def _when_attached(self, subscription: Subscription) -> None:
        while not subscription.attached:
            if not self._provider.connected or not subscription.intake.in_use:
                return
            await asyncio.sleep(_LOOK)
        await self.attached(subscription)

    async def _disconnected(self, reason: Exception) -> None:
        await tell(self._own.on_disconnect, reason)
        for subscription, hooks in self._hooked():
            await tell(hooks.on_disconnect, subscription, reason)

    def _hooked(self) -> list[tuple[Subscription, Any]]:
        return [(one, one.descriptor.options.hooks) for one in self._subscriptions if one.descriptor.options.hooks]


def given_up(subscription: Subscription) -> Callable[[Exception], Any] | None:
    """Return what tells a subscription's hook of an event that was given up; None where it has none."""
    hooks = subscription.descriptor.options.hooks
    return None if hooks is None or hooks.on_error is None else partial(tell, hooks.on_error, subscription)
