"""What users of Vireo did with drivers and consumers: connections, queues, the port itself; rows VR of the features."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from support_core import Recorder, eventually, settle

import aspyx_event
from aspyx_event import (
    AbstractEnvelopePipeline,
    AMQPProvider,
    Backoff,
    DeclarationError,
    Envelope,
    EventContext,
    EventException,
    EventListenerDescriptor,
    EventManager,
    GenericEvent,
    LocalBroker,
    LocalProvider,
    ProviderError,
    Retry,
    StompProvider,
    SubscriptionHooks,
    event,
    exceptions,
)
from aspyx_event.envelope import CE_TYPE
from aspyx_event.exceptions import AuthenticationError, ConnectError, ConnectionLostError
from aspyx_event.observer import Observer, Settlement
from aspyx_event.providers import AddressKind, Binding, Consumer, Delivery, Outgoing
from aspyx_event.providers.base import Consume
from aspyx_event.testing.conformance.rig import make_outgoing


@event(name="vireo-rows.counted")
@dataclass
class Counted:
    number: int


async def test_a_manager_that_only_sends_leaves_the_listeners_to_others():
    house = LocalBroker()
    writer, reader = (EventManager(LocalProvider(broker=house, server_name=name)) for name in ("writer", "reader"))
    await writer.connect()
    async with reader:
        seen = Recorder()
        await reader.subscribe(Counted, seen, name="l")
        await writer.send_event(Counted(1))
        await eventually(lambda: seen.handled == [Counted(1)])
        assert writer.list_subscriptions() == []
    await writer.stop()


async def test_one_function_in_two_processes_shares_the_work_by_its_name():
    seen: list[int] = []

    def count(event: Counted) -> None:
        seen.append(event.number)

    house = LocalBroker()
    one, two = (EventManager(LocalProvider(broker=house, server_name=name)) for name in ("one", "two"))
    async with one, two:
        subscriptions = [await manager.subscribe(Counted, count, prefetch=1) for manager in (one, two)]
        for number in range(10):
            await one.send_event(Counted(number))
        await eventually(lambda: len(seen) == 10)
    assert sorted(seen) == list(range(10))
    assert [one.queue for one in subscriptions] == ["count", "count"]
    assert all(one.stats.count for one in subscriptions)


async def test_a_handler_that_wants_more_than_the_content_gets_all_of_it():
    contexts: list[EventContext] = []
    async with EventManager(LocalProvider(), retry=Retry(attempts=2, delay=0.0)) as manager:
        seen = Recorder(failures=[ValueError("no")], contexts=contexts)
        await manager.subscribe("foo.bar", seen, name="l")
        receipt = manager.send_event(GenericEvent("foo.bar", {"ip": "127.0.0.1"}), headers={"tenant": "a"})
        await receipt
        await eventually(lambda: seen.handled)
    assert [(one.event_name, one.event_id, one.attempt) for one in contexts] == [
        ("foo.bar", receipt.id, 1),
        ("foo.bar", receipt.id, 2),
    ]
    assert (contexts[1].headers["tenant"], contexts[1].envelope.get_body()) == ("a", '{"ip": "127.0.0.1"}')


def test_all_errors_have_one_root_and_those_of_the_connection_one_of_their_own():
    errors = [
        one
        for one in vars(exceptions).values()
        if isinstance(one, type) and issubclass(one, Exception) and one is not exceptions.StopProcessing
    ]
    assert len(errors) > 30
    assert all(issubclass(one, EventException) for one in errors)
    connection = (ConnectError, ConnectionLostError, AuthenticationError)
    assert all(issubclass(one, ProviderError) for one in connection)
    assert not issubclass(DeclarationError, ProviderError)


PROVIDERS = (
    lambda **options: AMQPProvider("s", "first", 1, "user", "secret", **options),
    lambda **options: StompProvider("first", 1, "user", "secret", server_name="s", **options),
)


@pytest.mark.parametrize("make", PROVIDERS)
def test_several_brokers_are_tried_in_turn_and_the_password_is_not_shown(make):
    provider = make(failover=("second:2", "third:3"))
    assert [server.host for server in provider.servers] == ["first:1", "second:2", "third:3"]
    assert "secret" not in repr(provider) + repr(provider.servers)
    assert not provider.connected, "nothing is opened before the start"
    for wrong in ("second", "second:port", ":", "amqp://second:2"):
        with pytest.raises(DeclarationError, match="write each further broker as 'host:port'"):
            make(failover=(wrong,))


@pytest.mark.parametrize("make", PROVIDERS)
def test_connecting_has_a_bound_if_one_is_given(make):
    make(max_retries=None)
    make(max_retries=60, backoff=(0.05, 30.0))
    for options in ({"max_retries": 0}, {"max_retries": "many"}, {"backoff": (2, 1)}, {"backoff": 5}):
        with pytest.raises(DeclarationError, match="is not understood"):
            make(**options)


async def test_the_attempts_of_an_event_are_limited_or_not_and_wait_as_they_are_told():
    five_at_once = [0.0] * 5 + [2.0**power for power in range(1, 5)] + [30.0]
    limited = Retry(attempts=60, backoff=five_at_once, jitter=0.0)
    waits = [limited.next_delay(attempt, ValueError()) for attempt in range(1, 61)]
    assert waits[:11] == [0.0] * 5 + [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert waits[-2:] == [30.0, None]
    doubling = Retry(attempts=9, delay=1.0, max_delay=30.0, jitter=0.0, backoff=Backoff.EXPONENTIAL)
    assert [doubling.next_delay(attempt, ValueError()) for attempt in (1, 2, 5, 6, 8)] == [1.0, 2.0, 16.0, 30.0, 30.0]
    async with EventManager(LocalProvider()) as manager:
        seen = Recorder(failures=[ValueError(str(number)) for number in range(200)])
        endless = Retry(attempts=sys.maxsize, delay=0.0)
        await manager.subscribe(Counted, seen, name="l", retry=endless)
        await manager.send_event(Counted(1))
        await eventually(lambda: seen.handled)
        assert (len(seen.events), await manager.dead_letters.list()) == (201, [])


def outgoing(body: bytes, address: str, **options: Any) -> Outgoing:
    return make_outgoing(address, body, {"tenant": "a"}, dedup_id=str(uuid4()), **options)


async def test_a_provider_by_itself_publishes_to_one_queue_or_to_all_of_an_address():
    provider = LocalProvider()
    await provider.start()
    shared: dict[str, list[Delivery]] = {"one": [], "two": []}
    copied: dict[str, list[Delivery]] = {"one": [], "two": []}
    for taken, copy in zip(shared.values(), copied.values(), strict=True):
        await provider.subscribe(Binding(address="q", queue="q", kind=AddressKind.QUEUE, prefetch=1), taken.append)
        await provider.subscribe(Binding(address="news", queue=None), copy.append)
    for number in range(2):
        await provider.publish(outgoing(b"%d" % number, "q", kind=AddressKind.QUEUE, priority=4, ttl=60.0))
        await provider.publish(outgoing(b"%d" % number, "news"))
    assert [len(taken) for taken in shared.values()] == [1, 1], "each message to one of them"
    assert [[one.envelope.body for one in taken] for taken in copied.values()] == [[b"0", b"1"]] * 2
    assert copied["one"][0].envelope.headers == {"tenant": "a"}
    for delivery in (*shared["one"], *shared["two"]):
        delivery.ack()
    assert provider.broker.depth("q") == 0
    await provider.stop()


async def test_a_provider_stops_with_its_consumers_and_loses_nothing_of_a_kept_queue():
    house = LocalBroker()
    provider, later = LocalProvider(broker=house), LocalProvider(broker=house)
    await provider.start()
    taken: list[Delivery] = []
    binding = Binding(address="kept", queue="kept", durable=True)
    consumer = await provider.subscribe(binding, taken.append)
    await provider.publish(outgoing(b"1", "kept"))
    await consumer.close()
    await consumer.close()
    await provider.stop()
    await provider.stop()
    taken[0].ack()  # too late: it went back to its queue when the consumer closed
    with pytest.raises(ConnectionLostError, match="not started"):
        await provider.publish(outgoing(b"2", "kept"))
    await later.start()
    await later.subscribe(binding, taken.append)
    assert [(one.envelope.body, one.redelivered) for one in taken] == [(b"1", False), (b"1", True)]
    await later.stop()


@dataclass
class OwnRoutes(AbstractEnvelopePipeline):
    """Takes the events of some names itself, and lets the others pass."""

    prefix: str
    taken: list[tuple[str, str]] = field(default_factory=list)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> Awaitable[None] | None:
        if envelope.get(CE_TYPE).startswith(self.prefix):
            self.taken.append((event_listener_descriptor.name, envelope.get_body()))
            return None
        return self.proceed_handle(envelope, event_listener_descriptor)


async def test_an_interceptor_takes_the_routes_it_can_handle():
    """In place of consumer classes that are asked for each route: an interceptor sees name, listener and envelope."""
    own = OwnRoutes("special.")
    async with EventManager(LocalProvider(), pipelines=[own]) as manager:
        seen = Recorder()
        await manager.subscribe("#", seen, name="all")
        await manager.send_event(GenericEvent("special.one", 1))
        await manager.send_event(GenericEvent("ordinary", 2))
        await eventually(lambda: seen.handled)
        assert (own.taken, seen.events) == ([("all", "1")], [GenericEvent("ordinary", 2)])
        assert await manager.dead_letters.list() == []


class Tapped(LocalProvider):
    """A provider whose consumers do something of their own with each delivery."""

    def __init__(self) -> None:
        super().__init__()
        self.tapped: list[tuple[str, bytes]] = []

    async def subscribe(self, binding: Binding, consume: Consume) -> Consumer:
        def tap(delivery: Delivery) -> None:
            self.tapped.append((binding.label, delivery.received.body))
            consume(delivery)

        return await super().subscribe(binding, tap)


class Watching(Observer):
    """Notes what became of deliveries."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, Settlement]] = []

    def settling(self, envelope: Envelope, listener: EventListenerDescriptor, settlement: Settlement) -> None:
        self.settled.append((listener.name, settlement))


