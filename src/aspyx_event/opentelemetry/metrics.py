"""Metrics of sends and subscriptions, by the semantic conventions for messaging where they name one."""

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
from ..observer import Finish, Observer, Settlement, SubscriptionView
from ..providers.base import Outgoing, Provider
from . import semantics
from .semantics import Attributes

#: Bounds that the conventions advise for durations of messaging operations, in seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: A delivery may have waited for its listener over a weekend.
_LAG = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_OUTCOMES = {
    Settlement.RELEASED: "released",
    Settlement.DEAD_LETTER: "dead_letter",
    Settlement.DROPPED: "dropped",
}


class Instruments:
    """Counters and histograms of one meter."""

    def __init__(self, meter: Meter) -> None:
        count, measure = meter.create_counter, partial(_histogram, meter)
        self.sent = count(semantics.SENT_MESSAGES, "{message}", "Messages that were handed to the broker.")
        self.consumed = count(semantics.CONSUMED_MESSAGES, "{message}", "Messages that a listener's worker has taken.")
        self.processed = count("aspyx_event.processed.messages", "{message}", "Attempts at a message, by outcome.")
        self.retries = count("aspyx_event.retries", "{attempt}", "Failed attempts that are followed by another one.")
        self.dead_letters = count("aspyx_event.dead_letters", "{message}", "Messages that became dead letters.")
        self.replays = count("aspyx_event.replays", "{message}", "Dead letters sent back to their listener.")
        self.settle_failures = count(
            "aspyx_event.settle.failures", "{failure}", "Copies of a message that the broker did not store."
        )
        self.operation = measure(semantics.OPERATION_DURATION, "Duration of sending, and of settling.", _SECONDS)
        self.process = measure(semantics.PROCESS_DURATION, "Duration of one attempt at a message.", _SECONDS)
        self.lag = measure("aspyx_event.delivery.lag", "From the making of an event to its first attempt.", _LAG)


def _histogram(meter: Meter, name: str, description: str, bounds: tuple[float, ...]) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=bounds)


