"""An `EventContext` that an application builds by hand, as a unit test of a handler does."""

from __future__ import annotations

import subprocess
import sys

READ_RECORD = """
import sys
from aspyx_event import Envelope, EventContext, EventDescriptor, EventListenerDescriptor
from aspyx_event.options import SubscriptionOptions

class Paid: ...

event = EventDescriptor(Paid, "shop.paid", owner="billing")
listener = EventListenerDescriptor(type=Paid, name="ledger", event=event, options=SubscriptionOptions(name="ledger"))
envelope = Envelope(b"{}", {"cloudEvents_id": "7", "cloudEvents_type": "shop.paid"})
record = EventContext(envelope, listener).record
assert (record.id, record.type, record.body, record.owner) == ("7", "shop.paid", b"{}", "billing"), record
assert record.status.value == "published", record
loaded = [name for name in sys.modules if name.startswith("aspyx_event.engine")]
assert not loaded, loaded
"""


def test_a_context_built_by_hand_has_a_record_without_the_engine():
    """`EventContext.record` needs the envelope and the descriptor alone: neither a manager nor the engine."""
    done = subprocess.run([sys.executable, "-c", READ_RECORD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
