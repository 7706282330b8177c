"""The events of the shop."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel

from aspyx_event import event


@event(name="shop.order-placed", durable=True, key="order_id")
@dataclass
class OrderPlaced:
    """A customer has placed an order. Durable: the broker keeps it across restarts and for stopped listeners."""

    order_id: int
    customer: str
    article: str
    net: Decimal


@event(name="shop.order-paid", durable=True, key="order_id")
class OrderPaid(BaseModel):
    """The payment is booked. Events may be pydantic models as well as dataclasses."""

    order_id: int
    gross: Decimal
