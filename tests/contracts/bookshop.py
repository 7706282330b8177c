"""An application whose contracts are looked at: five events, their listeners, and who sends what."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

from aspyx.di import create, injectable, module
from pydantic import BaseModel, ConfigDict, Field

from aspyx_event import (
    AMQPProvider,
    EventListener,
    EventManager,
    EventModule,
    LocalProvider,
    StompProvider,
    event,
    event_handler,
    event_listener,
    sends,
    upcaster,
)


class Channel(Enum):
    WEB = "web"
    PHONE = "phone"
    SHOP = "shop"


@dataclass
class Line:
    """One article of an order."""

    isbn: Annotated[str, Field(pattern=r"^97[89]\d{10}$", description="ISBN-13 without hyphens.")]
    copies: Annotated[int, Field(ge=1, le=99)]
    price: Annotated[Decimal, Field(description="For one copy, in euros.")]


@dataclass
class Card:
    kind: Literal["card"]
    last_digits: Annotated[str, Field(min_length=4, max_length=4)]


@dataclass
class Invoice:
    kind: Literal["invoice"]
    due: date


@event(
    name="books.order-placed",
    durable=True,
    version=3,
    key="order_id",
    owner="team-orders",
    tags=("orders", "money"),
)
@dataclass
class OrderPlaced:
    """A customer has **confirmed** an order.

    Sent once for each order, after its total is known. What follows:

    * `Billing` books it,
    * the warehouse packs it.
    """

    order_id: Annotated[UUID, Field(description="The same in all events of this order.")]
    customer: Annotated[str, Field(min_length=1, max_length=80, examples=["Ada Lovelace"])]
    lines: Annotated[list[Line], Field(min_length=1)]
    payment: Annotated[Card | Invoice, Field(discriminator="kind", description="How it is going to be paid.")]
    channel: Channel = Channel.WEB
    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    gift_note: str | None = None


@upcaster(OrderPlaced, from_version=1)
def several_lines(payload: dict) -> dict:
    """Version 1 had one article to an order."""
    payload["lines"] = [{"isbn": payload.pop("isbn"), "copies": 1, "price": payload.pop("price")}]
    return payload


@upcaster(OrderPlaced, from_version=2)
def payment_by_card(payload: dict) -> dict:
    """Version 2 knew cards only."""
    payload["payment"] = {"kind": "card", "last_digits": payload.pop("card")}
    return payload


@event(name="books.order-paid", durable=True, key="order_id", owner="team-money", tags=("money",))
class OrderPaid(BaseModel):
    """The money for an order is there."""

    model_config = ConfigDict(extra="forbid")

    order_id: UUID
    amount: Annotated[Decimal, Field(gt=0)]
    booked_on: date


@event(name="books.parcel-sent", durable=True, key="order_id", owner="team-warehouse", tags=("orders",))
@dataclass
class ParcelSent:
    """A parcel has left the warehouse."""

    order_id: UUID
    carrier: str
    weights: dict[str, float] = field(default_factory=dict)


@event(name="books.prices-changed", broadcast=True, owner="team-orders")
@dataclass
class PricesChanged:
    """Every process has to forget the prices it has kept."""

    isbns: list[str]


@event(
    name="books.review-written",
    tags=("community",),
    schema={
        "type": "object",
        "required": ["isbn", "stars"],
        "properties": {
            "isbn": {"type": "string", "pattern": r"^97[89]\d{10}$"},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5, "description": "5 is best."},
            "text": {"type": "string", "maxLength": 2000},
        },
    },
)
@dataclass
class ReviewWritten:
    """A reader has reviewed a book."""

    isbn: str
    stars: int
    text: str = ""


@event_listener(OrderPlaced, name="billing", concurrency=4, order_by="customer")
@sends(OrderPaid)
class Billing(EventListener[OrderPlaced]):
    """Books what was ordered and waits for the money."""

    def on(self, event):
        raise AssertionError("documents build no listener")


@event_listener(OrderPaid, name="warehouse")
@event_listener(OrderPlaced, name="warehouse")
@sends(ParcelSent)
class Warehouse(EventListener[OrderPlaced | OrderPaid]):
    """Packs parcels when they are paid."""

    def on(self, event):
        raise AssertionError("documents build no listener")


@event_listener(PricesChanged, name="prices")
class Prices(EventListener[PricesChanged]):
    """Forgets kept prices."""

    def on(self, event):
        raise AssertionError("documents build no listener")


@injectable()
class Mails:
    @event_handler(ParcelSent, name="mails")
    async def parcel(self, event):
        """Tells the customer where the parcel is."""


def provider():
    kind = os.environ.get("PROVIDER", "local")
    if kind == "amqp":
        return AMQPProvider(
            "books-1",
            host="broker.example.com",
            port=5671,
            user="books",
            password="not-for-documents",
            ssl=True,
            failover=["second.example.com:5671"],
        )
    if kind == "stomp":
        return StompProvider("::1", 61613, "books", "not-for-documents", server_name="books-1")
    return LocalProvider()


@sends(OrderPlaced, PricesChanged, ReviewWritten)
@module(imports=[EventModule])
class BookshopModule:
    """Sells books.

    Orders come in over `books.order-placed` and leave as parcels.
    """

    @create()
    def manager(self) -> EventManager:
        return EventManager(provider())
