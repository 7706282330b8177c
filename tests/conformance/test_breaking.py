"""The contract notices: providers that are broken on purpose, and the test that fails for each of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from aspyx_event import AMQPProvider, LocalProvider, StompProvider
from aspyx_event.envelope import Envelope
from aspyx_event.providers.base import Consumer, Delivery
from aspyx_event.providers.local import LocalBroker
from aspyx_event.testing.conformance import ProviderConformance

FAILURES = (AssertionError, pytest.fail.Exception)


class SettlesEarly:
    """Acknowledges before the handler had its turn: a crash loses the event."""

    async def subscribe(self, binding, consume):
        def early(delivery):
            delivery.ack()
            consume(delivery)

        return await super().subscribe(binding, early)


class DropsAHeader:
    """Loses one header on the way."""

    def publish(self, message):
        headers = dict(message.envelope.headers)
        headers.pop("tab", None)
        return super().publish(replace(message, envelope=Envelope(message.envelope.body, headers)))


class StripsValues:
    """Trims the blanks of header values."""

    def publish(self, message):
        headers = {name: value.strip() for name, value in message.envelope.headers.items()}
        return super().publish(replace(message, envelope=Envelope(message.envelope.body, headers)))


class DeliversToAll:
    """Gives every consumer of a queue every message."""

    async def subscribe(self, binding, consume):
        return await super().subscribe(replace(binding, queue=None, durable=False), consume)


class DeliversTwice:
    """Calls back twice for one message, as if two listeners shared each other's subscriptions."""

    async def subscribe(self, binding, consume):
        def twice(delivery):
            consume(delivery)
            consume(delivery)

        return await super().subscribe(binding, twice)


class IgnoresPrefetch:
    """Hands over whatever comes."""

    async def subscribe(self, binding, consume):
        return await super().subscribe(replace(binding, prefetch=1000), consume)


class ForgetsDelay:
    """Delivers at once what is to wait."""

    def publish(self, message):
        return super().publish(replace(message, options=replace(message.options, delay=0.0)))


class ForgetsKeys:
    """Spreads the messages of one key over all consumers."""

    def publish(self, message):
        return super().publish(replace(message, options=replace(message.options, key=None)))


class StaysAttached:
    """Does not leave the queue when a consumer is closed."""

    async def subscribe(self, binding, consume):
        return Clinging(await super().subscribe(binding, consume))


class ForgetsReleased:
    """Takes back for gone what is released."""

    async def subscribe(self, binding, consume):
        return await super().subscribe(binding, lambda delivery: consume(Forgetful(delivery)))


class Hurries:
    """Confirms before the transport has taken over."""

    def publish(self, message):
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        super().publish(message).add_done_callback(lambda future: future.cancelled() or future.exception())
        return done


class Clinging(Consumer):
    def __init__(self, consumer):
        self.pause, self.resume = consumer.pause, consumer.resume

    async def pause(self):
        """Set by the constructor."""

    async def resume(self):
        """Set by the constructor."""

    async def close(self):
        """Stays."""


class Forgetful(Delivery):
    __slots__ = ("_delivery",)

    def __init__(self, delivery):
        self._delivery = delivery
        self.envelope, self.redelivered = delivery.envelope, delivery.redelivered

    def ack(self):
        self._delivery.ack()

    def release(self):
        self._delivery.ack()


#: What is broken, and a test that says so.
BREAKAGES = {
    SettlesEarly: (
        "test_unsettled_redelivered_after_close",
        "test_released_redelivered",
        "test_stop_timeout",
    ),
    DropsAHeader: (
        "test_header_values_unchanged",
        "test_interceptor_headers",
    ),
    StripsValues: ("test_header_values_unchanged",),
    DeliversToAll: (
        "test_consumers_share_queue",
        "test_same_name_competes",
    ),
    DeliversTwice: (
        "test_each_listener_called_once",
        "test_one_copy_per_queue",
    ),
    IgnoresPrefetch: ("test_prefetch_limits_unsettled",),
    ForgetsDelay: ("test_delay",),
    ForgetsKeys: (
        "test_key_order",
        "test_key_order_across_managers",
    ),
    StaysAttached: ("test_closed_consumer_receives_nothing",),
    ForgetsReleased: ("test_released_redelivered",),
    Hurries: ("test_publish_while_stopped",),
}
CASES = [
    pytest.param(provider, breakage, test, id=f"{provider.name}-{breakage.__name__}-{number}", marks=marks)
    for provider, marks in (
        (LocalProvider, ()),
        (AMQPProvider, pytest.mark.broker),
        (StompProvider, pytest.mark.broker),
    )
    for breakage, tests in BREAKAGES.items()
    for number, test in enumerate(tests)
]


def test_every_broken_provider_is_noticed_for_its_fault_alone():
    """The tests named here are there, so that none of them fails because it is missing."""
    missing = [test for tests in BREAKAGES.values() for test in tests if not callable(getattr(Contract, test, None))]
    assert not missing


class Contract(ProviderConformance):
    """The contract with short timeouts: here a wait is expected to fail."""

    __test__ = False
    wait_timeout = 1.5

    def __init__(self, provider_type, make, sweep):
        self.provider_type, self.make_provider, self.clean_up = provider_type, make, sweep


@pytest.fixture
def contract(request):
    """Make the contract of a provider class: `contract(provider_type)`."""

    def make(provider_type):
        if issubclass(provider_type, LocalProvider):
            broker = LocalBroker()
            return Contract(
                provider_type,
                lambda server_name: provider_type(broker=broker, server_name=server_name),
                lambda _prefix: None,
            )
        arguments, sweep = request.getfixturevalue("arguments"), request.getfixturevalue("sweep")
        return Contract(provider_type, lambda server_name: provider_type(**arguments(server_name)), sweep)

    return make


@pytest.mark.parametrize(("provider", "breakage", "test"), CASES)
def test_a_broken_provider_fails(contract, provider, breakage, test):
    broken = type(f"{breakage.__name__}{provider.__name__}", (breakage, provider), {})
    with pytest.raises(FAILURES):
        getattr(contract(broken), test)()