async def test_what_consumes_is_changed_in_a_provider_of_ones_own_and_watched_by_an_observer():
    """In place of subclasses of a consumer with a dozen constructor arguments."""
    provider, watching = Tapped(), Watching()
    async with EventManager(provider, observers=[watching]) as manager:
        seen = Recorder(failures=[ValueError("no")])
        await manager.subscribe(Counted, seen, name="l")
        await manager.send_event(Counted(1))
        await manager.send_event(Counted(2))
        await eventually(lambda: len(watching.settled) >= 2)
    assert provider.tapped == [("l", b'{"number":1}'), ("l", b'{"number":2}')]
    assert watching.settled == [("l", Settlement.DEAD_LETTER), ("l", Settlement.ACKNOWLEDGED)]


async def test_the_queue_of_a_subscription_is_what_its_options_say():
    """In place of raw options of a protocol: named ones, which every provider honours or refuses."""
    house = LocalBroker()
    async with EventManager(LocalProvider(broker=house)) as manager:
        seen = Recorder()
        small = await manager.subscribe(Counted, Recorder(), name="small", prefetch=7)
        grouped = await manager.subscribe(Counted, Recorder(), name="grouped", group="crew")
        chosen = await manager.subscribe(
            Counted, seen, name="chosen", per_process=True, selector={"tenant": ("a", "b")}
        )
        kept = await manager.subscribe(Counted, Recorder(), name="kept", resumable=True)
        assert (small.binding.prefetch, small.binding.durable) == (7, False)
        assert (grouped.queue, kept.binding.durable) == ("crew", True)
        assert chosen.binding.selector == (("tenant", ("a", "b")),)
        await manager.send_event(Counted(1), headers={"tenant": "c"})
        await manager.send_event(Counted(2), headers={"tenant": "b"})
        await eventually(lambda: seen.handled == [Counted(2)])
        with pytest.raises(TypeError, match="'unheard_of'; known: name, group"):
            manager.subscribe(Counted, Recorder(), name="wrong", unheard_of=1)
    assert house.queues("vireo-rows.counted") == ["kept"], "the others went with their consumers"


