"""The contract of a provider, run whole on the local provider."""

from __future__ import annotations

import pytest

from aspyx_event import LocalProvider
from aspyx_event.providers.local import LocalBroker
from aspyx_event.testing.conformance import ProviderConformance


class TestLocal(ProviderConformance):
    provider_type = LocalProvider

    @pytest.fixture(autouse=True)
    def _queues(self):
        self.broker = LocalBroker()

    def make_provider(self, server_name):
        return LocalProvider(broker=self.broker, server_name=server_name)
