"""The contract of a provider, as tests that anybody can run against a provider of their own.

How to run it: derive from `ProviderConformance` in a test module, say which provider it is and how to make one, and
start pytest. Nothing but pytest is needed, no plugin: the tests are plain functions with a loop of their own.

```python
from aspyx_event.testing.conformance import ProviderConformance, Recipe
from my_package import MyProvider

class TestMyProvider(ProviderConformance):
    provider_type = MyProvider

    def make_provider(self, server_name):
        return MyProvider(server_name, url="my://localhost")

    def recipe(self, server_name):          # only for providers that claim `remote`
        return Recipe("my_package:MyProvider", {"server_name": server_name, "url": "my://localhost"})

    def clean_up(self, prefix):             # optional: what the tests leave on the broker has this in its name
        remove_queues(prefix)
```

* `make_provider` returns a new provider that is not started. All that one test makes must reach each other: for a
  provider in memory, let them share its broker.
* `recipe` says how another Python process makes the same provider. Tests that speak of processes start real ones and
  kill them; where the provider is not `remote`, further managers on the same loop stand in for them.
* A fixture of your own gives what the methods need, for example the address of a broker::

      @pytest.fixture(autouse=True)
      def _broker(self, my_broker):
          self.broker = my_broker

* What the `capabilities` of `provider_type` do not claim is not tested: those tests are not collected. Instead it is tested
  that asking for it is refused.
* `patience` and `limit` are the seconds one wait and one test may take. Nothing asserts that something is fast.

The tests are methods, so one of them can be called alone, ``TestMyProvider().test_...()``, or be overridden with None
where you know better; say why.

`EventStoreConformance` and `InboxStoreConformance` are the same for stores: derive, and say how to make one.
"""

from __future__ import annotations

import pytest

# Before they are imported: their asserts are to say what was compared.
_PARTS = (
    "messages", "settling", "queues", "options", "lifecycle", "listeners", "envelopes", "failures", "detaching", "patterns", "reacting",
    "across", "rig", "processes", "suite", "event_stores", "inbox_stores",
)  # fmt: skip
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from .across import ProcessContract  # noqa: E402
from .detaching import DetachingContract  # noqa: E402
from .envelopes import EnvelopeContract  # noqa: E402
from .event_stores import EventStoreConformance  # noqa: E402
from .failures import FailureContract  # noqa: E402
from .inbox_stores import InboxStoreConformance  # noqa: E402
from .lifecycle import LifecycleContract  # noqa: E402
from .listeners import ListenerContract  # noqa: E402
from .messages import MessageContract  # noqa: E402
from .options import OptionContract  # noqa: E402
from .patterns import PatternContract  # noqa: E402
from .processes import Recipe  # noqa: E402
from .queues import QueueContract  # noqa: E402
from .reacting import ReactingContract  # noqa: E402
from .rig import Calls, Inbox, Rig  # noqa: E402
from .settling import SettlingContract  # noqa: E402
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
    SettlingContract,
    QueueContract,
    OptionContract,
    LifecycleContract,
    ListenerContract,
    EnvelopeContract,
    FailureContract,
    DetachingContract,
    PatternContract,
    ReactingContract,
    ProcessContract,
):
    """The whole contract."""
