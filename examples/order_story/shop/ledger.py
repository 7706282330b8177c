"""The books."""

from __future__ import annotations

from decimal import Decimal


class Ledger:
    """An ordinary object, made by the application's module: listeners have it injected.

    Args:
        vat_percent: Added to every amount that is booked.
    """

    def __init__(self, vat_percent: int) -> None:
        self.vat_percent = vat_percent
        self.booked: dict[int, Decimal] = {}

    def book(self, order_id: int, net: Decimal) -> Decimal:
        """Enter an order; return its gross amount. The same order twice is one entry."""
        gross = (net * (100 + self.vat_percent) / 100).quantize(Decimal("0.01"))
        self.booked[order_id] = gross
        return gross
