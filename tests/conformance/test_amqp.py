"""The contract of a provider, run whole on the AMQP provider at a real broker."""

from __future__ import annotations

import pytest

from aspyx_event import AMQPProvider
from aspyx_event.testing.conformance import ProviderConformance, Recipe


@pytest.mark.broker
class TestAMQP(ProviderConformance):
    provider_type = AMQPProvider

    @pytest.fixture(autouse=True)
    def _broker(self, arguments, sweep):
        self.arguments, self.clean_up = arguments, sweep

    def make_provider(self, server_name):
        return AMQPProvider(**self.arguments(server_name))

    def recipe(self, server_name):
        return Recipe("aspyx_event:AMQPProvider", self.arguments(server_name))
