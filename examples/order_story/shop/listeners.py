"""The listeners of the shop."""

from __future__ import annotations

from aspyx_event import EventContext, EventListener, EventManager, Retry, event_listener

from .diary import Diary
from .events import OrderPaid, OrderPlaced
from .ledger import Ledger


class OutOfStock(Exception):
    """An article is out of stock; a retry does not help."""


class ScannerBusy(Exception):
    """A temporary failure: the next attempt succeeds."""


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    """Gets its dependencies injected, and sends an event itself."""

    def __init__(self, ledger: Ledger, manager: EventManager, diary: Diary) -> None:
        self.ledger, self.manager, self.diary = ledger, manager, diary

    async def on(self, event: OrderPlaced) -> None:
        gross = self.ledger.book(event.order_id, event.net)
        vat = self.ledger.vat_percent
        self.diary.note("Billing", event.order_id, f"booked {event.net} + {vat} % VAT = {gross}, sends OrderPaid")
        await self.manager.send_event(OrderPaid(order_id=event.order_id, gross=gross))


@event_listener(OrderPlaced)
class Mailer(EventListener[OrderPlaced]):
    """A second listener of the same event. Not async, so it runs in a worker thread and may block."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    def on(self, event: OrderPlaced) -> None:
        self.diary.note("Mailer", event.order_id, f"told {event.customer} that the order has arrived")


@event_listener(OrderPlaced, retry=Retry(attempts=3, delay=0.1))
class Warehouse(EventListener[OrderPlaced]):
    """Fails by raising an exception. After three attempts, the event becomes a dead letter."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.shelf = {"coffee", "teapot"}

    async def on(self, event: OrderPlaced, context: EventContext) -> None:
        try:
            self.pack(event, context.attempt)
        except Exception as error:
            text = f"attempt {context.attempt} failed: {type(error).__name__}: {error}"
            self.diary.note("Warehouse", event.order_id, text, done=False)
            raise
        self.diary.note("Warehouse", event.order_id, f"packed the {event.article} (attempt {context.attempt})")

    def pack(self, event: OrderPlaced, attempt: int) -> None:
        if event.article == "teapot" and attempt == 1:
            raise ScannerBusy("the scanner is in use")
        if event.article not in self.shelf:
            raise OutOfStock(f"no {event.article} on the shelf")


@event_listener(OrderPaid)
class Shipping(EventListener[OrderPaid]):
    """Listens to an event that another listener sends."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    async def on(self, event: OrderPaid) -> None:
        self.diary.note("Shipping", event.order_id, f"{event.gross} paid, prepares the parcel label")
