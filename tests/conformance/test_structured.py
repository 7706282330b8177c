"""Events in structured mode: what the contract says of messages, headers and failures, with the whole event in the body."""

from __future__ import annotations

import pytest

from aspyx_event import AMQPProvider, StompProvider
from aspyx_event.testing.conformance.envelopes import EnvelopeContract
from aspyx_event.testing.conformance.failures import FailureContract
from aspyx_event.testing.conformance.messages import MessageContract


class Structured(MessageContract, EnvelopeContract, FailureContract):
    """The parts of the contract that are about what a message is."""

    @pytest.fixture(autouse=True)
    def _broker(self, arguments, sweep):
        self.arguments, self.clean_up = arguments, sweep

    def make_provider(self, server_name):
        return self.provider_type(**self.arguments(server_name), content_mode="structured")


@pytest.mark.broker
class TestStructuredAMQP(Structured):
    provider_type = AMQPProvider


@pytest.mark.broker
class TestStructuredStomp(Structured):
    provider_type = StompProvider
