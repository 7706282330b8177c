"""AX-40 ... AX-50, AX-81: construction, sending, subscribing at run time, descriptors, the transport's port."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pytest
from support_core import Gate, Recorder, eventually, settle

import aspyx_event
from aspyx_event import (
    DeclarationError,
    EventListener,
    EventManager,
    LocalProvider,
    Subscription,
    event,
    event_handler,
    event_listener,
)
from aspyx_event.exceptions import PermissionDeniedError, QueueClashError, UnregisteredEventTypeError, UnsupportedError
from aspyx_event.options import SubscriptionKeywords, SubscriptionOptions
from aspyx_event.providers import Binding, Capabilities, Consumer, Delivery, Outgoing, Provider


@event(name="manager.order")
@dataclass
class Order:
    number: int


@event(name="manager.durable", durable=True)
@dataclass
class Durable:
    number: int


class Minimal(Provider):
    """A transport of somebody else: delivers at once, claims nothing it lacks."""

    name = "minimal"
    capabilities = Capabilities(competing=True)

    def __init__(self) -> None:
        self.consumers: dict[str, list] = {}
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    def publish(self, message: Outgoing) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        for consume in self.consumers.get(message.address, []):
            consume(MinimalDelivery(message, self.calls))
        done.set_result(None)
        return done

    async def subscribe(self, binding: Binding, consume) -> Consumer:
        self.consumers.setdefault(binding.address, []).append(consume)
        return MinimalConsumer()


class Refusing(LocalProvider):
    async def subscribe(self, binding: Binding, consume) -> Consumer:
        raise PermissionDeniedError("no right to create queues")


class MinimalDelivery(Delivery):
    def __init__(self, message: Outgoing, calls: list[str]) -> None:
        self.envelope, self.redelivered, self.calls = message.envelope.fork(), False, calls

    def ack(self) -> None:
        self.calls.append("ack")

    def release(self) -> None:
        self.calls.append("release")


class MinimalConsumer(Consumer):
    async def pause(self) -> None:
        """Nothing to hold back."""

    async def resume(self) -> None:
        """Nothing to hold back."""

    async def close(self) -> None:
        """Nothing to give back."""


def test_the_constructor_keeps_names_and_order():
    parameters = list(inspect.signature(EventManager).parameters.values())
    assert [one.name for one in parameters[:2]] == ["provider", "exception_manager"]
    assert parameters[1].default is None
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in parameters[2:])


@pytest.mark.parametrize(
    "name", ["Envelope", "EventDescriptor", "EventListenerDescriptor", "EnvelopePipeline", "Provider"]
)
def test_the_documented_nested_names_are_the_public_classes(name):
    assert getattr(EventManager, name) is (Provider if name == "Provider" else getattr(aspyx_event, name))


def test_what_is_no_provider_is_refused():
    with pytest.raises(DeclarationError, match="does not derive from Provider"):
        EventManager("localhost")  # type: ignore[arg-type]


def test_what_reacts_to_nothing_is_refused():
    with pytest.raises(DeclarationError, match=r"has no handler.*@event_handler"):
        EventManager(LocalProvider(), listeners=[print])


async def test_sending_is_a_plain_call_whose_receipt_may_be_awaited_or_not():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen)
        assert not inspect.iscoroutinefunction(manager.send_event)
        manager.send_event(Order(1))
        await manager.send_event(Order(2))
        await eventually(lambda: seen.handled == [Order(1), Order(2)])


async def test_in_a_loop_sending_returns_before_the_listeners_run():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, seen)
        manager.send_event(Order(1))
        assert seen.events == []
        await eventually(lambda: seen.handled)


def test_without_a_loop_sending_returns_after_the_listeners_ran():
    seen = Recorder()
    manager = EventManager(LocalProvider())
    manager.subscribe(Order, seen)
    manager.send_event(Order(1))
    assert seen.handled == [Order(1)]
    asyncio.run(manager.stop())


async def test_n_listeners_handle_an_event_n_times_and_settle_after_their_handlers():
    gate, counters = Gate(), [Recorder() for _ in range(3)]
    async with EventManager(LocalProvider()) as manager:
        for number, counter in enumerate(counters):
            await manager.subscribe(Order, counter, name=f"l{number}")
        await manager.subscribe(Order, gate, name="slow")
        await manager.send_event(Order(1))
        await eventually(lambda: gate.entered and all(counter.handled for counter in counters))
        await settle()
        assert [len(counter.events) for counter in counters] == [1, 1, 1]
        assert manager.provider.broker.depth("l0") == 0  # type: ignore[attr-defined]
        assert manager.provider.broker.depth("slow") == 1  # type: ignore[attr-defined]
        gate.opened.set()
        await eventually(lambda: manager.provider.broker.depth("slow") == 0)  # type: ignore[attr-defined]


def test_the_package_says_which_pythons_it_is_for():
    found = metadata.metadata("aspyx-event")
    assert found["Requires-Python"] == ">=3.10"
    assert sys.version_info >= (3, 10)
    assert aspyx_event.__version__ == found["Version"]


async def test_the_module_and_the_local_provider_are_public():
    assert {"EventModule", "LocalProvider"} <= set(aspyx_event.__all__)  # type: ignore[attr-defined]
    for name in aspyx_event.__all__:  # type: ignore[attr-defined]
        assert getattr(aspyx_event, name) is not None


async def test_subscribing_by_class_and_by_name():
    by_class, by_name = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, by_class, name="by-class")
        subscription = await manager.subscribe("manager.order", by_name, name="by-name")
        assert isinstance(subscription, Subscription)
        await manager.send_event(Order(1))
        await eventually(lambda: by_class.handled and by_name.handled)
        assert [one.name for one in manager.list_subscriptions("manager.order")] == ["by-class", "by-name"]
        assert manager.list_subscriptions("nothing") == []


async def test_an_unknown_name_has_no_descriptor_and_a_class_that_is_no_event_is_refused():
    async with EventManager(LocalProvider()) as manager:
        manager.events.add(Order)
        with pytest.raises(UnregisteredEventTypeError, match=r"No event found with name 'x'; known: manager\.order"):
            manager.events.by_name("x")
        with pytest.raises(UnregisteredEventTypeError, match="str is not an event"):
            manager.subscribe(str, Recorder())


async def test_unsubscribing_detaches_the_queue_and_tells_whether_it_was_there():
    seen = Recorder()
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, seen, name="gone")
        assert subscription.attached
        assert await manager.unsubscribe(subscription.id) is True
        assert await manager.unsubscribe(subscription) is False
        assert await manager.unsubscribe("never there") is False
        await manager.send_event(Order(1))
        await settle()
        assert (seen.events, manager.list_subscriptions(), manager.provider.broker.queues()) == ([], [], [])  # type: ignore[attr-defined]
        assert not subscription.attached


async def test_a_subscription_is_cancelled_once():
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, Recorder())
        assert await subscription.cancel() is True
        assert await subscription.cancel() is False


async def test_subscribing_and_unsubscribing_leaves_nothing_behind():
    async with EventManager(LocalProvider()) as manager:
        for _ in range(20):
            subscription = await manager.subscribe(Order, Recorder())
            await subscription.cancel()
        assert not manager.provider._consumers  # type: ignore[attr-defined]
        # Its queue name is free for another event, too.
        taken = await manager.subscribe(Order, Recorder(), name="free")
        await taken.cancel()
        await manager.subscribe(Durable, Recorder(), name="free")


async def test_functions_of_one_name_get_different_queues():
    async with EventManager(LocalProvider()) as manager:
        for _ in range(3):
            await manager.subscribe(Order, lambda event: None)
        assert [one.name for one in manager.list_subscriptions()] == ["lambda", "lambda-2", "lambda-3"]


async def test_a_lambda_needs_a_name_where_its_queue_outlives_the_program():
    async with EventManager(LocalProvider()) as manager:
        with pytest.raises(DeclarationError, match=r"manager\.durable.*durable.*no name of its own.*needs a name="):
            manager.subscribe(Durable, lambda event: None)
        assert await manager.subscribe(Durable, lambda event: None, name="named")


async def test_one_queue_cannot_serve_two_events():
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, Recorder(), name="same")
        with pytest.raises(QueueClashError, match=r"manager\.order.*manager\.durable.*'same'"):
            manager.subscribe(Durable, Recorder(), name="same")
        assert len(manager.list_subscriptions()) == 1


async def test_stats_tell_what_a_subscription_did():
    seen = Recorder(failures=[ValueError("one")])
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, seen)
        assert (subscription.stats.count, subscription.stats.last_time) == (0, None)
        await manager.send_event(Order(1))
        receipt = manager.send_event(Order(2))
        await eventually(lambda: subscription.stats.count == 1)
        assert (subscription.stats.failures, subscription.stats.dead_letters) == (1, 1)
        assert subscription.stats.last_event_id == receipt.id == seen.contexts[-1].event_id
        assert subscription.stats.last_time.tzinfo is not None


async def test_a_subscription_that_cannot_be_attached_is_forgotten():
    async with EventManager(Refusing()) as manager:
        with pytest.raises(PermissionDeniedError):
            await manager.subscribe(Order, Recorder())
        assert manager.list_subscriptions() == []


def test_descriptors_are_looked_up_by_class_and_name():
    manager = EventManager(LocalProvider())
    descriptor = manager.events.add(Order)
    assert manager.events.by_name("manager.order") is descriptor
    assert (descriptor.type, descriptor.name) == (Order, "manager.order")
    with pytest.raises(UnregisteredEventTypeError, match="No event found with name 'nope'"):
        manager.events.by_name("nope")
    with pytest.raises(UnregisteredEventTypeError):
        manager.events.add(int)


async def test_a_transport_of_somebody_else_is_plugged_in():
    provider, seen = Minimal(), Recorder()
    async with EventManager(provider) as manager:
        await manager.subscribe(Order, seen)
        await manager.send_event(Order(1))
        await eventually(lambda: seen.handled)
        await settle()
    assert provider.calls == ["start", "ack", "stop"]


async def test_what_a_transport_lacks_is_refused_before_anything_is_sent():
    async with EventManager(Minimal()) as manager:
        option: dict[str, Any]
        for option in ({"delay": 1.0}, {"ttl": 1.0}, {"priority": 3}, {"key": "k"}, {"require_route": True}):
            with pytest.raises(
                UnsupportedError, match=rf"{next(iter(option))}=.*the minimal provider does not offer it"
            ):
                manager.send_event(Order(1), **option)
        for keywords in ({"per_process": True}, {"resumable": True}):
            with pytest.raises(UnsupportedError, match=r"needs a queue.* the minimal provider does not offer"):
                manager.subscribe(Order, Recorder(), name="l", **keywords)  # type: ignore[arg-type]
        with pytest.raises(UnsupportedError, match="outlives its listener"):
            manager.subscribe(Durable, Recorder(), name="l")


async def test_the_loggers_are_below_aspyx_event(caplog):
    caplog.set_level(logging.INFO, "aspyx.event")
    async with EventManager(LocalProvider()) as manager:
        await manager.subscribe(Order, Recorder(failures=[ValueError("x")]))
        await manager.send_event(Order(1))
        await eventually(lambda: any(record.levelname == "ERROR" for record in caplog.records))
    assert {record.name.partition(".event")[0] for record in caplog.records} == {"aspyx"}


async def test_every_keyword_of_a_listener_is_a_keyword_everywhere():
    def names(function, skip):
        return [name for name in inspect.signature(function).parameters if name not in skip]

    positional = ["name", "group", "per_process"]
    for use, skip in ((event_listener, {"event"}), (EventManager.subscribe, {"self", "target", "callback"})):
        assert names(use, skip) == [*positional, "keywords"]
    assert names(event_handler, {"targets"}) == [*positional, "keywords"]
    keywords = list(SubscriptionKeywords.__annotations__)
    assert names(SubscriptionOptions, ()) == positional + keywords


async def test_pausing_holds_deliveries_back_and_resuming_takes_them():
    seen, gate = Recorder(), Gate()
    async with EventManager(LocalProvider()) as manager:
        subscription = await manager.subscribe(Order, seen, name="pausing")
        other = await manager.subscribe(Order, gate, name="at work")
        await manager.send_event(Order(0))
        await eventually(lambda: seen.handled and gate.entered)
        await subscription.pause()
        await other.pause()
        await manager.send_event(Order(1))
        await settle()
        assert (len(seen.events), subscription.attached) == (1, True)
        gate.opened.set()
        await eventually(lambda: gate.left)  # what was being handled is finished
        await subscription.resume()
        await eventually(lambda: seen.handled == [Order(0), Order(1)])
        assert gate.entered == [Order(0)]


def test_the_base_listener_says_that_on_is_missing():
    with pytest.raises(NotImplementedError):
        EventListener.on(object(), Order(1), None)  # type: ignore[arg-type]
