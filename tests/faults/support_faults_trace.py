"""What an event carries from its sender to whoever handles it, over retries, dead letters and replays (I12)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from aspyx_event.envelope import CE_CORRELATION, CE_ID

REPLAY_OF = "aspyx-replay-of"


def correlation(name: str) -> str:
    """Return the correlation id under which the event of this ledger name is sent."""
    return f"order-{sha256(name.encode()).hexdigest()[48:]}"


def sent_headers(name: str) -> dict[str, str]:
    """Return the headers that a producer gives the event of this ledger name."""
    digest = sha256(name.encode()).hexdigest()
    return {"traceparent": f"00-{digest[:32]}-{digest[32:48]}-01", "causation-id": f"{name}'s cause"}


def mark(name: str, headers: Mapping[str, str]) -> str:
    """Return the event id that *headers* have and what is wrong with the rest, as one word for the ledger."""
    expected = {**sent_headers(name), CE_CORRELATION: correlation(name)}
    wrong = sorted(header for header, value in expected.items() if headers.get(header) != value)
    return f"{headers.get(CE_ID, '')}/{','.join(wrong) or 'whole'}"
