"""The ledger."""

from __future__ import annotations

from decimal import Decimal


class Ledger:
    """An ordinary object, created by the module of the application and injected into listeners.

    Args:
        vat_percent: Added to each booked amount.
    """

    def __init__(self, vat_percent: int) -> None:
        self.vat_percent = vat_percent
        self.booked: dict[int, Decimal] = {}

    def book(self, order_id: int, net: Decimal) -> Decimal:
        """Book an order and return its gross amount. Booking the same order again replaces its entry."""
        gross = (net * (100 + self.vat_percent) / 100).quantize(Decimal("0.01"))
        self.booked[order_id] = gross
        return gross