class Metering(Observer):
    """Counts and measures what one manager does.

    Args:
        instruments: Of the meter.
        gauges: Of the same meter.
        provider: Of the manager.
        subscriptions: Gives those it has at the moment.
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
        #: Attributes of measurements, made once: by operation, outcome and whatever they are about.
        self._known: dict[tuple[str, ...], Attributes] = {}

    def started(self) -> None:
        self._gauges.add(self)

    def stopped(self) -> None:
        self._gauges.discard(self)

    def sending(self, message: Outgoing, event: EventDescriptor) -> Finish | None:  # noqa: ARG002
        attributes = self._known.get(("send", event.name))
        if attributes is None:
            attributes = {**self.common, **semantics.operation("send"), semantics.DESTINATION: event.name}
            self._known["send", event.name] = attributes
        return partial(self._sent, attributes, time.perf_counter())

    def received(self, envelope: Envelope, listener: EventListenerDescriptor, arrived: int) -> None:  # noqa: ARG002
        attributes = self._of("receive", listener)
        self._instruments.consumed.add(1, attributes)
        lag = _lag(envelope)
        if lag is not None:
            self._instruments.lag.record(lag, attributes)

    def handling(self, context: EventContext) -> Finish | None:
        return partial(self._handled, context, time.perf_counter())

    def retrying(self, context: EventContext, error: Exception, delay: float) -> None:  # noqa: ARG002
        self._instruments.retries.add(1, self._of("process", context.listener))
        self._instruments.processed.add(1, self._of("process", context.listener, "retry"))

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> Finish | None:  # noqa: ARG002
        return partial(self._settled, listener, settlement, time.perf_counter())

    def not_stored(self, envelope: Envelope, listener: EventListenerDescriptor, error: Exception) -> None:  # noqa: ARG002
        self._instruments.settle_failures.add(1, _failed(self._of("settle", listener), error))

    def replaying(self, envelope: Envelope, listener: EventListenerDescriptor, letter_id: str) -> Finish | None:  # noqa: ARG002
        return partial(self._replayed, listener)

    def _sent(self, attributes: Attributes, began: float, error: BaseException | None) -> None:
        if error is not None:
            attributes = _failed(attributes, error)
        self._instruments.operation.record(time.perf_counter() - began, attributes)
        self._instruments.sent.add(1, attributes)

    def _handled(self, context: EventContext, began: float, error: BaseException | None) -> None:
        listener = context.listener
        attributes = self._of("process", listener)
        if error is None:
            outcome = "skipped" if context.skipped else "success"
            self._instruments.processed.add(1, self._of("process", listener, outcome))
        else:
            attributes = _failed(attributes, error)
        self._instruments.process.record(time.perf_counter() - began, attributes)

    def _settled(
        self, listener: EventListenerDescriptor, settlement: Settlement, began: float, error: BaseException | None
    ) -> None:
        attributes = self._of("settle", listener)
        if error is not None:
            attributes = _failed(attributes, error)
        else:
            outcome = _OUTCOMES.get(settlement)
            if outcome is not None:
                self._instruments.processed.add(1, self._of("process", listener, outcome))
            if settlement is Settlement.DEAD_LETTER:
                self._instruments.dead_letters.add(1, self._of("process", listener))
        self._instruments.operation.record(time.perf_counter() - began, attributes)

    def _replayed(self, listener: EventListenerDescriptor, error: BaseException | None) -> None:
        attributes = self._of("replay", listener)
        self._instruments.replays.add(1, attributes if error is None else _failed(attributes, error))

    def _of(self, name: str, listener: EventListenerDescriptor, outcome: str = "") -> Attributes:
        key = (name, listener.event.name, listener.name, outcome)
        found = self._known.get(key)
        if found is None:
            kind = "send" if name == "replay" else name
            found = {**self.common, **semantics.operation(name, kind), **semantics.listener_attributes(listener)}
            if outcome:
                found[semantics.OUTCOME] = outcome
            self._known[key] = found
        return found


def _failed(attributes: Attributes, error: BaseException) -> Attributes:
    return {**attributes, semantics.ERROR_TYPE: semantics.error_type(error)}


def _lag(envelope: Envelope) -> float | None:
    """Return the seconds since an event was made; None at further attempts, and where nobody said when."""
    headers = envelope.headers
    made = headers.get(CE_TIME)
    if not made or ATTEMPT in headers or REPLAY_OF in headers:
        return None
    try:
        at = datetime.fromisoformat(made.replace("Z", "+00:00"))
    except ValueError:  # a foreign sender's, with more digits than Python reads
        return None
    if at.tzinfo is None:
        return None
    # Another machine's clock may be ahead of ours.
    return max((datetime.now(timezone.utc) - at).total_seconds(), 0.0)


class Gauges:
    """What is read when metrics are collected: of all managers that are started, on the thread of the collector."""

    def __init__(self, meter: Meter) -> None:
        #: Replaced as a whole: the collector reads it on a thread of its own.
        self._managers: tuple[ref[Metering], ...] = ()
        self._changing = Lock()
        level, gauge = meter.create_observable_up_down_counter, meter.create_observable_gauge
        for name, unit, description, read in (
            ("in_flight", "{message}", "Messages being handled.", lambda one: one.load[1]),
            ("waiting", "{message}", "Messages received that wait for a worker.", lambda one: one.load[0]),
            ("abandoned", "{handler}", "Handlers past their time limit.", lambda one: one.stats.abandoned),
            ("attached", "{subscription}", "Subscriptions whose queue is attached.", lambda one: int(one.attached)),
        ):
            level(f"aspyx_event.{name}", [partial(self._of_subscriptions, read)], unit, description)
        oldest = partial(self._of_subscriptions, lambda one: one.load[2], together=max)
        gauge("aspyx_event.waiting.oldest", [oldest], "s", "How long the first of the waiting messages has waited.")
        level(
            "aspyx_event.unconfirmed",
            [partial(self._of_providers, lambda one: one.unconfirmed)],
            "{message}",
            "Messages sent that wait for the broker's confirmation.",
        )
        level(
            "aspyx_event.connected",
            [partial(self._of_providers, lambda one: int(one.connected))],
            "{connection}",
            "Connections to the broker.",
        )
        meter.create_observable_counter(
            "aspyx_event.reconnects",
            [partial(self._of_providers, lambda one: one.reconnects)],
            "{connection}",
            "Connections opened after the first one.",
        )

    def add(self, manager: Metering) -> None:
        """Tell of a manager from now on."""
        with self._changing:
            self._managers = (*self._managers, ref(manager))

    def discard(self, manager: Metering) -> None:
        """Tell of it no more."""
        with self._changing:
            self._managers = tuple(known for known in self._managers if known() not in (None, manager))

    def _told(self) -> list[Metering]:
        return [manager for known in self._managers if (manager := known()) is not None]

    def _of_subscriptions(
        self,
        read: Callable[[SubscriptionView], float],
        _options: CallbackOptions,
        together: Callable[[Iterable[float]], float] = sum,
    ) -> list[Observation]:
        found: list[tuple[Attributes, float]] = []
        for manager in self._told():
            for one in manager.subscriptions:
                place: Attributes = {semantics.DESTINATION: one.event_name, semantics.SUBSCRIPTION: one.name}
                if one.group:
                    place[semantics.GROUP] = one.group
                found.append(({**manager.common, **place}, _read(read, one)))
        return _observations(found, together)

    def _of_providers(self, read: Callable[[Provider], float], _options: CallbackOptions) -> list[Observation]:
        return _observations([(one.common, read(one.provider)) for one in self._told()], sum)


def _read(read: Callable[[SubscriptionView], float], subscription: SubscriptionView) -> float:
    try:
        return read(subscription)
    except (IndexError, RuntimeError):  # its loop changed it meanwhile
        return read(subscription)


def _observations(
    found: list[tuple[Attributes, float]], together: Callable[[Iterable[float]], float]
) -> list[Observation]:
    # Two of the same attributes would replace each other.
    groups: dict[tuple[tuple[str, object], ...], tuple[Attributes, list[float]]] = {}
    for attributes, value in found:
        groups.setdefault(tuple(sorted(attributes.items())), (attributes, []))[1].append(value)
    return [Observation(together(values), attributes) for attributes, values in groups.values()]


class GaugesOfMeters:
    """One `Gauges` for each meter provider: an instrument that is made twice would forget the second one's callbacks."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[object, Gauges] = WeakKeyDictionary()

    def of(self, owner: object, meter: Meter) -> Gauges:
        """Return the gauges of a meter provider, made at the first call."""
        found = self._known.get(owner)
        if found is None:
            found = self._known[owner] = Gauges(meter)
        return found