async def test_a_subscription_is_shared_or_belongs_to_its_process():
    async with EventManager(LocalProvider(server_name="one")) as manager:
        shared = await manager.subscribe(Counted, Recorder(), name="shared")
        own = await manager.subscribe(Counted, Recorder(), name="own", per_process=True)
        kept = await manager.subscribe(Counted, Recorder(), name="kept", per_process=True, resumable=True)
        assert [one.binding.queue for one in (shared, own, kept)] == ["shared", None, "kept-one"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"number": "many"}', b"[1]", b"null"])
async def test_a_body_that_is_none_of_its_event_is_kept_and_harms_nobody(body):
    told: list[tuple[str, Exception]] = []
    hooks = SubscriptionHooks(on_error=lambda subscription, error: told.append((subscription.name, error)))
    async with EventManager(LocalProvider(), retry=Retry(attempts=5, delay=0.0)) as manager:
        seen = Recorder()
        subscription = await manager.subscribe(Counted, seen, name="l", hooks=hooks)
        await manager.provider.publish(outgoing(body, "vireo-rows.counted"))
        await manager.send_event(Counted(1))
        await eventually(lambda: seen.handled)
        await settle()
        assert (seen.events, subscription.stats.dead_letters) == ([Counted(1)], 1), "tried once, never handled"
        [letter] = await manager.dead_letters.list()
        assert (letter.body, subscription.attached) == (body, True)
        [(name, error)] = told
        assert (name, isinstance(error, aspyx_event.CodecError)) == ("l", True)
