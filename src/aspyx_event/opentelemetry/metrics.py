"""Metrics of sends and subscriptions, following the semantic conventions for messaging where these name a metric."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from functools import partial
from threading import Lock
from weakref import WeakKeyDictionary, ref

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from ..context import EventContext
from ..engine.failure.republish import REPLAY_OF
from ..envelope import ATTEMPT, CE_TIME, Envelope
from ..events import EventDescriptor
from ..listener_descriptors import EventListenerDescriptor
from ..observer import Observer, OnEnd, Settlement, SubscriptionView
from ..providers.base import Outgoing, Provider
from . import semantics
from .semantics import Attributes

#: Bucket bounds for durations of messaging operations, in seconds, as the conventions advise.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: In seconds. A delivery may have waited for its listener over a weekend.
_LAG = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_OUTCOMES = {
    Settlement.RELEASED: "released",
    Settlement.DEAD_LETTER: "dead_letter",
    Settlement.DROPPED: "dropped",
}


class Instruments:
    """Counters and histograms of a meter."""

    def __init__(self, meter: Meter) -> None:
        count, measure = meter.create_counter, partial(_histogram, meter)
        self.sent = count(semantics.SENT_MESSAGES, "{message}", "Messages sent to the broker.")
        self.consumed = count(semantics.CONSUMED_MESSAGES, "{message}", "Messages taken by a worker of a listener.")
        self.processed = count(
            "aspyx_event.processed.messages", "{message}", "Attempts to handle a message, by outcome."
        )
        self.retries = count("aspyx_event.retries", "{attempt}", "Failed attempts that are followed by a retry.")
        self.dead_letters = count("aspyx_event.dead_letters", "{message}", "Messages that became dead letters.")
        self.replays = count("aspyx_event.replays", "{message}", "Dead letters sent back to their listener.")
        self.settle_failures = count(
            "aspyx_event.settle.failures", "{failure}", "Retry copies and dead letters that the broker did not store."
        )
        self.operation = measure(semantics.OPERATION_DURATION, "Duration of sending and of settling.", _SECONDS)
        self.process = measure(semantics.PROCESS_DURATION, "Duration of an attempt to handle a message.", _SECONDS)
        self.lag = measure("aspyx_event.delivery.lag", "Time from the creation of an event to its first attempt.", _LAG)


def _histogram(meter: Meter, name: str, description: str, bounds: tuple[float, ...]) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=bounds)


class Metering(Observer):
    """Records the metrics of a manager.

    Args:
        instruments: Counters and histograms of the meter.
        gauges: Gauges of the same meter.
        provider: Provider of the manager.
        subscriptions: Iterates over the current subscriptions of the manager.
        common: Attributes of all measurements.
    """

    def __init__(
        self,
        instruments: Instruments,
        gauges: Gauges,
        provider: Provider,
        subscriptions: Iterable[SubscriptionView],
        common: Attributes,
    ) -> None:
        self._instruments, self._gauges = instruments, gauges
        self.provider, self.subscriptions, self.common = provider, subscriptions, common
        #: Attributes of measurements, cached by operation, event or listener, and outcome.
        self._attribute_cache: dict[tuple[str, ...], Attributes] = {}

    def started(self) -> None:
        self._gauges.add(self)

    def stopped(self) -> None:
        self._gauges.discard(self)

    def sending(self, message: Outgoing, event: EventDescriptor) -> OnEnd | None:  # noqa: ARG002
        attributes = self._attribute_cache.get(("send", event.name))
        if attributes is None:
            attributes = {**self.common, **semantics.operation("send"), semantics.DESTINATION: event.name}
            self._attribute_cache["send", event.name] = attributes
        return partial(self._sent, attributes, time.perf_counter())

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:  # noqa: ARG002
        attributes = self._attributes("receive", listener)
        self._instruments.consumed.add(1, attributes)
        lag = _lag(envelope)
        if lag is not None:
            self._instruments.lag.record(lag, attributes)

    def handling(self, context: EventContext) -> OnEnd | None:
        return partial(self._handled, context, time.perf_counter())

    def retrying(self, context: EventContext, error: Exception, delay: float) -> None:  # noqa: ARG002
        self._instruments.retries.add(1, self._attributes("process", context.listener))
        self._instruments.processed.add(1, self._attributes("process", context.listener, "retry"))

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> OnEnd | None:  # noqa: ARG002
        return partial(self._settled, listener, settlement, time.perf_counter())

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:  # noqa: ARG002
        self._instruments.settle_failures.add(1, _with_error(self._attributes("settle", listener), error))

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> OnEnd | None:  # noqa: ARG002
        return partial(self._replayed, listener)

    def _sent(self, attributes: Attributes, start: float, error: BaseException | None) -> None:
        if error is not None:
            attributes = _with_error(attributes, error)
        self._instruments.operation.record(time.perf_counter() - start, attributes)
        self._instruments.sent.add(1, attributes)

    def _handled(self, context: EventContext, start: float, error: BaseException | None) -> None:
        listener = context.listener
        attributes = self._attributes("process", listener)
        if error is None:
            outcome = "skipped" if context.skipped else "success"
            self._instruments.processed.add(1, self._attributes("process", listener, outcome))
        else:
            attributes = _with_error(attributes, error)
        self._instruments.process.record(time.perf_counter() - start, attributes)

    def _settled(
        self, listener: EventListenerDescriptor, settlement: Settlement, start: float, error: BaseException | None
    ) -> None:
        attributes = self._attributes("settle", listener)
        if error is not None:
            attributes = _with_error(attributes, error)
        else:
            outcome = _OUTCOMES.get(settlement)
            if outcome is not None:
                self._instruments.processed.add(1, self._attributes("process", listener, outcome))
            if settlement is Settlement.DEAD_LETTER:
                self._instruments.dead_letters.add(1, self._attributes("process", listener))
        self._instruments.operation.record(time.perf_counter() - start, attributes)

    def _replayed(self, listener: EventListenerDescriptor, error: BaseException | None) -> None:
        attributes = self._attributes("replay", listener)
        self._instruments.replays.add(1, attributes if error is None else _with_error(attributes, error))

    def _attributes(self, operation: str, listener: EventListenerDescriptor, outcome: str = "") -> Attributes:
        key = (operation, listener.event.name, listener.name, outcome)
        attributes = self._attribute_cache.get(key)
        if attributes is None:
            operation_type = "send" if operation == "replay" else operation
            attributes = {
                **self.common,
                **semantics.operation(operation, operation_type),
                **semantics.listener_attributes(listener),
            }
            if outcome:
                attributes[semantics.OUTCOME] = outcome
            self._attribute_cache[key] = attributes
        return attributes


def _with_error(attributes: Attributes, error: BaseException) -> Attributes:
    return {**attributes, semantics.ERROR_TYPE: semantics.error_type(error)}


def _lag(envelope: Envelope) -> float | None:
    """Return the seconds since an event was created; None for a retry or replay, or if the time is unknown."""
    headers = envelope.headers
    text = headers.get(CE_TIME)
    if not text or ATTEMPT in headers or REPLAY_OF in headers:
        return None
    try:
        created = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:  # from another sender, with more digits than Python parses
        return None
    if created.tzinfo is None:
        return None
    # The sender's clock may be ahead of ours.
    return max((datetime.now(timezone.utc) - created).total_seconds(), 0.0)


class Gauges:
    """Gauges over all started managers. They are read on the collector's thread."""

    def __init__(self, meter: Meter) -> None:
        #: Replaced as a whole, because the collector reads it on its own thread.
        self._managers: tuple[ref[Metering], ...] = ()
        self._write_lock = Lock()
        level, gauge = meter.create_observable_up_down_counter, meter.create_observable_gauge
        for name, unit, description, read in (
            ("in_flight", "{message}", "Messages being handled.", lambda subscription: subscription.load[1]),
            (
                "waiting",
                "{message}",
                "Received messages that wait for a worker.",
                lambda subscription: subscription.load[0],
            ),
            (
                "abandoned",
                "{handler}",
                "Handlers past their time limit.",
                lambda subscription: subscription.stats.abandoned,
            ),
            (
                "attached",
                "{subscription}",
                "Subscriptions whose queue is attached.",
                lambda subscription: int(subscription.attached),
            ),
        ):
            level(f"aspyx_event.{name}", [partial(self._observe_subscriptions, read)], unit, description)
        oldest = partial(self._observe_subscriptions, lambda subscription: subscription.load[2], combine=max)
        gauge("aspyx_event.waiting.oldest", [oldest], "s", "How long the oldest waiting message has waited.")
        level(
            "aspyx_event.unconfirmed",
            [partial(self._observe_providers, lambda provider: provider.unconfirmed)],
            "{message}",
            "Sent messages that wait for the broker's confirmation.",
        )
        level(
            "aspyx_event.connected",
            [partial(self._observe_providers, lambda provider: int(provider.connected))],
            "{connection}",
            "Connections to the broker.",
        )
        meter.create_observable_counter(
            "aspyx_event.reconnects",
            [partial(self._observe_providers, lambda provider: provider.reconnects)],
            "{connection}",
            "Connections opened after the first.",
        )

    def add(self, manager: Metering) -> None:
        """Include a manager from now on."""
        with self._write_lock:
            self._managers = (*self._managers, ref(manager))

    def discard(self, manager: Metering) -> None:
        """Exclude a manager from now on."""
        with self._write_lock:
            self._managers = tuple(reference for reference in self._managers if reference() not in (None, manager))

    def _current_managers(self) -> list[Metering]:
        return [manager for reference in self._managers if (manager := reference()) is not None]

    def _observe_subscriptions(
        self,
        read: Callable[[SubscriptionView], float],
        _options: CallbackOptions,
        combine: Callable[[Iterable[float]], float] = sum,
    ) -> list[Observation]:
        measurements: list[tuple[Attributes, float]] = []
        for manager in self._current_managers():
            for subscription in manager.subscriptions:
                attributes: Attributes = {
                    **manager.common,
                    semantics.DESTINATION: subscription.event_name,
                    semantics.SUBSCRIPTION: subscription.name,
                }
                if subscription.group:
                    attributes[semantics.GROUP] = subscription.group
                measurements.append((attributes, _read(read, subscription)))
        return _observations(measurements, combine)

    def _observe_providers(self, read: Callable[[Provider], float], _options: CallbackOptions) -> list[Observation]:
        managers = self._current_managers()
        return _observations([(manager.common, read(manager.provider)) for manager in managers], sum)


