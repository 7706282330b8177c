"""The contract of a provider, as tests that can be run against any provider.

To run it, derive from `ProviderConformance` in a test module, implement `make_provider`, and start pytest. No plugin is
needed: the tests are plain functions with their own event loop.

```python
from aspyx_event.testing.conformance import ProviderConformance, Recipe
from my_package import MyProvider

class TestMyProvider(ProviderConformance):
    provider_type = MyProvider

    def make_provider(self, server_name):
        return MyProvider(server_name, url="my://localhost")

    def recipe(self, server_name):          # only for providers with the capability `remote`
        return Recipe("my_package:MyProvider", {"server_name": server_name, "url": "my://localhost"})

    def clean_up(self, prefix):             # optional: names of queues and addresses of a test contain the prefix
        remove_queues(prefix)
```

* `make_provider` returns a new provider that is not started. All providers of a test must reach each other: providers
  in memory have to share their broker.
* `recipe` describes how another Python process creates the same provider. Tests with several processes start real
  processes and kill them. For a provider that is not `remote`, further managers on the same loop take their place.
* A fixture can supply what the methods need, for example the address of a broker::

      @pytest.fixture(autouse=True)
      def _broker(self, my_broker):
          self.broker = my_broker

* Tests of capabilities that `provider_type` does not have are not collected. Another test checks that such options are
  refused.
* `wait_timeout` and `test_timeout` are the seconds for a wait and a test. No test asserts speed.

The tests are methods: each can be called alone, ``TestMyProvider().test_...()``, or be overridden with None to
leave it out.

`EventStoreConformance` and `InboxStoreConformance` do the same for stores: derive, and implement `make_store`.
"""

from __future__ import annotations

import pytest

# Before the parts are imported, so that pytest shows the compared values of their asserts.
_PARTS = (
    "messages", "settlement", "queues", "options", "lifecycle", "listeners", "envelopes", "failures", "subscriptions", "patterns",
    "routing", "multiprocess", "hostile_errors", "hostile_handlers", "hostile_surroundings", "rig", "processes", "suite", "stores", "event_stores", "inbox_stores",
)  # fmt: skip
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from .envelopes import EnvelopeContract  # noqa: E402
from .event_stores import EventStoreConformance  # noqa: E402
from .failures import FailureContract  # noqa: E402
from .hostile_handlers import HostileHandlerContract  # noqa: E402
from .inbox_stores import InboxStoreConformance  # noqa: E402
from .lifecycle import LifecycleContract  # noqa: E402
from .listeners import ListenerContract  # noqa: E402
from .messages import MessageContract  # noqa: E402
from .multiprocess import MultiprocessContract  # noqa: E402
from .options import OptionContract  # noqa: E402
from .patterns import PatternContract  # noqa: E402
from .processes import Recipe  # noqa: E402
from .queues import QueueContract  # noqa: E402
from .rig import Calls, Inbox, Rig  # noqa: E402
from .routing import RoutingContract  # noqa: E402
from .settlement import SettlementContract  # noqa: E402
from .subscriptions import SubscriptionContract  # noqa: E402
from .suite import ConformanceBase, contract  # noqa: E402

__all__ = [
    "Calls",
    "ConformanceBase",
    "EventStoreConformance",
    "Inbox",
    "InboxStoreConformance",
    "ProviderConformance",
    "Recipe",
    "Rig",
    "contract",
]


class ProviderConformance(
    MessageContract,
    SettlementContract,
    QueueContract,
    OptionContract,
    LifecycleContract,
    ListenerContract,
    EnvelopeContract,
    FailureContract,
    HostileHandlerContract,
    SubscriptionContract,
    PatternContract,
    RoutingContract,
    MultiprocessContract,
):
    """The whole contract."""
