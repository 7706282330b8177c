"""The contract of a provider, run whole on the local provider, and on some that can do less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aspyx_event import LocalProvider
from aspyx_event.envelope import Envelope
from aspyx_event.exceptions import UnsupportedError
from aspyx_event.providers.base import AddressKind, Capabilities
from aspyx_event.providers.local import LocalBroker
from aspyx_event.testing.conformance import ProviderConformance


class InProcess(ProviderConformance):
    """All providers of a test share a broker."""

    @pytest.fixture(autouse=True)
    def _queues(self):
        self.broker = LocalBroker()

    def make_provider(self, server_name):
        return self.provider_type(broker=self.broker, server_name=server_name)


class TestLocal(InProcess):
    provider_type = LocalProvider


class TestLocalWithoutCopies(InProcess):
    """Hands over objects: all of the contract but that each listener has an object of its own."""

    provider_type = LocalProvider
    test_each_listener_gets_own_event_object = None

    def make_provider(self, server_name):
        return LocalProvider(broker=self.broker, server_name=server_name, copy=False)


class Humble(LocalProvider):
    """Does not do what it does not claim."""

    def publish(self, message):
        able, options = self.capabilities, message.options
        assert not message.durable or able.durable
        assert message.kind is AddressKind.TOPIC or able.durable
        assert not options.delay or able.delay
        assert options.ttl is None or able.ttl
        assert options.priority is None or able.priority
        assert options.key is None or able.ordered_keys
        headers = message.envelope.headers if able.headers else {}
        return super().publish(replace(message, envelope=Envelope(message.envelope.body, dict(headers))))

    async def subscribe(self, binding, consume):
        able = self.capabilities
        if (
            (binding.queue is None and not able.per_process)
            or (binding.queue is not None and not able.competing)
            or (binding.durable and not able.durable)
        ):
            raise UnsupportedError(f"{binding} is not for {type(self).__name__}")
        return await super().subscribe(binding, consume)


class Broadcasting(Humble):
    capabilities = Capabilities(per_process=True)


class TestOnlyBroadcasting(InProcess):
    """No queue has two consumers, and none stays."""

    provider_type = Broadcasting


class Sharing(Humble):
    capabilities = Capabilities(competing=True, headers=False)


class TestOnlySharing(InProcess):
    """Shared queues that vanish with their consumers, bodies without headers."""

    provider_type = Sharing


class Keeping(Humble):
    capabilities = Capabilities(competing=True, durable=True)


class TestOnlyKeeping(InProcess):
    """Shared queues that stay, and none that belongs to one consumer."""

    provider_type = Keeping


def test_what_is_not_claimed_is_not_collected():
    assert callable(TestLocal.test_delay)
    assert TestOnlyKeeping.test_delay is None
    assert callable(TestOnlyKeeping.test_missing_capabilities_refused)
