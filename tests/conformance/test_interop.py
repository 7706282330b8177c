"""AX-71: one system over two protocols. The whole contract with AMQP at one end and STOMP at the other."""

from __future__ import annotations

import dataclasses

import pytest

from aspyx_event import AMQPProvider, StompProvider
from aspyx_event.providers.base import Capabilities
from aspyx_event.testing.conformance import ProviderConformance, Recipe

BOTH = Capabilities(
    **{
        field.name: getattr(AMQPProvider.capabilities, field.name) and getattr(StompProvider.capabilities, field.name)
        for field in dataclasses.fields(Capabilities)
    }
)


class Either(StompProvider):
    """Claims what both providers claim."""

    capabilities = BOTH


class Mixed(ProviderConformance):
    """Servers of one half of the names speak AMQP, the others STOMP: a test that needs two has one of each."""

    provider_type = Either
    # One of the two may claim more; each provider's own run of the contract tests what it refuses.
    test_missing_capabilities_refused = None
    #: Names of the servers that speak AMQP.
    amqp: frozenset[str]

    @pytest.fixture(autouse=True)
    def _broker(self, arguments, sweep):
        self.arguments, self.clean_up = arguments, sweep

    def make_provider(self, server_name):
        kind = AMQPProvider if server_name in self.amqp else StompProvider
        return kind(**self.arguments(server_name))

    def recipe(self, server_name):
        kind = "AMQPProvider" if server_name in self.amqp else "StompProvider"
        return Recipe(f"aspyx_event:{kind}", self.arguments(server_name))


@pytest.mark.broker
class TestFromAMQPToStomp(Mixed):
    """What the first one sends by AMQP comes out of the same queues by STOMP."""

    amqp = frozenset({"one", "sender", "raw"})


@pytest.mark.broker
class TestFromStompToAMQP(Mixed):
    """And the other way round."""

    amqp = frozenset({"two", "receiver", "dead-letters"})