def _read(read: Callable[[SubscriptionView], float], subscription: SubscriptionView) -> float:
    try:
        return read(subscription)
    except (IndexError, RuntimeError):  # the event loop changed the subscription meanwhile
        return read(subscription)


def _observations(
    measurements: list[tuple[Attributes, float]], combine: Callable[[Iterable[float]], float]
) -> list[Observation]:
    # Of two observations with equal attributes, the second would replace the first.
    groups: dict[tuple[tuple[str, object], ...], tuple[Attributes, list[float]]] = {}
    for attributes, value in measurements:
        groups.setdefault(tuple(sorted(attributes.items())), (attributes, []))[1].append(value)
    return [Observation(combine(values), attributes) for attributes, values in groups.values()]


class GaugeRegistry:
    """Has a `Gauges` per meter provider. Creating an instrument twice would lose the second callback."""

    def __init__(self) -> None:
        self._gauges_by_owner: WeakKeyDictionary[object, Gauges] = WeakKeyDictionary()

    def of(self, owner: object, meter: Meter) -> Gauges:
        """Return the gauges of a meter provider; the first call creates them."""
        gauges = self._gauges_by_owner.get(owner)
        if gauges is None:
            gauges = self._gauges_by_owner[owner] = Gauges(meter)
        return gauges
