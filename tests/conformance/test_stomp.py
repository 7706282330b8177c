"""The contract of a provider, run whole on the STOMP provider at a real broker."""

from __future__ import annotations

import pytest

from aspyx_event import StompProvider
from aspyx_event.testing.conformance import ProviderConformance, Recipe


@pytest.mark.broker
class TestStomp(ProviderConformance):
    provider_type = StompProvider

    @pytest.fixture(autouse=True)
    def _broker(self, arguments, sweep):
        self.arguments, self.clean_up = arguments, sweep

    def make_provider(self, server_name):
        return StompProvider(**self.arguments(server_name))

    def recipe(self, server_name):
        return Recipe("aspyx_event:StompProvider", self.arguments(server_name))
