"""Address settings for brokers that are to be full soon."""

from __future__ import annotations

_SMALL = {"max-size-bytes": "60000", "page-size-bytes": "20000"}
#: Addresses ``full.<policy>.…`` have little room, and that policy for what they have no room for.
FULL_ADDRESSES = {
    f"full.{policy}.#": {"address-full-policy": policy.upper(), **_SMALL}
    for policy in ("page", "block", "fail", "drop")
}
