"""Health of a manager: liveness and readiness, from observed behaviour, not from configuration."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

from ...deadlines import within
from ...envelope import Envelope, SendOptions
from ...error_text import error_text
from ...exceptions import EventException
from ...names import FRAMEWORK_ADDRESS_PREFIX
from ...providers.base import Outgoing, Provider
from ..runtime.background_start import BackgroundStart
from ..subscribing.subscriptions import Subscription, SubscriptionRegistry

_PING = FRAMEWORK_ADDRESS_PREFIX + "ping"


@dataclass(frozen=True, slots=True)
class SubscriptionHealth:
    """Health of a subscription.

    Attributes:
        name: Name of the listener.
        event: Name of the event.
        attached: Its queue is attached now.
        paused: The program has paused it.
        waiting: Received deliveries that no worker has taken yet.
        running: Deliveries being handled.
        oldest: Seconds that the first waiting delivery has waited; 0.0 where none waits.
        abandoned: Handlers past their time limit that are still running.
        workers: Workers that take deliveries.
        trouble: Why deliveries are not settled now: dead letters that are refused, releases that no stop asked for.
            "" if there is no reason.
        unmet: The handlers that it requires and that are missing.
    """

    name: str
    event: str
    attached: bool
    paused: bool
    waiting: int
    running: int
    oldest: float
    abandoned: int
    workers: int = 0
    trouble: str = ""
    unmet: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """The result of `EventManager.health`.

    Attributes:
        live: The process can still work; if False, only a restart helps.
        ready: The broker answers and all subscriptions are attached: events can be sent and are received.
        reasons: Why it is not live or not ready; empty if it is both.
        provider: Name of the provider.
        round_trip: Seconds until the broker confirmed a test message that nobody receives; None if it did not.
        reconnects: Connections opened after the first.
        unconfirmed: Messages that wait for the broker's confirmation.
        subscriptions: One entry per subscription.
    """

    live: bool
    ready: bool
    reasons: list[str] = field(default_factory=list)
    provider: str = ""
    round_trip: float | None = None
    reconnects: int = 0
    unconfirmed: int = 0
    subscriptions: list[SubscriptionHealth] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)


async def check_health(
    provider: Provider,
    subscriptions: SubscriptionRegistry,
    *,
    running: bool,
    background: BackgroundStart | None,
    timeout: float,
    stalled_after: float | None,
) -> Health:
    """Ask the broker and inspect every subscription. Runs on the manager's loop.

    Args:
        provider: The transport.
        subscriptions: The subscriptions of the manager.
        running: The manager is started.
        background: Starts the manager in the background; None for a manager that does not.
        timeout: Seconds for the broker to answer.
        stalled_after: A delivery that waits longer than this many seconds makes the process not live; None: never.
    """
    if not running:
        error = background.error if background is not None else None
        reason = "the event manager is not started" + (f": {error_text(error)}" if error is not None else "")
        failed = background is not None and background.failed
        return Health(live=not failed, ready=False, reasons=[reason], provider=provider.name)
    reasons, fatal = [], False
    round_trip = None
    if provider.reconnect_exhausted:
        fatal = True
        reasons.append("the provider has given up reconnecting")
    elif not provider.connected:
        reasons.append("there is no connection to the broker")
    else:
        try:
            round_trip = await _ping(provider, timeout)
        except (EventException, asyncio.TimeoutError) as error:
            reasons.append(f"the broker does not confirm: {str(error) or f'no answer within {timeout:g} s'}")
    states = [_state(subscription) for subscription in subscriptions]
    for state in states:
        if not state.attached:
            reasons.append(f"subscription {state.name!r} to {state.event!r} is not attached")
        elif not state.workers:
            reasons.append(f"subscription {state.name!r} to {state.event!r} has no worker")
        if state.unmet:
            required = ", ".join(map(repr, state.unmet))
            reasons.append(f"subscription {state.name!r} to {state.event!r} requires {required}, which is missing")
        if state.trouble:
            reasons.append(f"subscription {state.name!r} to {state.event!r} does not settle: {state.trouble}")
        if stalled_after is not None and state.oldest > stalled_after:
            fatal = True
            reasons.append(f"subscription {state.name!r} to {state.event!r} has not moved for {state.oldest:.0f} s")
    return Health(
        live=not fatal,
        ready=not reasons,
        reasons=reasons,
        provider=provider.name,
        round_trip=round_trip,
        reconnects=provider.reconnects,
        unconfirmed=provider.unconfirmed,
        subscriptions=states,
    )


async def _ping(provider: Provider, timeout: float) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    # No queue is bound to the address, so the broker confirms the message and drops it.
    options = SendOptions(ttl=1.0 if provider.capabilities.ttl else None)
    ping = Outgoing(address=_PING, envelope=Envelope(), dedup_id=str(uuid4()), options=options)
    await within(provider.publish(ping), timeout)
    return loop.time() - began


def _state(subscription: Subscription) -> SubscriptionHealth:
    waiting, running, oldest = subscription.load
    return SubscriptionHealth(
        name=subscription.name,
        event=subscription.event_name,
        attached=subscription.attached,
        paused=subscription.paused,
        waiting=waiting,
        running=running,
        oldest=oldest,
        abandoned=subscription.stats.abandoned,
        workers=subscription.consumer.workers,
        trouble=subscription.consumer.trouble,
        unmet=tuple(map(str, subscription.unmet)),
    )
